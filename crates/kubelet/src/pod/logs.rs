//! Container logs in the runtime's format: reading them across rotated files, following them, rotating and removing them.
//!
//! Never holds a whole file in memory. Keeps true: a follower sees every line once and ends when the container has ended and all is read.
//! A line is `TIME STREAM TAG TEXT`; the tag `P` means that the line goes on in the next one. Upstream: pkg/kubelet/kuberuntime/logs.

use std::collections::VecDeque;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cri::ReopenContainerLogRequest;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::mpsc;

use super::registry::PodHandle;
use crate::agent::Agent;
use file_events::{Inotify, WRITES};
use crate::paths::Paths;

const CHUNK: usize = 32 * 1024;
/// A line that never ends is given out in pieces.
const LINE_BYTES: usize = 1 << 20;
const ROTATE_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

/// What of a log is wanted.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    pub follow: bool,
    pub tail_lines: Option<u64>,
    pub since: Option<Timestamp>,
    pub timestamps: bool,
    pub limit_bytes: Option<u64>,
    /// Only `stdout` or `stderr`.
    pub stream: Option<String>,
}

struct Line<'a> {
    time: &'a str,
    stream: &'a str,
    partial: bool,
    text: &'a [u8],
}

fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stream = std::str::from_utf8(parts.next()?).ok()?;
    let tag = parts.next()?;
    Some(Line { time, stream, partial: tag.split(|b| *b == b':').next() == Some(b"P"), text: parts.next().unwrap_or_default() })
}

/// The files of one container's log, oldest first, the written one last.
fn files(log: &Path) -> Vec<PathBuf> {
    let name = log.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut rotated: Vec<PathBuf> = log
        .parent()
        .and_then(|dir| std::fs::read_dir(dir).ok())
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&format!("{name}."))))
        .collect();
    rotated.sort();
    rotated.push(log.to_path_buf());
    rotated
}

/// Where the last `lines` lines begin. Counts from the end, a chunk at a time.
fn tail_offset(path: &Path, lines: u64) -> io::Result<(u64, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut at = file.metadata()?.len();
    let (mut found, mut end, mut buffer) = (0, true, vec![0; CHUNK]);
    while at > 0 {
        let size = CHUNK.min(usize::try_from(at).unwrap_or(CHUNK));
        at -= size as u64;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut buffer[..size])?;
        for index in (0..size).rev() {
            if buffer[index] != b'\n' {
                end = false;
                continue;
            }
            // The last newline ends the last line rather than beginning one.
            if !std::mem::take(&mut end) {
                found += 1;
                if found == lines {
                    return Ok((at + index as u64 + 1, found));
                }
            }
        }
    }
    Ok((0, found + u64::from(!end)))
}

/// The text of the last lines, at most so many bytes of it.
pub fn tail_of_file(path: &Path, lines: u64, bytes: usize) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let (offset, _) = tail_offset(path, lines)?;
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut out = Vec::new();
        file.take(LINE_BYTES as u64).read_to_end(&mut out)?;
        Ok(out)
    };
    let raw = read().unwrap_or_default();
    let mut text = Vec::new();
    for line in raw.split(|b| *b == b'\n').filter_map(parse) {
        text.extend_from_slice(line.text);
        if !line.partial {
            text.push(b'\n');
        }
    }
    let from = text.len().saturating_sub(bytes);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

/// Sends the wanted part; ends when all is sent, or when the reader goes.
pub async fn stream(log: PathBuf, options: LogOptions, container_id: String, handle: Option<Arc<PodHandle>>, out: mpsc::Sender<Bytes>) -> io::Result<()> {
    let Some(dir) = log.parent().map(Path::to_path_buf) else { return Ok(()) };
    // Before the first read, so that no write falls between.
    let watch = if options.follow { Inotify::watch(&dir, WRITES).ok() } else { None };
    let mut reader = Reader { left: options.limit_bytes, options, out, rest: Vec::new() };
    let (lines, first) = (reader.options.tail_lines, log.clone());
    let queue = tokio::task::spawn_blocking(move || plan_files(&first, lines)).await.map_err(io::Error::other)?;
    let mut at = 0;
    for (path, offset) in queue {
        match reader.copy(&path, offset).await {
            Ok((end, true)) => at = end,
            Ok((_, false)) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let Some(watch) = watch else { return reader.flush().await };
    let mut changes = handle.as_ref().map(|h| h.changes());
    loop {
        // Asked before the read: what was written until the end is then in the file.
        let ended = handle.as_ref().is_none_or(|h| !h.is_running(&container_id));
        let length = tokio::fs::metadata(&log).await.map(|m| m.len()).unwrap_or(0);
        if length < at {
            at = 0;
        }
        match reader.copy(&log, at).await {
            Ok((end, true)) => at = end,
            Ok((_, false)) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => at = 0,
            Err(error) => return Err(error),
        }
        if ended {
            return reader.flush().await;
        }
        let changed = async {
            match changes.as_mut() {
                Some(changes) => drop(changes.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            seen = watch.changed() => seen?,
            () = changed => {}
            () = reader.out.closed() => return Ok(()),
        }
    }
}

/// Files with the offset to begin at.
fn plan_files(log: &Path, tail: Option<u64>) -> VecDeque<(PathBuf, u64)> {
    let mut queue = VecDeque::new();
    let Some(mut wanted) = tail else {
        queue.extend(files(log).into_iter().map(|f| (f, 0)));
        return queue;
    };
    for file in files(log).into_iter().rev() {
        if wanted == 0 {
            // Nothing of it, but a follower goes on from its end.
            if queue.is_empty() {
                let end = std::fs::metadata(&file).map(|m| m.len()).unwrap_or(0);
                queue.push_front((file, end));
            }
            break;
        }
        let (offset, found) = tail_offset(&file, wanted).unwrap_or((0, 0));
        wanted -= found.min(wanted);
        queue.push_front((file, offset));
    }
    queue
}

struct Reader {
    options: LogOptions,
    out: mpsc::Sender<Bytes>,
    left: Option<u64>,
    rest: Vec<u8>,
}

impl Reader {
    /// Copies from `offset` to the end. Returns where it came to and whether more is wanted.
    async fn copy(&mut self, path: &Path, offset: u64) -> io::Result<(u64, bool)> {
        let mut file = tokio::fs::File::open(path).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        let mut at = offset;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                return Ok((at, true));
            }
            at += read as u64;
            self.rest.extend_from_slice(&buffer[..read]);
            if !self.give_lines(false).await {
                return Ok((at, false));
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.give_lines(true).await;
        Ok(())
    }

    /// Gives out the whole lines that are there; false when no more is wanted.
    async fn give_lines(&mut self, last: bool) -> bool {
        let mut chunk = Vec::new();
        let mut begin = 0;
        while let Some(length) = self.rest[begin..].iter().position(|b| *b == b'\n') {
            append(&self.options, &self.rest[begin..begin + length], &mut chunk);
            begin += length + 1;
        }
        if (last || self.rest.len() - begin > LINE_BYTES) && begin < self.rest.len() {
            append(&self.options, &self.rest[begin..], &mut chunk);
            begin = self.rest.len();
        }
        self.rest.drain(..begin);
        if let Some(left) = self.left.as_mut() {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= chunk.len() as u64;
        }
        let more = self.left != Some(0);
        chunk.is_empty() && more || !chunk.is_empty() && self.out.send(Bytes::from(chunk)).await.is_ok() && more
    }
}

fn append(options: &LogOptions, raw: &[u8], out: &mut Vec<u8>) {
    let Some(line) = parse(raw) else { return };
    if options.stream.as_deref().is_some_and(|wanted| wanted != line.stream) {
        return;
    }
    if options.since.is_some_and(|since| line.time.parse::<Timestamp>().is_ok_and(|t| t < since)) {
        return;
    }
    if options.timestamps {
        out.extend_from_slice(line.time.as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(line.text);
    if !line.partial {
        out.push(b'\n');
    }
}

/// Removes a container's log with its rotated files.
pub fn remove_all(log: &Path) {
    for file in files(log) {
        let _ = std::fs::remove_file(file);
    }
}

/// Keeps the logs of running containers within their bounds until the shutdown.
pub async fn rotate(agent: Arc<Agent>) {
    let mut ticks = tokio::time::interval(ROTATE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = agent.shutdown.cancelled() => return,
        }
        for handle in agent.registry.all() {
            let dir = agent.paths.pod_logs_of(&handle.pod());
            for (name, count, id) in handle.running_containers() {
                rotate_one(&agent, &dir.join(Paths::container_log(&name, count)), &id).await;
            }
        }
    }
}

async fn rotate_one(agent: &Agent, log: &Path, id: &str) {
    let large = tokio::fs::metadata(log).await.is_ok_and(|m| m.len() > agent.config.log_max_bytes);
    if !large {
        return;
    }
    let stamp = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let rotated = PathBuf::from(format!("{}.{stamp}", log.display()));
    if let Err(error) = tokio::fs::rename(log, &rotated).await {
        tracing::warn!(log = %log.display(), %error, "log was not rotated");
        return;
    }
    if let Err(error) = agent.cri.reopen_container_log(ReopenContainerLogRequest { container_id: id.into() }).await {
        // The container still writes to the old file: give it its name back.
        tracing::warn!(log = %log.display(), %error, "rotated log was not reopened");
        let _ = tokio::fs::rename(&rotated, log).await;
        return;
    }
    let mut all = files(log);
    all.pop();
    let surplus = (all.len() + 1).saturating_sub(agent.config.log_max_files.max(1));
    for old in all.into_iter().take(surplus) {
        let _ = tokio::fs::remove_file(old).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(log: &Path, options: LogOptions) -> String {
        let (sender, mut receiver) = mpsc::channel(16);
        stream(log.to_path_buf(), options, String::new(), None, sender).await.unwrap();
        let mut out = Vec::new();
        while let Some(chunk) = receiver.recv().await {
            out.extend_from_slice(&chunk);
        }
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn reads_across_rotated_files() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("0.log");
        std::fs::write(dir.path().join("0.log.20260101-000000"), "2026-01-01T00:00:00Z stdout F a\n2026-01-01T00:00:01Z stderr F b\n").unwrap();
        std::fs::write(&log, "2026-01-01T00:00:02Z stdout P c\n2026-01-01T00:00:02Z stdout F d\n2026-01-01T00:00:03Z stdout F e\n").unwrap();
        assert_eq!(read(&log, LogOptions::default()).await, "a\nb\ncd\ne\n");
        assert_eq!(read(&log, LogOptions { tail_lines: Some(1), ..LogOptions::default() }).await, "e\n");
        assert_eq!(read(&log, LogOptions { tail_lines: Some(4), ..LogOptions::default() }).await, "b\ncd\ne\n");
        assert_eq!(read(&log, LogOptions { tail_lines: Some(0), ..LogOptions::default() }).await, "");
        assert_eq!(read(&log, LogOptions { since: "2026-01-01T00:00:03Z".parse().ok(), timestamps: true, ..LogOptions::default() }).await, "2026-01-01T00:00:03Z e\n");
        assert_eq!(read(&log, LogOptions { limit_bytes: Some(3), ..LogOptions::default() }).await, "a\nb");
        assert_eq!(read(&log, LogOptions { stream: Some("stderr".into()), ..LogOptions::default() }).await, "b\n");
        assert_eq!(tail_of_file(&log, 80, 4), "cd\ne\n"[1..].to_owned());
    }
}
