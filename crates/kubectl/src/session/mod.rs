//! A session with a container: standard streams, terminal and exit code, over a WebSocket or SPDY.
//!
//! The terminal is put back however the session ends.
// Upstream: client-go tools/remotecommand (the outcome's words: v4.go).

pub mod detach;
mod spdy;
mod upgrade;
mod websocket;

use std::io::IsTerminal as _;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::client::escape;
use crate::failure::{Failure, Outcome, fail};

use detach::Detachable;
pub use upgrade::ports;
use upgrade::Session;

/// What a process reads.
type Input = Box<dyn AsyncRead + Unpin>;
/// Columns and rows of the terminal, as they change.
type Sizes = mpsc::Receiver<(u16, u16)>;

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

/// Runs a session on this process's own streams; gives the process's exit code, none where the keys were typed that leave it.
pub async fn on_terminal(call: &Call, target: &Target, keys: Option<Vec<u8>>) -> Outcome<Option<u8>> {
    let session = upgrade::session(&*call.api().await?, &target.path()).await?;
    let _raw = target.tty.then(RawTerminal::enter);
    let sizes = target.tty.then(|| sizes(target.verb == "attach"));
    let detached = CancellationToken::new();
    let input: Option<Input> = match (target.stdin, keys) {
        (false, _) => None,
        (true, None) => Some(Box::new(tokio::io::stdin())),
        (true, Some(keys)) => Some(Box::new(Detachable::new(Box::new(tokio::io::stdin()), keys, detached.clone()))),
    };
    tokio::select! {
        code = run(session, target, input, tokio::io::stdout(), tokio::io::stderr(), sizes) => code.map(Some),
        () = detached.cancelled() => Ok(None),
    }
}

/// Runs a session on the given streams.
pub async fn piped(call: &Call, target: &Target, input: Option<Input>, output: impl AsyncWrite + Unpin, errors: impl AsyncWrite + Unpin) -> Outcome<u8> {
    let session = upgrade::session(&*call.api().await?, &target.path()).await?;
    run(session, target, input, output, errors, None).await
}

async fn run(session: Session, target: &Target, input: Option<Input>, output: impl AsyncWrite + Unpin, errors: impl AsyncWrite + Unpin, sizes: Option<Sizes>) -> Outcome<u8> {
    match session {
        Session::WebSocket(socket) => websocket::run(*socket, input, output, errors, sizes).await,
        Session::Spdy(connection) => spdy::run(&connection, target, input, output, errors, sizes).await,
    }
}

/// The terminal's size now and whenever it changes; another one before makes what runs already draw anew.
fn sizes(draws_anew: bool) -> Sizes {
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(async move {
        if draws_anew && let Some((columns, rows)) = terminal_size() {
            let _ = send.send((columns.saturating_add(1), rows.saturating_add(1))).await;
        }
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

/// What was read, nothing at the end; never comes back after the end, as there is no more to send.
async fn read_some(input: &mut Option<Input>, buffer: &mut [u8]) -> usize {
    let Some(from) = input else { return std::future::pending().await };
    let count = from.read(buffer).await.unwrap_or(0);
    if count == 0 {
        *input = None;
    }
    count
}

async fn next_size(sizes: &mut Option<Sizes>) -> (u16, u16) {
    let next = match sizes {
        Some(sizes) => sizes.recv().await,
        None => None,
    };
    match next {
        Some(size) => size,
        None => std::future::pending().await,
    }
}

fn encoded((columns, rows): (u16, u16)) -> Vec<u8> {
    format!("{{\"Width\":{columns},\"Height\":{rows}}}").into_bytes()
}

/// The code of the process; a failure where the session itself failed.
fn exit_code(status: &[u8]) -> Outcome<u8> {
    if status.is_empty() {
        return Ok(0);
    }
    let shown = String::from_utf8_lossy(status);
    let status: Value = serde_json::from_slice(status).map_err(|e| Failure::Text(format!("error stream protocol error: {e} in {shown:?}")))?;
    match status["status"].as_str() {
        Some("Success") => return Ok(0),
        Some("Failure") => {}
        _ => return fail("error stream protocol error: unknown error"),
    }
    if status["reason"] != "NonZeroExitCode" {
        return fail(status["message"].as_str().unwrap_or_default());
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    match causes.filter(|c| c["reason"] == "ExitCode").find_map(|c| c["message"].as_str()) {
        Some(code) => code.parse().map_err(|_| Failure::Text(format!("error stream protocol error: invalid exit code value {code:?}"))),
        None => fail("error stream protocol error: no ExitCode cause given"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_codes_or_failures() {
        assert_eq!(exit_code(b"").unwrap(), 0);
        assert_eq!(exit_code(br#"{"status":"Success"}"#).unwrap(), 0);
        assert_eq!(exit_code(br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#).unwrap(), 7);
        let told = |status: &[u8]| exit_code(status).unwrap_err().message();
        assert_eq!(told(br#"{"status":"Failure","reason":"InternalError","message":"Internal error occurred: no such file"}"#), "Internal error occurred: no such file");
        assert_eq!(told(br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"many"}]}}"#), "error stream protocol error: invalid exit code value \"many\"");
        assert_eq!(told(br#"{"status":"Failure","reason":"NonZeroExitCode"}"#), "error stream protocol error: no ExitCode cause given");
        assert!(told(b"{").starts_with("error stream protocol error: "));
    }
}
