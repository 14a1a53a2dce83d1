//! A process known by number and start time, so that a reused number is never mistaken for it; its end is an event (pidfd), not a poll.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks since boot, from /proc/PID/stat.
    started: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    Ended,
    StillRuns,
}

impl Process {
    /// None when no such process lives. A zombie does not, but for one whose other threads still hold its files.
    pub fn of(pid: i32) -> Option<Self> {
        if pid <= 0 {
            return None;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may itself hold spaces and parentheses.
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
        let state = *fields.first()?;
        if state == "X" || state == "Z" && fields.get(17)?.parse::<u32>().ok()? < 2 {
            return None;
        }
        Some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    /// The process a file names, if it still lives.
    pub fn from_file(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let process = Self::of(pid.parse().ok()?)?;
        (process.started == started.parse::<u64>().ok()?).then_some(process)
    }

    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let next = path.with_extension("next");
        std::fs::write(&next, format!("{} {}\n", self.pid, self.started)).map_err(Error::file(&next))?;
        std::fs::rename(&next, path).map_err(Error::file(path))
    }

    pub fn lives(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// It lives, but was killed or asked to end and only takes its time to go: nothing it still does can be relied on.
    ///
    /// That it was asked is seen for as long as it has not taken the signal.
    pub fn is_ending(&self) -> bool {
        const PF_EXITING: u64 = 0x4;
        const ENDS: u64 = (1 << (libc::SIGKILL - 1)) | (1 << (libc::SIGTERM - 1)) | (1 << (libc::SIGINT - 1));
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rfind(')').and_then(|at| stat.get(at + 2..)).map(|rest| rest.split(' ').collect()).unwrap_or_default();
        let flags = fields.get(6).and_then(|flags| flags.parse::<u64>().ok());
        let status = read("status");
        let pending = |line: &str| ["SigPnd:", "ShdPnd:"].iter().find_map(|name| u64::from_str_radix(line.strip_prefix(name)?.trim(), 16).ok());
        fields.first() == Some(&"Z") || flags.is_some_and(|flags| flags & PF_EXITING != 0) || status.lines().filter_map(pending).any(|set| set & ENDS != 0)
    }

    pub fn signal(&self, signal: Signal) {
        if self.lives() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits for the end, for at most `limit`.
    pub async fn wait(&self, limit: Option<Duration>) -> Waited {
        let Some(end) = self.watch() else { return Waited::Ended };
        let ended = async {
            let _ = end.readable().await;
        };
        match limit {
            None => ended.await,
            Some(limit) => {
                if tokio::time::timeout(limit, ended).await.is_err() {
                    return Waited::StillRuns;
                }
            }
        }
        Waited::Ended
    }

    /// Asks to end, and makes it end when it does not within `grace`.
    pub async fn stop(&self, grace: Duration) -> Waited {
        self.signal(Signal::SIGTERM);
        if self.wait(Some(grace)).await == Waited::Ended {
            return Waited::Ended;
        }
        self.signal(Signal::SIGKILL);
        self.wait(Some(Duration::from_secs(5))).await
    }

    fn watch(&self) -> Option<AsyncFd<OwnedFd>> {
        // SAFETY: a plain system call with two numbers; the descriptor it gives is owned from here on.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, libc::PIDFD_NONBLOCK) };
        if fd < 0 || !self.lives() {
            return None;
        }
        // SAFETY: as above.
        let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).ok()?) };
        debug_assert!(fd.as_raw_fd() >= 0);
        // SAFETY: the descriptor is owned, so it stays open and the same until it is deregistered.
        unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.ok()
    }
}

/// Every living process, with its command line.
pub(crate) fn all() -> Vec<(Process, Vec<String>)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let words = line.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
            Some((Process::of(pid)?, words))
        })
        .collect()
}

/// Whether this process may lower oom scores (CAP_SYS_RESOURCE), and with it its children.
pub fn may_lower_oom_score() -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    effective.is_some_and(|set| set & CAP_SYS_RESOURCE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_known_until_it_ends_and_its_number_alone_is_not_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("host-process-test-{}", std::process::id()));
        process.write(&file).unwrap();
        assert_eq!(Process::from_file(&file), Some(process));
        std::fs::write(&file, format!("{} {}\n", process.pid, process.started + 1)).unwrap();
        assert_eq!(Process::from_file(&file), None, "another process of the same number");
        assert_eq!(process.wait(Some(Duration::from_millis(1))).await, Waited::StillRuns);
        assert_eq!(process.stop(Duration::from_secs(5)).await, Waited::Ended);
        child.wait().unwrap();
        assert!(!process.lives());
        std::fs::remove_file(file).unwrap();
    }
}
