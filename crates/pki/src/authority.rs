//! A certificate authority on disk and the leaves it issues.
//!
//! Never overwrites an authority that exists, even a broken one. Keeps true: a leaf that is loaded matches its description,
//! was signed by this authority and has a third of its life left; otherwise it is issued anew.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::X509Certificate;

use crate::{Error, file, peer_identity};

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_DAYS: u32 = 3_650;
/// Clocks of two machines differ a little: certificates begin in the past.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// What a leaf certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaf {
    pub common_name: String,
    /// At most two: what the certificate builder can express.
    pub organizations: Vec<String>,
    pub dns_names: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub server: bool,
    pub client: bool,
    /// 0 means one year.
    pub days: u32,
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct Issued {
    pub cert_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

/// A certificate authority: signs leaves and names itself to clients.
pub struct Authority {
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Loads `dir/name.crt` and `dir/name.key`, or makes both. One without the other is an error, never a reason to start anew.
    pub fn load_or_create(dir: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        let (cert_path, key_path) = pair(dir.as_ref(), name);
        let (cert_pem, key_pem) = match (file::read_if_present(&cert_path)?, file::read_if_present(&key_path)?) {
            (Some(cert), Some(key)) => (cert, key),
            // The key is written first: with a key alone an interrupted first start goes on where it stopped.
            (None, key) => create(name, key, &cert_path, &key_path)?,
            (Some(_), None) => {
                return Err(Error::Corrupt { path: key_path, why: "the authority's key is missing while its certificate exists".into() });
            }
        };
        let corrupt = |path: &PathBuf, e: rcgen::Error| Error::Corrupt { path: path.clone(), why: e.to_string() };
        let key = KeyPair::from_pem(&key_pem).map_err(|e| corrupt(&key_path, e))?;
        let own = with_certificate(&cert_pem, |c| c.public_key().subject_public_key.data == key.public_key_raw());
        if own != Some(true) {
            return Err(Error::Corrupt { path: cert_path, why: format!("does not belong to {}", key_path.display()) });
        }
        let issuer = Issuer::from_ca_cert_pem(&cert_pem, key).map_err(|e| corrupt(&cert_path, e))?;
        Ok(Self { cert_pem, issuer })
    }

    /// The authority's own certificate, for clients to trust.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    pub(crate) fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// Issues a new key and certificate. Nothing is written.
    pub fn issue(&self, leaf: &Leaf) -> Result<Issued, Error> {
        let key = KeyPair::generate().map_err(Error::certificate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(leaf)?;
        params.subject_alt_names = alternative_names(leaf)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        if leaf.server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if leaf.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        let days = if leaf.days == 0 { 365 } else { leaf.days };
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + DAY * days).into();
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::certificate)?;
        Ok(Issued { cert_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Loads `dir/name.crt` and `dir/name.key` when they still serve, else issues and writes them.
    pub fn load_or_issue(&self, dir: impl AsRef<Path>, name: &str, leaf: &Leaf) -> Result<Issued, Error> {
        let (cert_path, key_path) = pair(dir.as_ref(), name);
        if let (Some(cert_pem), Some(key_pem)) = (file::read_if_present(&cert_path)?, file::read_if_present(&key_path)?)
            && self.still_serves(&cert_pem, &key_pem, leaf)
        {
            return Ok(Issued { cert_pem, key_pem });
        }
        let issued = self.issue(leaf)?;
        file::write_private(&key_path, issued.key_pem.as_bytes())?;
        file::write_private(&cert_path, issued.cert_pem.as_bytes())?;
        Ok(issued)
    }

    fn still_serves(&self, cert_pem: &str, key_pem: &str, leaf: &Leaf) -> bool {
        let Ok(key) = KeyPair::from_pem(key_pem) else { return false };
        let Ok((_, own)) = parse_x509_pem(self.cert_pem.as_bytes()) else { return false };
        let Ok(own) = own.parse_x509() else { return false };
        let Ok((_, pem)) = parse_x509_pem(cert_pem.as_bytes()) else { return false };
        let Ok(certificate) = pem.parse_x509() else { return false };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
        let Ok((name, mut groups)) = peer_identity(&pem.contents) else { return false };
        let mut wanted = leaf.organizations.clone();
        groups.sort();
        wanted.sort();
        from <= now
            && now < from + (until - from) / 3 * 2
            && name == leaf.common_name
            && groups == wanted
            && names_of(&certificate) == wanted_names(leaf)
            && certificate.public_key().subject_public_key.data == key.public_key_raw()
            && certificate.verify_signature(Some(own.public_key())).is_ok()
    }
}

fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")))
}

fn create(name: &str, key: Option<String>, cert_path: &Path, key_path: &Path) -> Result<(String, String), Error> {
    let key = match key {
        Some(pem) => KeyPair::from_pem(&pem).map_err(|e| Error::Corrupt { path: key_path.to_owned(), why: e.to_string() })?,
        None => KeyPair::generate().map_err(Error::certificate)?,
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + DAY * AUTHORITY_DAYS).into();
    let certificate = params.self_signed(&key).map_err(Error::certificate)?;
    let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
    file::write_private(key_path, key_pem.as_bytes())?;
    file::write_private(cert_path, cert_pem.as_bytes())?;
    Ok((cert_pem, key_pem))
}

fn subject(leaf: &Leaf) -> Result<DistinguishedName, Error> {
    let mut name = DistinguishedName::new();
    // The builder holds one value per attribute type; the same type spelled as a bare OID gives room for a second.
    let kinds = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    if leaf.organizations.len() > kinds.len() {
        return Err(Error::Certificate("more than two organizations".into()));
    }
    for (kind, value) in kinds.into_iter().zip(&leaf.organizations) {
        name.push(kind, value.as_str());
    }
    name.push(DnType::CommonName, leaf.common_name.as_str());
    Ok(name)
}

fn alternative_names(leaf: &Leaf) -> Result<Vec<SanType>, Error> {
    let mut names = Vec::new();
    for dns in &leaf.dns_names {
        names.push(SanType::DnsName(dns.as_str().try_into().map_err(Error::certificate)?));
    }
    names.extend(leaf.ips.iter().map(|ip| SanType::IpAddress(*ip)));
    Ok(names)
}

fn wanted_names(leaf: &Leaf) -> Vec<String> {
    let mut names: Vec<String> = leaf.dns_names.iter().cloned().chain(leaf.ips.iter().map(ToString::to_string)).collect();
    names.sort();
    names
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let mut names: Vec<String> = extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(dns) => Some((*dns).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
                _ => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            },
            _ => None,
        })
        .collect();
    names.sort();
    names
}

fn with_certificate<T>(cert_pem: &str, read: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let (_, pem) = parse_x509_pem(cert_pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    Some(read(&certificate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn leaf() -> Leaf {
        Leaf {
            common_name: "system:node:a".into(),
            organizations: vec!["system:nodes".into(), "extra".into()],
            dns_names: vec!["a.example".into(), "localhost".into()],
            ips: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            server: true,
            client: true,
            days: 0,
        }
    }

    #[test]
    fn a_leaf_is_kept_while_it_serves_and_replaced_when_its_description_changes() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(dir.path(), "ca").unwrap();
        let first = authority.load_or_issue(dir.path(), "node", &leaf()).unwrap();
        let again = Authority::load_or_create(dir.path(), "ca").unwrap();
        assert_eq!(again.cert_pem(), authority.cert_pem());
        assert_eq!(again.load_or_issue(dir.path(), "node", &leaf()).unwrap().cert_pem, first.cert_pem);
        let moved = Leaf { ips: vec!["10.0.0.1".parse().unwrap()], ..leaf() };
        assert_ne!(again.load_or_issue(dir.path(), "node", &moved).unwrap().cert_pem, first.cert_pem);
        let der = parse_x509_pem(first.cert_pem.as_bytes()).unwrap().1.contents;
        let (user, mut groups) = peer_identity(&der).unwrap();
        groups.sort();
        assert_eq!((user.as_str(), groups), ("system:node:a", vec!["extra".to_owned(), "system:nodes".to_owned()]));
        assert_eq!(std::fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_or_half_authority_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        Authority::load_or_create(dir.path(), "ca").unwrap();
        std::fs::write(dir.path().join("ca.crt"), "nonsense").unwrap();
        assert!(matches!(Authority::load_or_create(dir.path(), "ca"), Err(Error::Corrupt { .. })));
        assert_eq!(std::fs::read_to_string(dir.path().join("ca.crt")).unwrap(), "nonsense");
        std::fs::remove_file(dir.path().join("ca.key")).unwrap();
        assert!(matches!(Authority::load_or_create(dir.path(), "ca"), Err(Error::Corrupt { .. })));
    }
}
