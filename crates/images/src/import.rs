//! Brings image archives into containerd through its own tool `ctr`, which comes in the same package.
//!
//! Never pulls. Keeps true: an archive of DATA/images is imported once per content (size and time of the file), not at every start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The namespace in which the CRI plugin looks for images.
const NAMESPACE: &str = "k8s.io";
const IMPORT_TIME: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// `ctr` is not there or does not start.
    #[error("could not run `ctr` (it comes with containerd): {0}")]
    Tool(std::io::Error),
    /// containerd did not take the archive.
    #[error("containerd refused {what}: {why}")]
    Refused { what: String, why: String },
    #[error("containerd took longer than {} s over {what}", IMPORT_TIME.as_secs())]
    Late { what: String },
}

/// Imports into the containerd behind one socket.
pub struct Importer {
    socket: PathBuf,
    /// Remembers what was imported already.
    ledger: PathBuf,
}

impl Importer {
    pub fn new(socket: impl Into<PathBuf>, ledger: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), ledger: ledger.into() }
    }

    /// Imports the built-in images unless the present build's were imported already. True when it had to.
    pub async fn import_builtin(&self) -> Result<bool, Error> {
        let archive = crate::builtin_archive();
        let mark = Sha256::digest(&archive).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let mut ledger = self.read_ledger();
        if ledger.get("builtin") == Some(&json!(mark)) {
            return Ok(false);
        }
        self.run("the built-in images", "-", Some(&archive)).await?;
        ledger.insert("builtin".into(), json!(mark));
        self.write_ledger(&ledger)?;
        Ok(true)
    }

    /// Imports one archive (docker-save or OCI layout); gives the references it brought.
    pub async fn import_file(&self, path: &Path) -> Result<Vec<String>, Error> {
        let path = path.canonicalize().map_err(|source| Error::File { path: path.to_owned(), source })?;
        let what = path.display().to_string();
        let said = self.run(&what, &what, None).await?;
        Ok(references(&said))
    }

    /// Imports each new or changed `*.tar` of a folder. One bad archive does not keep the others out.
    pub async fn import_folder(&self, folder: &Path) -> Vec<(PathBuf, Result<Vec<String>, Error>)> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "tar")).collect();
        paths.sort();
        let mut ledger = self.read_ledger();
        let mut done = Vec::new();
        for path in paths {
            let key = path.display().to_string();
            let mark = mark_of(&path);
            if mark.is_some() && ledger.get(&key) == mark.as_ref() {
                continue;
            }
            let result = self.import_file(&path).await;
            if let (Ok(_), Some(mark)) = (&result, mark) {
                ledger.insert(key, mark);
                if let Err(error) = self.write_ledger(&ledger) {
                    tracing::warn!(%error, "import ledger was not written");
                }
            }
            done.push((path, result));
        }
        done
    }

    async fn run(&self, what: &str, source: &str, input: Option<&[u8]>) -> Result<String, Error> {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.socket).args(["--namespace", NAMESPACE, "images", "import", source]);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::Tool)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(bytes)) = (stdin, input) {
                // A tool that stops reading says why on its own error stream.
                let _ = stdin.write_all(bytes).await;
            }
        };
        let whole = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = tokio::time::timeout(IMPORT_TIME, whole).await.map_err(|_| Error::Late { what: what.into() })?.map_err(Error::Tool)?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().chars().take(2_000).collect();
            return Err(Error::Refused { what: what.into(), why });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn read_ledger(&self) -> BTreeMap<String, Value> {
        std::fs::read(&self.ledger).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write_ledger(&self, ledger: &BTreeMap<String, Value>) -> Result<(), Error> {
        let failed = |source| Error::File { path: self.ledger.clone(), source };
        let next = self.ledger.with_extension("next");
        std::fs::write(&next, json!(ledger).to_string()).map_err(failed)?;
        std::fs::rename(&next, &self.ledger).map_err(failed)
    }
}

fn mark_of(path: &Path) -> Option<Value> {
    let facts = std::fs::metadata(path).ok()?;
    let time = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos().to_string();
    Some(json!([facts.len(), time]))
}

/// `ctr` says `unpacking docker.io/library/x:1 (sha256:...)...done` for each image.
fn references(said: &str) -> Vec<String> {
    said.lines().filter_map(|line| line.trim().strip_prefix("unpacking ")?.split_whitespace().next().map(str::to_owned)).collect()
}
