//! The file of the record: one thread writes, lines come through a bounded queue, old files are renamed and removed.
//!
//! Upstream: lumberjack's names, `audit-2006-01-02T15-04-05.000.log` beside `audit.log`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::AuditConfig;

const QUEUE: usize = 4096;

/// The end of the queue that requests hold.
#[derive(Clone)]
pub struct AuditLog {
    lines: mpsc::Sender<Vec<u8>>,
}

impl AuditLog {
    /// Opens the file and starts its thread.
    pub fn open(config: AuditConfig) -> io::Result<Self> {
        let mut file = Rotated::open(config)?;
        let (lines, mut waiting) = mpsc::channel(QUEUE);
        let run = move || {
            let mut group: Vec<Vec<u8>> = Vec::new();
            while waiting.blocking_recv_many(&mut group, QUEUE) > 0 {
                if let Err(error) = file.write(&group.concat()) {
                    tracing::error!(%error, path = %file.config.path.display(), "could not write the audit log");
                }
                group.clear();
            }
        };
        std::thread::Builder::new().name("audit".into()).spawn(run)?;
        Ok(Self { lines })
    }

    /// Queues a line; waits where the disk is slower than the requests.
    pub async fn put(&self, line: Vec<u8>) {
        // The thread ends only with the last handle.
        let _ = self.lines.send(line).await;
    }
}

struct Rotated {
    config: AuditConfig,
    file: File,
    len: u64,
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Rotated {
    fn open(config: AuditConfig) -> io::Result<Self> {
        if let Some(folder) = config.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = create(&config.path)?;
        let len = file.metadata()?.len();
        Ok(Self { config, file, len })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len + bytes.len() as u64 > self.config.max_bytes {
            self.rotate()?;
        }
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let stem = self.config.path.file_stem().and_then(|s| s.to_str()).unwrap_or("audit").to_owned();
        let when = Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S.%3f").to_string();
        fs::rename(&self.config.path, self.config.path.with_file_name(format!("{stem}-{when}.log")))?;
        self.file = create(&self.config.path)?;
        self.len = 0;
        self.remove_old(&stem)
    }

    fn remove_old(&self, stem: &str) -> io::Result<()> {
        let Some(folder) = self.config.path.parent() else { return Ok(()) };
        let prefix = format!("{stem}-");
        let mut old: Vec<PathBuf> = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&prefix) && n.ends_with(".log")))
            .collect();
        old.sort();
        let too_many = old.len().saturating_sub(self.config.max_files);
        let oldest = SystemTime::now().checked_sub(Duration::from_secs(u64::from(self.config.max_days) * 86_400));
        for (at, path) in old.iter().enumerate() {
            let modified = fs::metadata(path)?.modified()?;
            if at < too_many || oldest.is_some_and(|oldest| modified < oldest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bounded_in_size_and_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = AuditConfig { max_bytes: 100, max_files: 3, ..AuditConfig::at(folder.path().join("audit.log")) };
        let mut file = Rotated::open(config).expect("a new file");
        for n in 0..40 {
            file.write(format!("{{\"line\": {n}, \"padding\": \"{}\"}}\n", "x".repeat(30)).as_bytes()).expect("room");
            // Names tell milliseconds apart.
            while fs::metadata(&file.config.path).expect("the file").modified().expect("a time").elapsed().unwrap_or_default() < Duration::from_millis(2) {
                std::thread::yield_now();
            }
        }
        let files: Vec<u64> = fs::read_dir(folder.path()).expect("the folder").map(|e| e.expect("an entry").metadata().expect("a file").len()).collect();
        assert!(files.len() <= 4 && files.iter().all(|len| *len <= 100), "{files:?}");
        let text = fs::read_to_string(folder.path().join("audit.log")).expect("the file");
        assert!(text.contains("\"line\": 39"));
    }
}
