//! The server as a process of its own: one per data folder, started detached, found again by its file.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use host::{Layout, Process, Waited};
use nix::fcntl::{Flock, FlockArg};

use crate::cli::ClusterArgs;
use crate::failure::failure;

const LOG_MAX: u64 = 10 << 20;
/// A killed process must give back its memory before it is gone; one that was asked to end answers what it was asked.
const ENDING: Duration = Duration::from_secs(90);

pub fn log_path(layout: &Layout) -> PathBuf {
    layout.logs().join("knarr.log")
}

/// The server of this data folder, if it runs.
pub fn running(layout: &Layout) -> Option<Process> {
    Process::from_file(&layout.server_pid())
}

fn ending_file(layout: &Layout) -> PathBuf {
    layout.server_pid().with_extension("ending")
}

/// The server that runs and goes on running: one that was killed or asked to end a moment ago is waited out.
pub async fn lasting(layout: &Layout) -> Option<Process> {
    // In this order: a signal is pending until its handler has made the mark, and the mark is made by renaming the file.
    while let Some(server) = running(layout) {
        if server.is_ending() {
            if server.wait(Some(ENDING)).await == Waited::StillRuns {
                return Some(server);
            }
        } else if running(layout) == Some(server) {
            return Some(server);
        }
    }
    if let Some(ending) = Process::from_file(&ending_file(layout)) {
        ending.wait(Some(ENDING)).await;
    }
    running(layout)
}

/// Held for as long as a server runs: a second one on the same data is refused.
pub struct Claim {
    _lock: Flock<File>,
    pid_file: PathBuf,
    ending_file: PathBuf,
    marks: Vec<signal_hook_registry::SigId>,
}

impl Claim {
    /// From now on this server counts as one that is about to be gone.
    pub fn ends(&self) {
        if let Err(error) = std::fs::rename(&self.pid_file, &self.ending_file) {
            tracing::debug!(%error, "the end was marked already, or could not be");
        }
    }

    /// Marks the end within the handlers of the signals that ask for it, so that nobody takes a server that was asked to end for a lasting one.
    fn mark_on_signals(&mut self) -> anyhow::Result<()> {
        for signal in [nix::libc::SIGTERM, nix::libc::SIGINT] {
            let from = CString::new(self.pid_file.as_os_str().as_bytes())?;
            let to = CString::new(self.ending_file.as_os_str().as_bytes())?;
            let mark = move || {
                // SAFETY: the texts live as long as the handler, and the kernel reads no further than their ends.
                unsafe { nix::libc::rename(from.as_ptr(), to.as_ptr()) };
            };
            // SAFETY: rename(2) is one of the calls that a handler may make; nothing is allocated or locked.
            self.marks.push(unsafe { signal_hook_registry::register(signal, mark) }.context("following signals")?);
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        for mark in self.marks.drain(..) {
            signal_hook_registry::unregister(mark);
        }
        let _ = std::fs::remove_file(&self.pid_file);
        let _ = std::fs::remove_file(&self.ending_file);
    }
}

pub fn claim(layout: &Layout) -> anyhow::Result<Claim> {
    for folder in [&layout.data, &layout.run, &layout.logs()] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let path = layout.data.join("server.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).with_context(|| path.display().to_string())?;
    let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        let who = running(layout).map_or_else(|| "another process".to_owned(), |p| format!("process {}", p.pid));
        return Err(failure(format!("a server runs on {} already ({who})", layout.data.display()), "`knarr status` shows it; `knarr down` ends it; --data-dir gives a second cluster"));
    };
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let own = Process::of(pid).context("reading this process's own entry in /proc")?;
    own.write(&layout.server_pid())?;
    let mut claim = Claim { _lock: lock, pid_file: layout.server_pid(), ending_file: ending_file(layout), marks: Vec::new() };
    claim.mark_on_signals()?;
    Ok(claim)
}

/// Starts `knarr server` in a session of its own. Its progress comes on its standard output, its log goes to the log file.
pub fn spawn(layout: &Layout, args: &ClusterArgs) -> anyhow::Result<Child> {
    std::fs::create_dir_all(layout.logs()).with_context(|| layout.logs().display().to_string())?;
    let path = log_path(layout);
    if std::fs::metadata(&path).is_ok_and(|facts| facts.len() > LOG_MAX) {
        let _ = std::fs::rename(&path, path.with_extension("log.1"));
    }
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).with_context(|| path.display().to_string())?;
    let program = std::env::current_exe().context("finding this program's own file")?;
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(&layout.data).arg("server").arg("--machine");
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command.arg(format!("--{name}={value}"));
        }
    };
    flag("name", args.name.clone());
    flag("port", args.port.map(|p| p.to_string()));
    flag("kubelet-port", args.kubelet_port.map(|p| p.to_string()));
    flag("node-name", args.node_name.clone());
    flag("node-ip", args.node_ip.map(|ip| ip.to_string()));
    flag("pod-cidr", args.pod_cidr.clone());
    flag("service-cidr", args.service_cidr.clone());
    let path = |p: &Option<std::path::PathBuf>| p.as_ref().map(|p| std::path::absolute(p).unwrap_or_else(|_| p.clone()).display().to_string());
    if !args.etcd.servers.is_empty() {
        flag("etcd-servers", Some(args.etcd.servers.join(",")));
        flag("etcd-cafile", path(&args.etcd.ca));
        flag("etcd-certfile", path(&args.etcd.certificate));
        flag("etcd-keyfile", path(&args.etcd.key));
        flag("etcd-prefix", Some(args.etcd.prefix.clone()));
        flag("etcd-healthcheck-timeout", args.etcd.health_timeout.clone());
        flag("etcd-readycheck-timeout", args.etcd.ready_timeout.clone());
    }
    command.args(args.access.words()?);
    if args.account_secrets {
        command.arg("--account-secrets");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).current_dir("/");
    // SAFETY: setsid is safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            Ok(())
        });
    }
    command.spawn().context("starting the server in the background")
}

/// Cuts the log of a server in the background when it is too long; it is written in append mode, so cutting is safe.
pub fn bound_log(layout: &Layout) {
    let path = log_path(layout);
    if std::fs::metadata(&path).is_ok_and(|facts| facts.len() > LOG_MAX) {
        let _ = std::fs::copy(&path, path.with_extension("log.1"));
        let _ = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(0));
    }
}

/// The last lines of the log.
pub fn log_tail(layout: &Layout, count: usize) -> String {
    let bytes = std::fs::read(log_path(layout)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(16 * 1024)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_was_asked_to_end_is_no_lasting_one_from_that_moment_on() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout { run: folder.path().join("run"), ..Layout::new(&folder.path().join("data")).unwrap() };
        let asked = crate::cluster::shutdown::on_signal().unwrap();
        let claim = claim(&layout).unwrap();
        let own = running(&layout);
        assert!(own.is_some() && lasting(&layout).await == own);
        assert!(super::claim(&layout).is_err());
        // Sent to this thread, a signal is handled before the call comes back; who follows it by tokio has heard nothing yet.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(running(&layout).is_none() && !asked.is_cancelled());
        assert_eq!(Process::from_file(&ending_file(&layout)), own);
        asked.cancelled().await;
        claim.ends();
        drop(claim);
        assert!(running(&layout).is_none() && lasting(&layout).await.is_none());
    }
}
