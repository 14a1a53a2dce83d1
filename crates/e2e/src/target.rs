//! The server under test for hostile input: requests that kubectl would not send, and what they cost.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{Cluster, run};

/// What a test may leave in the server's memory, in KiB.
const GROWTH: u64 = 64 << 10;
/// The allocator gives back what a burst took within a second; that many ordinary requests take longer.
const REQUESTS: usize = 60;

/// The server under test, with its memory as it was when the test began.
pub struct Target {
    pub cluster: Cluster,
    server: String,
    process: String,
    memory: u64,
}

impl Target {
    pub fn new() -> Option<Self> {
        let cluster = Cluster::of_environment()?;
        let server = cluster.kubectl("config view -o 'jsonpath={.clusters[0].cluster.server}'").ok();
        let data = cluster.data.display().to_string();
        let serves = |id: &String| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
            words.iter().any(|w| *w == data) && words.iter().any(|w| w == "server")
        };
        let processes = std::fs::read_dir("/proc").expect("/proc is there").filter_map(|e| e.ok()?.file_name().into_string().ok());
        let process = processes.filter(|id| id.bytes().all(|b| b.is_ascii_digit())).find(serves).expect("knarr runs");
        let memory = resident(&process);
        Some(Self { cluster, server, process, memory })
    }

    pub fn pki(&self, file: &str) -> String {
        self.cluster.data.join("pki").join(file).display().to_string()
    }

    /// A request as the administrator: the code, and the body as it came.
    pub fn ask(&self, path: &str, args: &[&str]) -> (u16, String) {
        self.ask_with(path, args, "")
    }

    /// The same with a body.
    pub fn send(&self, method: &str, media: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_with(path, &["-X", method, "-H", &format!("Content-Type: {media}"), "--data-binary", "@-"], body)
    }

    fn ask_with(&self, path: &str, args: &[&str], body: &str) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-sS", "--path-as-is", "--max-time", "20", "--cacert", &self.pki("ca.crt"), "-w", "\n%{http_code}"]).args(args);
        if !args.iter().any(|a| a.starts_with("Authorization")) {
            command.args(["--cert", &self.pki("admin.crt"), "--key", &self.pki("admin.key")]);
        }
        let out = run(command.arg(format!("{}{path}", self.server)), body).out;
        let (body, code) = out.rsplit_once('\n').expect("curl tells the code");
        (code.parse().expect("a code"), body.to_owned())
    }

    /// Bytes over a connection of one's own.
    pub fn raw(&self, bytes: &str) -> Child {
        let host = self.server.trim_start_matches("https://");
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect", host, "-cert", &self.pki("admin.crt"), "-key", &self.pki("admin.key")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl starts");
        child.stdin.as_mut().expect("piped").write_all(bytes.as_bytes()).expect("openssl reads");
        child
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let grown = || {
            assert_eq!(self.ask("/readyz", &[]), (200, "ok".into()));
            resident(&self.process).saturating_sub(self.memory)
        };
        let left = (0..REQUESTS).map(|_| grown()).find(|grown| *grown < GROWTH);
        assert!(left.is_some(), "memory grew from {} to {} KiB", self.memory, resident(&self.process));
    }
}

fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the server still runs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Asserts the code, the reason and words of the message of a Status.
#[track_caller]
pub fn refused((code, body): (u16, String), wanted: u16, reason: &str, words: &str) {
    let status: Value = serde_json::from_str(&body).unwrap_or_default();
    let message = status["message"].as_str().unwrap_or_default();
    assert!(code == wanted && status["reason"] == reason && message.contains(words), "wanted {wanted} {reason} {words:?}, got {code} {body:.500}");
}

/// All that a connection brings until its end.
pub fn everything_read(mut child: Child) -> String {
    let mut text = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut text).expect("the answer is read");
    let _ = child.wait();
    String::from_utf8_lossy(&text).into_owned()
}
