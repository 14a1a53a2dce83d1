//! Files that the configuration names: their texts as they were read, and where they are.

use std::io;
use std::path::{Path, PathBuf};

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

impl ConfigFile {
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        Ok(Self { text: std::fs::read_to_string(&path)?, path })
    }

    /// What the file holds now.
    pub fn now(&self) -> Result<String, String> {
        std::fs::read_to_string(&self.path).map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct PairFiles {
    pub certificate: ConfigFile,
    pub key: ConfigFile,
    /// Names that it is shown for; none: those it holds.
    pub names: Vec<String>,
}

impl PairFiles {
    pub fn read(certificate: &Path, key: &Path, names: Vec<String>) -> io::Result<Self> {
        Ok(Self { certificate: ConfigFile::read(certificate)?, key: ConfigFile::read(key)?, names })
    }
}

/// What the server shows instead of its own certificate, or for other names.
#[derive(Debug, Clone, Default)]
pub struct ServingFiles {
    /// `--tls-cert-file`, `--tls-private-key-file`.
    pub usual: Option<PairFiles>,
    /// `--tls-sni-cert-key`.
    pub named: Vec<PairFiles>,
}

impl ServingFiles {
    pub fn files(&self) -> impl Iterator<Item = &ConfigFile> {
        self.usual.iter().chain(&self.named).flat_map(|pair| [&pair.certificate, &pair.key])
    }
}
