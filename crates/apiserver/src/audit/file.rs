//! The file of the record: one thread writes, lines come through a bounded queue, old files are renamed and removed.
//!
//! Upstream: lumberjack's names, `audit-2006-01-02T15-04-05.000.log` beside `audit.log`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backends::Queued;
use super::backends::batch::Batches;
use super::settings::AuditLogConfig;

/// Lines that are written in one piece.
const GROUP: usize = 4096;

/// Opens the file and starts the thread that writes it.
pub fn start(config: AuditLogConfig, hurry: CancellationToken) -> io::Result<mpsc::Sender<Queued>> {
    let (lines, waiting) = mpsc::channel(config.delivery.buffer);
    let path = config.path.clone();
    let mut groups = match config.batch {
        Some(batch) => Groups::Gathered(Handle::current(), Batches::new(waiting, batch, hurry)),
        None => Groups::AtOnce(waiting),
    };
    let mut out: Box<dyn Lines> = if path == Path::new("-") { Box::new(io::stdout()) } else { Box::new(Rotated::open(config)?) };
    let run = move || {
        let mut group: Vec<Queued> = Vec::new();
        while groups.next(&mut group) {
            let text: Vec<u8> = group.iter().flat_map(|line| line.bytes.iter().copied().chain([b'\n'])).collect();
            let written = out.write(&text);
            if let Err(error) = &written {
                tracing::error!(%error, path = %path.display(), "could not write the audit log");
            }
            group.drain(..).for_each(|line| line.done(written.is_ok()));
        }
    };
    std::thread::Builder::new().name("audit".into()).spawn(run)?;
    Ok(lines)
}

/// What is written in one piece.
enum Groups {
    /// All that waits.
    AtOnce(mpsc::Receiver<Queued>),
    Gathered(Handle, Batches),
}

impl Groups {
    /// False at the end.
    fn next(&mut self, group: &mut Vec<Queued>) -> bool {
        match self {
            Self::AtOnce(waiting) => waiting.blocking_recv_many(group, GROUP) > 0,
            Self::Gathered(runtime, batches) => match runtime.block_on(batches.next()) {
                Some(next) => {
                    *group = next;
                    true
                }
                None => false,
            },
        }
    }
}

/// Where lines are written.
trait Lines: Send {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Lines for io::Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

struct Rotated {
    config: AuditLogConfig,
    file: File,
    len: u64,
}

impl Lines for Rotated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len + bytes.len() as u64 > self.config.max_bytes {
            self.rotate()?;
        }
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Rotated {
    fn open(config: AuditLogConfig) -> io::Result<Self> {
        if let Some(folder) = config.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = create(&config.path)?;
        let len = file.metadata()?.len();
        Ok(Self { config, file, len })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let stem = self.config.path.file_stem().and_then(|s| s.to_str()).unwrap_or("audit").to_owned();
        let when = Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S.%3f").to_string();
        let old = self.config.path.with_file_name(format!("{stem}-{when}.log"));
        fs::rename(&self.config.path, &old)?;
        self.file = create(&self.config.path)?;
        self.len = 0;
        if self.config.compress {
            compress(&old)?;
        }
        self.remove_old(&stem)
    }

    fn remove_old(&self, stem: &str) -> io::Result<()> {
        let Some(folder) = self.config.path.parent() else { return Ok(()) };
        let prefix = format!("{stem}-");
        let mut old: Vec<PathBuf> = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&prefix) && (n.ends_with(".log") || n.ends_with(".log.gz"))))
            .collect();
        old.sort();
        // Upstream: 0 keeps all.
        let too_many = if self.config.max_files == 0 { 0 } else { old.len().saturating_sub(self.config.max_files) };
        let kept = Duration::from_secs(u64::from(self.config.max_days) * 86_400);
        let oldest = SystemTime::now().checked_sub(kept).filter(|_| !kept.is_zero());
        for (at, path) in old.iter().enumerate() {
            let modified = fs::metadata(path)?.modified()?;
            if at < too_many || oldest.is_some_and(|oldest| modified < oldest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Exchanges a file for a compressed one.
fn compress(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&name)?;
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::settings::AuditConfig;

    #[test]
    fn files_are_bounded_in_size_and_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = AuditLogConfig { max_bytes: 100, max_files: 3, compress: true, ..AuditConfig::at(folder.path().join("audit.log")).log };
        let mut file = Rotated::open(config).expect("a new file");
        for n in 0..40 {
            file.write(format!("{{\"line\": {n}, \"padding\": \"{}\"}}\n", "x".repeat(30)).as_bytes()).expect("room");
            // Names tell milliseconds apart.
            while fs::metadata(&file.config.path).expect("the file").modified().expect("a time").elapsed().unwrap_or_default() < Duration::from_millis(2) {
                std::thread::yield_now();
            }
        }
        let files: Vec<u64> = fs::read_dir(folder.path()).expect("the folder").map(|e| e.expect("an entry").metadata().expect("a file").len()).collect();
        assert!(files.len() == 4 && files.iter().all(|len| *len <= 100), "{files:?}");
        let compressed = fs::read_dir(folder.path()).expect("the folder").filter(|e| e.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|x| x == "gz"))).count();
        assert_eq!(compressed, 3);
        let text = fs::read_to_string(folder.path().join("audit.log")).expect("the file");
        assert!(text.contains("\"line\": 39"));
    }
}
