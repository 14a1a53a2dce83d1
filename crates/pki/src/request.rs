//! Signing requests of others: what they say, and certificates for them.
//!
//! The subject is taken over byte for byte, so that nothing a request said is lost or reordered. Whether it may say that
//! is the caller's to decide. Never signs an authority.

use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::der::{bit_string, boolean, context, explicit, integer, octets, oid, sequence, time};
use crate::{Authority, Error};

const BACKDATE: Duration = Duration::from_secs(300);
/// Upstream: certificates shorter than this keep their length; others lose the time they are backdated by.
const SHORT: Duration = Duration::from_secs(8 * 3600);

/// What a request says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningRequest {
    pub common_name: String,
    pub organizations: Vec<String>,
    pub dns_names: Vec<String>,
    pub ips: usize,
    pub emails: usize,
    pub uris: usize,
    subject: Vec<u8>,
    key: Vec<u8>,
    alternative_names: Option<Vec<u8>>,
}

impl SigningRequest {
    /// Reads a request in PEM whose signature holds.
    pub fn parse(pem: &[u8]) -> Result<Self, Error> {
        let (_, block) = parse_x509_pem(pem).map_err(Error::certificate)?;
        if block.label != "CERTIFICATE REQUEST" {
            return Err(Error::Certificate("PEM block type must be CERTIFICATE REQUEST".into()));
        }
        let (_, parsed) = X509CertificationRequest::from_der(&block.contents).map_err(Error::certificate)?;
        parsed.verify_signature().map_err(Error::certificate)?;
        let info = &parsed.certification_request_info;
        let text = |a: &x509_parser::x509::AttributeTypeAndValue<'_>| a.as_str().map(str::to_owned).unwrap_or_default();
        let mut request = Self {
            common_name: info.subject.iter_common_name().last().map(text).unwrap_or_default(),
            organizations: info.subject.iter_organization().map(text).collect(),
            subject: info.subject.as_raw().to_vec(),
            key: info.subject_pki.raw.to_vec(),
            ..Self::default()
        };
        let asked = info.attributes().iter().filter_map(|a| match a.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(asked) => Some(&asked.extensions),
            _ => None,
        });
        for extension in asked.flatten() {
            if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                request.alternative_names = Some(extension.value.to_vec());
                for name in &names.general_names {
                    match name {
                        GeneralName::DNSName(name) => request.dns_names.push((*name).to_owned()),
                        GeneralName::IPAddress(_) => request.ips += 1,
                        GeneralName::RFC822Name(_) => request.emails += 1,
                        GeneralName::URI(_) => request.uris += 1,
                        _ => {}
                    }
                }
            }
        }
        Ok(request)
    }
}

impl Authority {
    /// Signs a request for the usages given, in PEM. It never outlives the authority.
    pub fn sign(&self, request: &SigningRequest, usages: &[String], life: Duration, now: SystemTime) -> Result<String, Error> {
        let (_, own) = parse_x509_pem(self.cert_pem().as_bytes()).map_err(Error::certificate)?;
        let own = own.parse_x509().map_err(Error::certificate)?;
        let algorithm = algorithm(self.key())?;
        let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        let begins = now - BACKDATE;
        let ends = if life < SHORT { now + life } else { begins + life };
        let ends = seconds(ends).min(own.validity().not_after.timestamp());
        let mut serial = [0u8; 16];
        SystemRandom::new().fill(&mut serial).map_err(|_| Error::Certificate("the machine has no randomness".into()))?;
        serial[0] = (serial[0] & 0x7f) | 0x40;
        let identifier = own.extensions().iter().find_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let extensions = extensions(request, usages, identifier.as_deref())?;
        let signed = sequence(&[
            explicit(0, &integer(&[2])),
            integer(&serial),
            algorithm.clone(),
            own.subject().as_raw().to_vec(),
            sequence(&[time(seconds(begins)), time(ends)]),
            request.subject.clone(),
            request.key.clone(),
            explicit(3, &sequence(&extensions)),
        ]);
        let signature = self.key().sign(&signed).map_err(Error::certificate)?;
        let der = sequence(&[signed, algorithm, bit_string(0, &signature)]);
        Ok(pem(&der))
    }
}

fn algorithm(key: &KeyPair) -> Result<Vec<u8>, Error> {
    let known = key.algorithm();
    let plain = |arcs: &[u64]| Ok(sequence(&[oid(arcs)]));
    if *known == rcgen::PKCS_ECDSA_P256_SHA256 {
        plain(&[1, 2, 840, 10045, 4, 3, 2])
    } else if *known == rcgen::PKCS_ECDSA_P384_SHA384 {
        plain(&[1, 2, 840, 10045, 4, 3, 3])
    } else if *known == rcgen::PKCS_ED25519 {
        plain(&[1, 3, 101, 112])
    } else if *known == rcgen::PKCS_RSA_SHA256 {
        Ok(sequence(&[oid(&[1, 2, 840, 113_549, 1, 1, 11]), vec![5, 0]]))
    } else {
        Err(Error::Certificate("the authority's key is of a kind that is not signed with".into()))
    }
}

fn extension(arcs: &[u64], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(arcs)];
    if critical {
        parts.push(boolean(true));
    }
    parts.push(octets(value));
    sequence(&parts)
}

fn extensions(request: &SigningRequest, usages: &[String], authority: Option<&[u8]>) -> Result<Vec<Vec<u8>>, Error> {
    let (mut bits, mut extended) = (0u16, Vec::new());
    for usage in usages {
        match usage.as_str() {
            "signing" | "digital signature" => bits |= 1,
            "content commitment" => bits |= 1 << 1,
            "key encipherment" => bits |= 1 << 2,
            "data encipherment" => bits |= 1 << 3,
            "key agreement" => bits |= 1 << 4,
            "cert sign" => bits |= 1 << 5,
            "crl sign" => bits |= 1 << 6,
            "encipher only" => bits |= 1 << 7,
            "decipher only" => bits |= 1 << 8,
            other => extended.push(oid(purpose(other).ok_or_else(|| Error::Certificate(format!("unrecognized usage: {other}")))?)),
        }
    }
    let mut all = Vec::new();
    if bits != 0 {
        all.push(extension(&[2, 5, 29, 15], true, &key_usage(bits)));
    }
    if !extended.is_empty() {
        all.push(extension(&[2, 5, 29, 37], false, &sequence(&extended)));
    }
    all.push(extension(&[2, 5, 29, 19], true, &sequence(&[])));
    if let Some(id) = authority {
        all.push(extension(&[2, 5, 29, 35], false, &sequence(&[context(0, id)])));
    }
    if let Some(names) = &request.alternative_names {
        // A certificate without a subject is known by these names alone.
        all.push(extension(&[2, 5, 29, 17], request.subject == [0x30, 0], names));
    }
    Ok(all)
}

/// Upstream: pkg/controller/certificates/authority/policies.go.
fn purpose(usage: &str) -> Option<&'static [u64]> {
    Some(match usage {
        "any" => &[2, 5, 29, 37, 0],
        "server auth" => &[1, 3, 6, 1, 5, 5, 7, 3, 1],
        "client auth" => &[1, 3, 6, 1, 5, 5, 7, 3, 2],
        "code signing" => &[1, 3, 6, 1, 5, 5, 7, 3, 3],
        "email protection" | "s/mime" => &[1, 3, 6, 1, 5, 5, 7, 3, 4],
        "ipsec end system" => &[1, 3, 6, 1, 5, 5, 7, 3, 5],
        "ipsec tunnel" => &[1, 3, 6, 1, 5, 5, 7, 3, 6],
        "ipsec user" => &[1, 3, 6, 1, 5, 5, 7, 3, 7],
        "timestamping" => &[1, 3, 6, 1, 5, 5, 7, 3, 8],
        "ocsp signing" => &[1, 3, 6, 1, 5, 5, 7, 3, 9],
        "microsoft sgc" => &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3],
        "netscape sgc" => &[2, 16, 840, 1, 113_730, 4, 1],
        _ => return None,
    })
}

/// Bit 0 is the first bit of the first byte; bits at the end that are not set are left out.
fn key_usage(bits: u16) -> Vec<u8> {
    let bytes = [(bits as u8).reverse_bits(), ((bits >> 8) as u8).reverse_bits()];
    let kept = if bytes[1] == 0 { &bytes[..1] } else { &bytes[..] };
    let unused = kept.last().map_or(0, |b| b.trailing_zeros());
    bit_string(u8::try_from(unused).unwrap_or(0), kept)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType};

    fn request(names: &[&str]) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 10]), "second");
        params.distinguished_name.push(DnType::CommonName, "system:node:a");
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_certificate_says_what_its_request_said() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "ca").unwrap();
        let asked = SigningRequest::parse(request(&["a.example", "10.0.0.1"]).as_bytes()).unwrap();
        assert_eq!((asked.common_name.as_str(), asked.organizations.as_slice(), asked.dns_names.as_slice(), asked.ips), ("system:node:a", ["system:nodes".to_owned(), "second".to_owned()].as_slice(), ["a.example".to_owned()].as_slice(), 1));
        let usages = ["digital signature", "server auth"].map(str::to_owned);
        let pem = authority.sign(&asked, &usages, Duration::from_secs(3600), SystemTime::now()).unwrap();
        let (_, block) = parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = block.parse_x509().unwrap();
        let (_, own) = parse_x509_pem(authority.cert_pem().as_bytes()).unwrap();
        certificate.verify_signature(Some(own.parse_x509().unwrap().public_key())).unwrap();
        assert_eq!(crate::peer_identity(&block.contents).unwrap(), ("system:node:a".to_owned(), vec!["system:nodes".to_owned(), "second".to_owned()]));
        assert!(!certificate.is_ca() && certificate.key_usage().unwrap().unwrap().value.digital_signature());
        assert!(certificate.extended_key_usage().unwrap().unwrap().value.server_auth);
        assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
        assert_eq!(certificate.validity().not_after.timestamp() - certificate.validity().not_before.timestamp(), 3900);
        assert!(authority.sign(&asked, &["world domination".to_owned()], Duration::from_secs(3600), SystemTime::now()).is_err());
    }

    #[test]
    fn a_request_signed_by_another_key_is_refused() {
        let good = request(&["a"]);
        let (_, block) = parse_x509_pem(good.as_bytes()).unwrap();
        let mut der = block.contents.clone();
        let at = der.len() - 5;
        der[at] ^= 1;
        let bad = pem(&der).replace("CERTIFICATE", "CERTIFICATE REQUEST");
        assert!(SigningRequest::parse(bad.as_bytes()).is_err());
        assert!(SigningRequest::parse(b"nonsense").is_err());
    }
}
