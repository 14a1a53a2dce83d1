//! Running programs, with what they said in every failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
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
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the command starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, lines }
    }

    /// The next line it prints; empty once it has ended.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("its output is text");
        line
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
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
