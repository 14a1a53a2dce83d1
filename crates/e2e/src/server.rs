//! An API server of a test's own, with flags of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Ran, Running, run};

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

pub struct ApiServer {
    pub data: PathBuf,
    pub port: u16,
    process: Running,
}

impl ApiServer {
    /// Serves below a folder; none where tests run without a cluster.
    pub fn start(folder: &Path, flags: &[&str]) -> Option<Self> {
        if std::env::var_os("KNARR_E2E").is_none() {
            println!("skipped: needs a cluster, see `cargo xtask e2e`");
            return None;
        }
        let (data, port) = (folder.join("data"), free_port());
        let process = Self::run(&data, port, flags);
        Some(Self { data, port, process })
    }

    /// The same; what it logs goes to a file.
    pub fn start_logged(folder: &Path, flags: &[&str], log: &Path) -> Option<Self> {
        std::env::var_os("KNARR_E2E")?;
        let (data, port) = (folder.join("data"), free_port());
        let mut command = Self::command(&data, port, flags);
        command.stderr(std::fs::File::create(log).expect("the log"));
        let mut process = Running::start_as_told(&mut command);
        process.until("API serves at");
        Some(Self { data, port, process })
    }

    fn command(data: &Path, port: u16, flags: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("KNARR_BIN").expect("KNARR_BIN is set"));
        command.arg("--data-dir").arg(data).args(["apiserver", "--port", &port.to_string(), "--service-cidr", "10.188.0.0/16"]).args(flags);
        command
    }

    fn run(data: &Path, port: u16, flags: &[&str]) -> Running {
        let mut process = Running::start(&mut Self::command(data, port, flags));
        process.until("API serves at");
        process
    }

    /// Ends it and serves again, with further flags.
    pub fn restart(&mut self, flags: &[&str]) {
        self.process.end();
        self.process = Self::run(&self.data, self.port, flags);
    }

    /// Asks it to end.
    pub fn ask_to_end(&self) {
        self.process.ask_to_end();
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) {
        self.process.rest();
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.process.end();
    }

    /// What it says when it cannot start again with these flags.
    pub fn refuses_again(&self, flags: &[&str]) -> String {
        run(&mut Self::command(&self.data, self.port, flags), "").fails()
    }

    /// What it says when it cannot start with these flags.
    pub fn refuses(folder: &Path, flags: &[&str]) -> String {
        run(&mut Self::command(&folder.join("refused"), free_port(), flags), "").fails()
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    pub fn pki(&self, file: &str) -> String {
        self.data.join("pki").join(file).display().to_string()
    }

    pub fn kubectl(&self, line: &str) -> Ran {
        self.kubectl_with(line, "")
    }

    /// `kubectl` as the administrator, with a manifest on its standard input.
    pub fn kubectl_with(&self, line: &str, manifest: &str) -> Ran {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.data.join("kubeconfig")).arg("--cache-dir").arg(self.data.join("kubectl-cache"));
        run(command.args(line.split_whitespace()), manifest)
    }

    /// `kubectl` that goes on. Of one object by its name it does not tell the first event: a list by a field selector tells all.
    pub fn watch(&self, line: &str) -> Running {
        Running::start(Command::new("kubectl").arg("--kubeconfig").arg(self.data.join("kubeconfig")).args(line.split_whitespace()))
    }

    /// A request with whatever curl is told: the code, and the body as it came.
    pub fn curl(&self, path: &str, args: &[&str], body: &str) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "--cacert", &self.pki("ca.crt"), "-w", "\n%{http_code}"]).args(args);
        let out = run(command.arg(self.url(path)), body).out;
        let (body, code) = out.rsplit_once('\n').expect("curl tells the code");
        (code.parse().expect("a code"), body.to_owned())
    }

    /// The same as the administrator.
    pub fn ask(&self, path: &str, args: &[&str]) -> (u16, String) {
        let (certificate, key) = (self.pki("admin.crt"), self.pki("admin.key"));
        self.curl(path, &[&["--cert", &certificate, "--key", &key], args].concat(), "")
    }

    /// The same, in bytes: the code, the media type, and the body.
    pub fn curl_bytes(&self, path: &str, args: &[&str], body: &[u8]) -> (u16, String, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let (sent, got) = (folder.path().join("sent"), folder.path().join("got"));
        std::fs::write(&sent, body).expect("the body is written");
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "--cacert", &self.pki("ca.crt"), "--cert", &self.pki("admin.crt"), "--key", &self.pki("admin.key"), "-w", "%{http_code} %{content_type}", "-o"]).arg(&got);
        if !body.is_empty() {
            command.arg("--data-binary").arg(format!("@{}", sent.display()));
        }
        let told = run(command.args(args).arg(self.url(path)), "").ok();
        let (code, media) = told.split_once(' ').expect("curl tells code and media type");
        (code.parse().expect("a code"), media.to_owned(), std::fs::read(got).unwrap_or_default())
    }

    /// Posts a review as who the arguments say.
    pub fn post(&self, path: &str, args: &[&str], object: &Value) -> (u16, Value) {
        let (code, body) = self.curl(path, &[args, &["-H", "Content-Type: application/json", "--data-binary", "@-"]].concat(), &object.to_string());
        (code, serde_json::from_str(&body).unwrap_or_else(|_| Value::String(body)))
    }

    /// Who the server takes the bearer of a token for.
    pub fn who(&self, token: &str) -> (u16, Value) {
        let review = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let (code, mut answer) = self.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &["-H", &format!("Authorization: Bearer {token}")], &review);
        if code == 201 {
            answer = answer["status"]["userInfo"].take();
        }
        (code, answer)
    }
}
