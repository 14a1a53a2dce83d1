//! Certificates: authorities, self-signed and signed ones.

use std::any::Any;
use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use gotemplate::{Failure, Functions, Kind, List, Object, Outcome, Signature, Type, Value, fmt};
use rand::RngCore;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber};

use super::keys::{PrivateKey, armour, first_block};
use crate::args::{int, text};
use crate::encoding::base64_decode;

use Type::{Int, List as Items, String as Text};

const CERTIFICATE: &str = "sprig.certificate";
const PAIR: Type = Type::Named(CERTIFICATE);
const MAX_DAYS: i64 = 365 * 1000;

pub fn register(f: &mut Functions) {
    f.add("buildCustomCert", Signature::fixed(&[Text, Text]), build_custom);
    f.add("genCA", Signature::fixed(&[Text, Int]), |a| authority(a, new_key()?));
    f.add("genCAWithKey", Signature::fixed(&[Text, Int, Text]), |a| authority(a, given_key(a, 2)?));
    f.add("genSelfSignedCert", Signature::fixed(&[Text, Items, Items, Int]), |a| self_signed(a, new_key()?));
    f.add("genSelfSignedCertWithKey", Signature::fixed(&[Text, Items, Items, Int, Text]), |a| self_signed(a, given_key(a, 4)?));
    f.add("genSignedCert", Signature::fixed(&[Text, Items, Items, Int, PAIR]), |a| signed(a, new_key()?));
    f.add("genSignedCertWithKey", Signature::fixed(&[Text, Items, Items, Int, PAIR, Text]), |a| signed(a, given_key(a, 5)?));
}

fn new_key() -> Result<PrivateKey, Failure> {
    PrivateKey::rsa(2048)
}

fn given_key(args: &[Value], at: usize) -> Result<PrivateKey, Failure> {
    PrivateKey::parse(&text(args, at).text()).map_err(|error| Failure::new(format!("parsing private key: {error}")))
}

/// Sprig's `certificate`: both as PEM.
#[derive(Clone)]
struct Certificate {
    cert: String,
    key: String,
}

impl Certificate {
    fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Certificate {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(CERTIFICATE)
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::str(self.cert.as_str())),
            "Key" => Some(Value::str(self.key.as_str())),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", Value::str(self.cert.as_str())), ("Key", Value::str(self.key.as_str()))]
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Certificate>()?;
        Some(self.cert == other.cert && self.key == other.key)
    }
}

fn build_custom(args: &[Value]) -> Outcome {
    let cert = base64_decode(&text(args, 0)).map_err(|_| Failure::new("unable to decode base64 certificate"))?;
    let key = base64_decode(&text(args, 1)).map_err(|_| Failure::new("unable to decode base64 private key"))?;
    let (cert, key) = (String::from_utf8_lossy(&cert).into_owned(), String::from_utf8_lossy(&key).into_owned());
    let Some((_, der)) = first_block(&cert) else { return Err("unable to decode certificate".into()) };
    if x509_parser::parse_x509_certificate(&der).is_err() {
        return Err("error parsing certificate: decodedCert.Bytes: x509: malformed certificate".into());
    }
    PrivateKey::parse(&key).map_err(|error| Failure::new(format!("error parsing private key: {error}")))?;
    Ok(Certificate { cert, key }.value())
}

fn params(name: &[u8], addresses: Option<&List>, names: Option<&List>, days: i64) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, gotemplate::text::lossy(name).into_owned());
    params.distinguished_name = subject;
    for name in names.map_or(&[][..], List::items) {
        let Some(text) = name.as_str() else {
            return Err(Failure::new(format!("error processing alternate dns name: {} is not a string", fmt::verb(name, 'v')?.text())));
        };
        let dns = Ia5String::try_from(text.text().into_owned());
        params.subject_alt_names.push(SanType::DnsName(dns.map_err(|error| Failure::new(format!("error creating certificate: {error}")))?));
    }
    for address in addresses.map_or(&[][..], List::items) {
        let Some(text) = address.as_str() else {
            return Err(Failure::new(format!("error parsing ip: {} is not a string", fmt::verb(address, 'v')?.text())));
        };
        let parsed = text.text().parse::<IpAddr>();
        params.subject_alt_names.push(SanType::IpAddress(parsed.map_err(|_| Failure::new(format!("error parsing ip: {}", text.text())))?));
    }
    let mut serial = [0u8; 16];
    rand::rng().fill_bytes(&mut serial);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let now = SystemTime::now();
    let span = Duration::from_secs(86_400 * days.unsigned_abs().min(MAX_DAYS.unsigned_abs()));
    params.not_before = now.into();
    params.not_after = if days < 0 { now - span } else { now + span }.into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

fn creating(error: rcgen::Error) -> Failure {
    Failure::new(format!("error creating certificate: {error}"))
}

fn authority(args: &[Value], key: PrivateKey) -> Outcome {
    let mut params = params(&text(args, 0), None, None, int(args, 1))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    finish(&params, &key)
}

fn finish(params: &CertificateParams, key: &PrivateKey) -> Outcome {
    let made = params.self_signed(&key.pair()?).map_err(creating)?;
    Ok(Certificate { cert: armour("CERTIFICATE", made.der().to_vec()), key: key.pem() }.value())
}

fn asked(args: &[Value]) -> Result<CertificateParams, Failure> {
    params(&text(args, 0), args[1].as_list(), args[2].as_list(), int(args, 3))
}

fn self_signed(args: &[Value], key: PrivateKey) -> Outcome {
    finish(&asked(args)?, &key)
}

fn signed(args: &[Value], key: PrivateKey) -> Outcome {
    let authority = match &args[4] {
        Value::Object(object) => object.as_any().downcast_ref::<Certificate>().cloned(),
        _ => None,
    };
    let Some(authority) = authority else { return Err("unable to decode certificate".into()) };
    if first_block(&authority.cert).is_none() {
        return Err("unable to decode certificate".into());
    }
    let signing = PrivateKey::parse(&authority.key).map_err(|error| Failure::new(format!("error parsing private key: {error}")))?;
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, signing.pair()?)
        .map_err(|error| Failure::new(format!("error parsing certificate: decodedSignerCert.Bytes: {error}")))?;
    let mut params = asked(args)?;
    params.use_authority_key_identifier_extension = true;
    let made = params.signed_by(&key.pair()?, &issuer).map_err(creating)?;
    Ok(Certificate { cert: armour("CERTIFICATE", made.der().to_vec()), key: key.pem() }.value())
}
