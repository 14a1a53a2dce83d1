//! Running programs, with what they said in every failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// No command of a test takes longer.
const LIMIT: Duration = Duration::from_secs(180);

/// What a finished command left.
#[derive(Debug, Clone)]
pub struct Ran {
    pub shown: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The standard output of a command that must have succeeded.
    pub fn ok(self) -> String {
        assert!(self.code == Some(0), "`{}` ended with {:?}\n-- out\n{}\n-- err\n{}", self.shown, self.code, self.out, self.err);
        self.out
    }

    /// The standard error of a command that must have failed.
    pub fn fails(self) -> String {
        assert!(self.code != Some(0), "`{}` succeeded\n-- out\n{}", self.shown, self.out);
        self.err
    }
}

/// Runs a command to its end, with a text on its standard input; ends it when it takes too long.
pub fn run(command: &mut Command, input: &str) -> Ran {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(|w| w.to_string_lossy());
    let shown = words.collect::<Vec<_>>().join(" ");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("could not start `{shown}`: {e}"));
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let (done, ended) = mpsc::channel();
    let id = child.id();
    let waiting = std::thread::spawn(move || {
        let status = child.wait();
        let _ = done.send(());
        status
    });
    if ended.recv_timeout(LIMIT).is_err() {
        // Only this child: nobody else has its number while it is not waited for.
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
    }
    let status = waiting.join().ok().and_then(Result::ok);
    Ran { shown, code: status.and_then(|s| s.code()), out: out.join().unwrap_or_default(), err: err.join().unwrap_or_default() }
}

fn drain(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A command that goes on beside the test; ended with it.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self::start_as_told(command.stderr(Stdio::inherit()))
    }

    /// The same; its standard error goes where the command says.
    pub fn start_as_told(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the command starts");
        let out = child.stdout.take().expect("its output is piped");
        let (read, lines) = mpsc::channel();
        std::thread::spawn(move || read_lines(BufReader::new(out), &read));
        Self { child, lines }
    }

    /// The next line it prints; empty once it has ended. A command that says nothing for too long fails the test.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => String::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the command printed nothing for {} s", LIMIT.as_secs()),
        }
    }

    /// Asks, and asks again after each line, until it holds.
    pub fn until_holds(&mut self, holds: impl Fn() -> bool) {
        while !holds() {
            assert!(!self.line().is_empty(), "the command ended before what was awaited held");
        }
    }

    /// Reads on until a line holds the text.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the command ended before it printed {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Asks it to end, as `kill` does.
    pub fn ask_to_end(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs").success());
    }

    /// Waits until it has ended: what it printed meanwhile.
    pub fn rest(&mut self) -> String {
        let mut text = String::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return text;
            }
            text.push_str(&line);
        }
    }

    /// Ends it now.
    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends each line, its end with it, until the last one or until nobody listens.
fn read_lines(mut from: impl BufRead, to: &mpsc::Sender<String>) {
    let mut line = String::new();
    while from.read_line(&mut line).expect("its output is text") > 0 && to.send(std::mem::take(&mut line)).is_ok() {}
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
