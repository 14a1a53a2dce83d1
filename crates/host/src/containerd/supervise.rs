//! Starts containerd in its own session, adopts one that runs, and starts it again when it ends.
//!
//! Keeps true: containerd outlives this process; a new start of knarr finds it by its file of process id and start time.

use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::{UnixDatagram, UnixStream};

use crate::{ContainerdConfig, Error, Layout, Process, Waited};

const READY_TIME: Duration = Duration::from_secs(30);
const LOG_MAX: u64 = 10 << 20;
const LOG_LOOK: Duration = Duration::from_secs(60);
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A containerd that lived so long is started again at once.
const STEADY: Duration = Duration::from_secs(60);

/// A running containerd.
pub struct Containerd {
    layout: Layout,
    config: ContainerdConfig,
    process: Process,
    child: Option<Child>,
    pub adopted: bool,
}

impl Containerd {
    /// Adopts the one that runs, or starts one and waits until it serves.
    pub async fn ensure(layout: &Layout, config: &ContainerdConfig) -> Result<Self, Error> {
        if let Some(process) = Self::running(layout)
            && UnixStream::connect(layout.containerd_socket()).await.is_ok()
        {
            return Ok(Self { layout: layout.clone(), config: config.clone(), process, child: None, adopted: true });
        }
        Self::start(layout, config).await
    }

    /// The process of this cluster's containerd, if it lives.
    pub fn running(layout: &Layout) -> Option<Process> {
        Process::from_file(&layout.containerd_pid())
    }

    pub fn process(&self) -> Process {
        self.process
    }

    /// Watches over it for ever: returns only by being dropped. Losing it is said once per loss.
    pub async fn supervise(mut self) {
        let mut pause = BACKOFF_FIRST;
        loop {
            let since = Instant::now();
            self.wait_while_bounding_the_log().await;
            let status = self.reap();
            if since.elapsed() >= STEADY {
                pause = BACKOFF_FIRST;
            }
            let log = self.layout.logs().join("containerd.log");
            tracing::error!(pid = self.process.pid, status, log = %log.display(), tail = last_lines(&log, 3), "containerd ended");
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX);
                match Self::start(&self.layout, &self.config).await {
                    Ok(next) => {
                        tracing::info!(pid = next.process.pid, "containerd started again");
                        self = next;
                        break;
                    }
                    Err(error) => tracing::error!(%error, retry_ms = pause.as_millis() as u64, "containerd did not start"),
                }
            }
        }
    }

    async fn start(layout: &Layout, config: &ContainerdConfig) -> Result<Self, Error> {
        prepare(layout, config)?;
        // containerd tells by the systemd protocol when it serves.
        let notice = layout.run.join("containerd.notify");
        let _ = std::fs::remove_file(&notice);
        let ready = UnixDatagram::bind(&notice).map_err(Error::file(&notice))?;
        let log_path = layout.logs().join("containerd.log");
        rotate(&log_path);
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path).map_err(Error::file(&log_path))?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(layout.containerd_config()).env("NOTIFY_SOCKET", &notice);
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(Error::file(&log_path))?).stderr(log).current_dir("/");
        // SAFETY: setsid is safe between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                Ok(())
            });
        }
        let mut child = command.spawn().map_err(Error::Start)?;
        let pid = i32::try_from(child.id()).unwrap_or_default();
        let ended = |child: &mut Child| Error::Ended {
            status: child.wait().map_or_else(|e| e.to_string(), |s| s.to_string()),
            log: log_path.clone(),
            tail: last_lines(&log_path, 5),
        };
        let Some(process) = Process::of(pid) else { return Err(ended(&mut child)) };
        process.write(&layout.containerd_pid())?;
        let outcome = tokio::select! {
            told = told_ready(&ready) => { told.map_err(Error::file(&notice)) }
            _ = process.wait(None) => Err(ended(&mut child)),
            () = tokio::time::sleep(READY_TIME) => {
                process.stop(Duration::from_secs(2)).await;
                let _ = child.wait();
                Err(Error::Late { seconds: READY_TIME.as_secs(), log: log_path.clone(), tail: last_lines(&log_path, 5) })
            }
        };
        let _ = std::fs::remove_file(&notice);
        outcome?;
        Ok(Self { layout: layout.clone(), config: config.clone(), process, child: Some(child), adopted: false })
    }

    async fn wait_while_bounding_the_log(&self) {
        let log = self.layout.logs().join("containerd.log");
        while self.process.wait(Some(LOG_LOOK)).await == Waited::StillRuns {
            // It is written in append mode, so cutting it is safe.
            if std::fs::metadata(&log).is_ok_and(|facts| facts.len() > LOG_MAX) {
                let _ = std::fs::copy(&log, log.with_extension("log.1"));
                let _ = OpenOptions::new().write(true).open(&log).and_then(|file| file.set_len(0));
            }
        }
    }

    fn reap(&mut self) -> String {
        match &mut self.child {
            Some(child) => child.wait().map_or_else(|e| e.to_string(), |status| status.to_string()),
            None => "not a child of this process".into(),
        }
    }
}

async fn told_ready(socket: &UnixDatagram) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if buffer[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
            return Ok(());
        }
    }
}

fn prepare(layout: &Layout, config: &ContainerdConfig) -> Result<(), Error> {
    for folder in [layout.run.clone(), layout.data.clone(), layout.logs(), layout.registry(), layout.images(), layout.containerd_root()] {
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    for folder in [&layout.run, &layout.data] {
        // Containers with user namespaces must be able to pass, so: enter, but not list.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).map_err(Error::file(folder))?;
    }
    let path = layout.containerd_config();
    std::fs::write(&path, config.render(layout)).map_err(Error::file(&path))
}

fn rotate(log: &Path) {
    if std::fs::metadata(log).is_ok_and(|facts| facts.len() > LOG_MAX) {
        let _ = std::fs::rename(log, log.with_extension("log.1"));
    }
}

fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(8192)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
