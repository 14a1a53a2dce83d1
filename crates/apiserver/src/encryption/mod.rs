//! Encryption at rest: which tables, and with whose keys.
//!
//! On by default for Secrets, with keys of its own. Upstream leaves it off until an `EncryptionConfiguration` is written.
//!
//! Differs: what is encrypted lies there in this store's own form (see `store`): one data key for each opening, wrapped by
//! the provider that comes first. A provider's key wraps that data key and nothing else, whatever the provider's name says.

pub mod configuration;
pub mod plugins;

use std::io;
use std::path::Path;
use std::sync::Arc;

use configuration::{Group, Provider};
use arc_swap::ArcSwap;
use kms::EncryptResponse;
use pki::{Keyring, SecretKey};
use prost::Message as _;
use store::{DataKey, SealOptions, WrapKeys};
use tokio::sync::Notify;

use crate::config::Config;
use crate::server::{Server, StartError};

const TABLES: [&str; 1] = ["/registry/secrets"];
const KEY_FILE: &str = "encryption.json";
/// What wrapped keys begin with; those of the key file begin with the number of a key, which is small.
const BY_KEY: u8 = 0xc1;
const BY_PLUGIN: u8 = 0xc2;

/// How it is encrypted now.
pub struct Encryption {
    current: ArcSwap<Configured>,
    /// Another configuration counts.
    pub(crate) changed: Notify,
}

/// What a configuration comes to.
#[derive(Clone)]
pub struct Configured {
    tables: Vec<String>,
    chain: Arc<Chain>,
}

impl Encryption {
    pub fn new(config: &Config) -> Result<Self, StartError> {
        let configured = if let Some(file) = &config.encryption {
            Configured::of(&file.text, &config.pki_dir).map_err(|why| StartError::Config(format!("--encryption-provider-config: {why}")))?
        } else {
            let chain = Chain { file: Some(Keyring::load_or_create(config.pki_dir.join(KEY_FILE))?), ..Chain::default() };
            Configured { tables: TABLES.map(str::to_owned).into(), chain: Arc::new(chain) }
        };
        Ok(Self { current: ArcSwap::from_pointee(configured), changed: Notify::new() })
    }

    pub fn options(&self) -> SealOptions {
        self.current.load().options()
    }

    /// Encrypts as another configuration says from now on. Blocks while plugins are asked.
    pub fn renew(&self, server: &Server, text: &str) -> Result<(), String> {
        let configured = Configured::of(text, &server.config.pki_dir)?;
        server.store.renew_seal(configured.options()).map_err(|e| e.to_string())?;
        self.current.store(Arc::new(configured));
        self.changed.notify_one();
        Ok(())
    }
}

impl Configured {
    fn of(text: &str, pki_dir: &Path) -> Result<Self, String> {
        let groups = configuration::read(text)?;
        Ok(Self { chain: Arc::new(Chain::of(&groups, pki_dir)?), tables: tables(&groups) })
    }

    fn options(&self) -> SealOptions {
        SealOptions { tables: self.tables.clone(), keys: self.chain.clone() }
    }
}

/// The tables of all groups whose first provider encrypts. Upstream: of several groups with a resource the first counts.
fn tables(groups: &[Group]) -> Vec<String> {
    let writes = |group: &Group| !matches!(group.providers.first(), None | Some(Provider::Identity));
    let mut tables = Vec::new();
    for resource in catalog::builtin() {
        let group = groups.iter().find(|g| g.resources.iter().any(|name| names(name, &resource.group, &resource.plural)));
        if group.is_some_and(writes) && !tables.contains(&resource.table.to_string()) {
            tables.push(resource.table.to_string());
        }
    }
    // Kinds that are defined later: by group, or by name.
    for name in groups.iter().filter(|g| writes(g)).flat_map(|g| &g.resources) {
        match name.split_once('.') {
            Some(("*", "*")) => tables.push("/registry/".into()),
            Some(("*", group)) if group.contains('.') => tables.push(format!("/registry/{group}/")),
            Some((plural, group)) if group.contains('.') => tables.push(format!("/registry/{group}/{plural}")),
            _ => {}
        }
    }
    tables
}

fn names(name: &str, group: &str, plural: &str) -> bool {
    let (of_plural, of_group) = name.split_once('.').unwrap_or((name, ""));
    (of_plural == "*" || of_plural == plural) && (of_group == "*" || of_group == group)
}

/// All who may have wrapped a data key; the first wraps.
#[derive(Default)]
struct Chain {
    keys: Vec<SecretKey>,
    plugins: Vec<plugins::Kms>,
    file: Option<Keyring>,
    /// Who wraps, by name; none: the key file.
    writer: Option<String>,
}

impl Chain {
    fn of(groups: &[Group], pki_dir: &Path) -> Result<Self, String> {
        let mut chain = Self::default();
        for provider in groups.iter().flat_map(|g| &g.providers) {
            match provider {
                Provider::Identity => {}
                Provider::Keys(keys) => {
                    for (name, secret) in keys {
                        chain.keys.push(SecretKey::new(name, secret).map_err(|e| e.to_string())?);
                    }
                }
                Provider::Kms { name, socket, timeout } => chain.plugins.push(plugins::Kms::new(name, socket, *timeout)?),
            }
        }
        let first = |group: &Group| match group.providers.first()? {
            Provider::Identity => None,
            Provider::Keys(keys) => keys.first().map(|(name, _)| name.clone()),
            Provider::Kms { name, .. } => Some(format!("kms/{name}")),
        };
        let mut writers = groups.iter().filter_map(first);
        chain.writer = writers.next();
        if let Some(other) = writers.find(|other| Some(other) != chain.writer.as_ref()) {
            let one = chain.writer.unwrap_or_default();
            return Err(format!("{one} and {other} are both first among their providers: one key encrypts all that is encrypted here, so put the same one first everywhere"));
        }
        // What was encrypted before there was a configuration must stay readable, and somebody must wrap.
        let path = pki_dir.join(KEY_FILE);
        if chain.writer.is_none() || path.exists() {
            chain.file = Some(Keyring::load_or_create(path).map_err(|e| e.to_string())?);
        }
        Ok(chain)
    }

    fn by_plugin(&self, wrapped: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some((name, rest)) = named(wrapped) else { return Ok(None) };
        let Some(kms) = self.plugins.iter().find(|kms| kms.name == name) else { return Ok(None) };
        let encrypted = EncryptResponse::decode(rest).map_err(io::Error::other)?;
        kms.plugin.decrypt(encrypted).map(Some).map_err(io::Error::other)
    }
}

/// A length and a name, then the rest.
fn named(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(u16::from_be_bytes(*size).into())?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

fn with_name(mark: u8, name: &str, rest: &[u8]) -> io::Result<Vec<u8>> {
    let size = u16::try_from(name.len()).map_err(io::Error::other)?;
    Ok([&[mark][..], &size.to_be_bytes(), name.as_bytes(), rest].concat())
}

impl WrapKeys for Chain {
    fn wrap(&self, key: &DataKey) -> io::Result<Vec<u8>> {
        let Some(writer) = &self.writer else {
            let file = self.file.as_ref().ok_or_else(|| io::Error::other("there is no key to encrypt with"))?;
            return file.wrap(key).map_err(io::Error::other);
        };
        if let Some(plugin) = writer.strip_prefix("kms/")
            && let Some(kms) = self.plugins.iter().find(|kms| kms.name == plugin)
        {
            return with_name(BY_PLUGIN, &kms.name, &kms.wrap(key).map_err(io::Error::other)?.encode_to_vec());
        }
        let secret = self.keys.iter().find(|k| k.name() == writer).ok_or_else(|| io::Error::other(format!("there is no key {writer}")))?;
        with_name(BY_KEY, writer, &secret.wrap(key).map_err(io::Error::other)?)
    }

    fn unwrap(&self, wrapped: &[u8]) -> io::Result<DataKey> {
        let denied = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
        let (plain, lost) = match wrapped.split_first() {
            Some((&BY_KEY, rest)) => {
                let (name, sealed) = named(rest).unwrap_or_default();
                let plain = self.keys.iter().filter(|k| k.name() == name).find_map(|k| k.unwrap(sealed));
                (plain, format!("it holds values encrypted with the key {name}, which --encryption-provider-config lacks: put it back among the providers"))
            }
            Some((&BY_PLUGIN, rest)) => {
                let name = named(rest).unwrap_or_default().0;
                (self.by_plugin(rest)?, format!("it holds values whose key the KMS provider {name:?} keeps, which --encryption-provider-config lacks: put it back among the providers"))
            }
            _ => {
                let plain = self.file.as_ref().and_then(|file| file.unwrap(wrapped));
                let path = self.file.as_ref().map_or(KEY_FILE.to_owned(), |file| file.path().display().to_string());
                (plain, format!("it holds values encrypted with a key that {path} lacks: put the file back as it was"))
            }
        };
        plain.and_then(|key| key.try_into().ok()).ok_or_else(|| denied(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(text: &str, folder: &Path) -> Result<(Chain, Vec<String>), String> {
        let groups = configuration::read(&format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n{text}"))?;
        Ok((Chain::of(&groups, folder)?, tables(&groups)))
    }

    const ONE: &str = "{aesgcm: {keys: [{name: one, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}";
    const TWO: &str = "{secretbox: {keys: [{name: two, secret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}]}}";

    #[test]
    fn the_first_provider_wraps_and_all_unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let of = |providers: &str| chain(&format!("- resources: [secrets]\n  providers: [{providers}]\n"), folder.path()).unwrap().0;
        let key = [7; 32];
        let by_one = of(ONE).wrap(&key).unwrap();
        let rotated = of(&format!("{TWO}, {ONE}"));
        assert_eq!(rotated.unwrap(&by_one).unwrap(), key);
        let by_two = rotated.wrap(&key).unwrap();
        let lost = of(ONE).unwrap(&by_two).unwrap_err();
        assert!(lost.kind() == io::ErrorKind::PermissionDenied && lost.to_string().contains("the key secretbox/two"), "{lost}");
        // What the key file wrapped before, and what is written when nothing is encrypted any more.
        let file = Chain { file: Some(Keyring::load_or_create(folder.path().join(KEY_FILE)).unwrap()), ..Chain::default() };
        let by_file = file.wrap(&key).unwrap();
        assert_eq!(of(ONE).unwrap(&by_file).unwrap(), key);
        let plain = of(&format!("{{identity: {{}}}}, {ONE}"));
        assert_eq!(plain.unwrap(&by_one).unwrap(), key);
        assert_eq!(file.unwrap(&plain.wrap(&key).unwrap()).unwrap(), key);
        for broken in [&b""[..], &[BY_KEY], &[BY_PLUGIN, 0, 9, 1], &by_one[..20]] {
            assert!(rotated.unwrap(broken).is_err());
        }
    }

    #[test]
    fn resources_are_tables() {
        let folder = tempfile::tempdir().unwrap();
        let of = |names: &str| chain(&format!("- resources: [{names}]\n  providers: [{ONE}]\n"), folder.path()).unwrap().1;
        let mut both = of("secrets, configmaps");
        both.sort();
        assert_eq!(both, ["/registry/configmaps", "/registry/secrets"]);
        assert!(of("'*.apps'").contains(&"/registry/deployments".to_owned()) && !of("'*.apps'").contains(&"/registry/secrets".to_owned()));
        assert!(of("'*.*'").contains(&"/registry/".to_owned()));
        assert_eq!(of("pandas.bears.example"), ["/registry/bears.example/pandas"]);
        let text = format!("- resources: [secrets]\n  providers: [{{identity: {{}}}}]\n- resources: ['*.']\n  providers: [{ONE}]\n");
        let some = chain(&text, folder.path()).unwrap().1;
        assert!(!some.contains(&"/registry/secrets".to_owned()) && some.contains(&"/registry/configmaps".to_owned()));
        let twice = format!("- resources: [secrets]\n  providers: [{ONE}]\n- resources: [configmaps]\n  providers: [{TWO}]\n");
        assert!(chain(&twice, folder.path()).err().unwrap_or_default().contains("put the same one first everywhere"));
    }
}
