//! A session with a container: standard streams, terminal and exit code over one WebSocket.
//!
//! Channels are Kubernetes' own: a byte before each message says which stream it belongs to. The terminal is put back
//! however the session ends.
// Upstream: apimachinery pkg/util/remotecommand/constants.go; client-go tools/remotecommand (v4, v5).

use std::io::IsTerminal as _;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::Request;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::call::Call;
use crate::client::{chain, escape};
use crate::failure::{Failure, Outcome, fail};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// What to connect: a running process, or a new one.
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// `exec` or `attach`
    pub verb: &'static str,
    pub command: Vec<String>,
    pub stdin: bool,
    pub tty: bool,
    pub stderr: bool,
}

impl Target {
    fn path(&self) -> String {
        let mut path = format!("/api/v1/namespaces/{}/pods/{}/{}?container={}", escape(&self.namespace), escape(&self.pod), self.verb, escape(&self.container));
        for word in &self.command {
            path.push_str(&format!("&command={}", escape(word)));
        }
        for (name, wanted) in [("stdin", self.stdin), ("stdout", true), ("stderr", self.stderr && !self.tty), ("tty", self.tty)] {
            if wanted {
                path.push_str(&format!("&{name}=true"));
            }
        }
        path
    }
}

/// The failures of kube's client as ours.
pub fn failure(error: kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => {
            let mut value = serde_json::to_value(&*status).unwrap_or_default();
            value["kind"] = "Status".into();
            Failure::Status(Box::new(value))
        }
        other => Failure::Text(format!("unable to upgrade connection: {}", chain(&other))),
    }
}

/// The terminal as raw as the session needs it; put back when dropped.
pub struct RawTerminal(Option<nix::sys::termios::Termios>);

impl RawTerminal {
    pub fn enter() -> Self {
        use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let Ok(before) = tcgetattr(&stdin) else { return Self(None) };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        if tcsetattr(&stdin, SetArg::TCSANOW, &raw).is_err() {
            return Self(None);
        }
        Self(Some(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = nix::sys::termios::tcsetattr(std::io::stdin(), nix::sys::termios::SetArg::TCSANOW, before);
        }
    }
}

/// Columns and rows of the terminal.
pub fn terminal_size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel fills the struct that the pointer names; the descriptor is the process's own standard output.
    let answered = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (answered == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Whether standard input is a terminal.
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

async fn connect(call: &Call, target: &Target) -> Outcome<kube::client::Connection> {
    let request = Request::builder().uri(target.path()).body(Vec::new()).map_err(|e| Failure::Text(e.to_string()))?;
    call.api().await?.client.connect(request).await.map_err(failure)
}

/// Runs a session on this process's own streams; gives the process's exit code.
pub async fn on_terminal(call: &Call, target: &Target) -> Outcome<u8> {
    let connection = connect(call, target).await?;
    let _raw = target.tty.then(RawTerminal::enter);
    let resizes = target.tty.then(sizes);
    let input: Option<Box<dyn AsyncRead + Unpin>> = if target.stdin { Some(Box::new(tokio::io::stdin())) } else { None };
    run(connection, input, tokio::io::stdout(), tokio::io::stderr(), resizes).await
}

/// Runs a session on the given streams.
pub async fn piped(call: &Call, target: &Target, input: Option<Box<dyn AsyncRead + Unpin>>, output: impl AsyncWrite + Unpin, errors: impl AsyncWrite + Unpin) -> Outcome<u8> {
    let connection = connect(call, target).await?;
    run(connection, input, output, errors, None).await
}

/// The terminal's size now and whenever it changes.
fn sizes() -> mpsc::Receiver<(u16, u16)> {
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(async move {
        let Ok(mut changes) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()) else { return };
        loop {
            if let Some(size) = terminal_size()
                && send.send(size).await.is_err()
            {
                return;
            }
            if changes.recv().await.is_none() {
                return;
            }
        }
    });
    receive
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut data = Vec::with_capacity(bytes.len() + 1);
    data.push(channel);
    data.extend_from_slice(bytes);
    Message::Binary(data.into())
}

async fn run(
    connection: kube::client::Connection,
    mut input: Option<Box<dyn AsyncRead + Unpin>>,
    mut output: impl AsyncWrite + Unpin,
    mut errors: impl AsyncWrite + Unpin,
    mut resizes: Option<mpsc::Receiver<(u16, u16)>>,
) -> Outcome<u8> {
    let can_close = connection.supports_stream_close();
    let (mut send, mut receive) = connection.into_stream().split();
    let lost = |e: tokio_tungstenite::tungstenite::Error| Failure::Text(format!("error reading from the connection: {}", chain(&e)));
    let mut buffer = vec![0; 32 * 1024];
    let mut status = None;
    // Idle connections are dropped by what stands between: a ping keeps them.
    let mut ping = tokio::time::interval(Duration::from_secs(15));
    ping.tick().await;
    loop {
        tokio::select! {
            arrived = receive.next() => match arrived {
                None => break,
                Some(Err(e)) => {
                    if status.is_some() {
                        break;
                    }
                    return Err(lost(e));
                }
                Some(Ok(Message::Close(_))) => break,
                Some(Ok(Message::Binary(bytes))) => take(&bytes, &mut output, &mut errors, &mut status).await?,
                Some(Ok(Message::Text(text))) => take(&Bytes::from(text.to_string()), &mut output, &mut errors, &mut status).await?,
                Some(Ok(_)) => {}
            },
            read = read_some(&mut input, &mut buffer) => {
                let read = read.unwrap_or(0);
                if read == 0 {
                    input = None;
                    if can_close {
                        send.send(message(CLOSE, &[STDIN])).await.map_err(lost)?;
                    }
                } else {
                    send.send(message(STDIN, &buffer[..read])).await.map_err(lost)?;
                }
            },
            size = next_size(&mut resizes) => match size {
                Some((columns, rows)) => send.send(message(RESIZE, format!("{{\"Width\":{columns},\"Height\":{rows}}}").as_bytes())).await.map_err(lost)?,
                None => resizes = None,
            },
            _ = ping.tick() => send.send(Message::Ping(Bytes::new())).await.map_err(lost)?,
        }
    }
    let _ = output.flush().await;
    let _ = errors.flush().await;
    exit_code(status)
}

async fn read_some(input: &mut Option<Box<dyn AsyncRead + Unpin>>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match input {
        Some(input) => input.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn next_size(resizes: &mut Option<mpsc::Receiver<(u16, u16)>>) -> Option<(u16, u16)> {
    match resizes {
        Some(resizes) => resizes.recv().await,
        None => std::future::pending().await,
    }
}

async fn take(bytes: &Bytes, output: &mut (impl AsyncWrite + Unpin), errors: &mut (impl AsyncWrite + Unpin), status: &mut Option<Value>) -> Outcome {
    let Some((channel, data)) = bytes.split_first() else { return Ok(()) };
    match *channel {
        STDOUT => {
            output.write_all(data).await?;
            output.flush().await?;
        }
        STDERR => {
            errors.write_all(data).await?;
            errors.flush().await?;
        }
        ERROR => *status = serde_json::from_slice(data).ok(),
        _ => {}
    }
    Ok(())
}

/// The code of the process; a failure where the session itself failed.
fn exit_code(status: Option<Value>) -> Outcome<u8> {
    let Some(status) = status else { return Ok(0) };
    if status["status"] == "Success" {
        return Ok(0);
    }
    if status["reason"] == "NonZeroExitCode" {
        let causes = status["details"]["causes"].as_array().into_iter().flatten();
        let code = causes.filter(|c| c["reason"] == "ExitCode").find_map(|c| c["message"].as_str()?.parse::<i64>().ok());
        return Ok(code.map_or(1, |c| u8::try_from(c.rem_euclid(256)).unwrap_or(1)));
    }
    match status["message"].as_str() {
        Some(text) if status["reason"].as_str().unwrap_or_default() == "InternalError" || status["reason"].is_null() => fail(format!("Internal error occurred: {}", text.trim_start_matches("Internal error occurred: "))),
        _ => Err(Failure::Status(Box::new(status))),
    }
}

/// What an exit code other than 0 means for the command.
pub fn ended(code: u8) -> Outcome {
    if code == 0 {
        return Ok(());
    }
    crate::complain!("command terminated with exit code {code}");
    Err(Failure::Exit(code))
}
