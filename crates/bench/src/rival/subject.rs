//! The servers that are measured: started here, ended when dropped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Plan;

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "bench-token";

/// A running API server, with the store it needs.
pub struct Subject {
    pub name: &'static str,
    pub url: String,
    /// What the load client shows.
    pub credentials: Vec<String>,
    pub ready: Duration,
    processes: Vec<Child>,
}

impl Subject {
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The folder, empty.
pub fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

fn start(program: &Path, folder: &Path, name: &str, args: &[String]) -> Result<Child> {
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().with_context(|| format!("could not start {}", program.display()))
}

/// Upstream's server over etcd, set up as for its own benchmarks: RBAC, and limits that the load does not reach.
pub async fn upstream(plan: &Plan) -> Result<Subject> {
    let folder = plan.scratch.join("upstream");
    fresh(&folder)?;
    let at = |name: &str| folder.join(name).display().to_string();
    let (etcd, url) = ("http://127.0.0.1:18779", "https://127.0.0.1:18780");
    let peer = "http://127.0.0.1:18778";
    let arguments = ["--data-dir", &at("etcd"), "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", &format!("default={peer}")];
    let store = start(Path::new("etcd"), &folder, "etcd", &arguments.map(str::to_owned))?;
    let mut subject = Subject { name: "upstream", url: url.into(), credentials: vec!["--token".into(), TOKEN.into()], ready: Duration::ZERO, processes: vec![store] };
    let key = Command::new("openssl").args(["genrsa", "-out", &at("sa.key"), "2048"]).stderr(Stdio::null()).status().context("openssl is needed for upstream's token key")?;
    if !key.success() {
        bail!("openssl made no key");
    }
    fs::write(folder.join("tokens"), format!("{TOKEN},admin,admin,system:masters\n"))?;
    let begin = Instant::now();
    let flags = [
        format!("--etcd-servers={etcd}"),
        "--secure-port=18780".into(),
        "--bind-address=127.0.0.1".into(),
        format!("--cert-dir={}", at("certificates")),
        format!("--token-auth-file={}", at("tokens")),
        "--authorization-mode=RBAC".into(),
        "--service-cluster-ip-range=10.199.0.0/16".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", at("sa.key")),
        format!("--service-account-signing-key-file={}", at("sa.key")),
        "--disable-admission-plugins=ServiceAccount".into(),
        "--max-requests-inflight=2000".into(),
        "--max-mutating-requests-inflight=2000".into(),
    ];
    subject.processes.push(start(&plan.upstream.join("kube-apiserver"), &folder, "kube-apiserver", &flags)?);
    wait_until_ready(&mut subject, begin).await?;
    Ok(subject)
}

pub async fn knarr_afresh(plan: &Plan) -> Result<Subject> {
    let folder = plan.scratch.join("knarr");
    fresh(&folder)?;
    knarr(&plan.knarr, &folder).await
}

/// knarr's server alone, its store on disk with an fsync before every answer.
pub async fn knarr(binary: &Path, folder: &Path) -> Result<Subject> {
    let begin = Instant::now();
    let arguments = ["--data-dir", &folder.display().to_string(), "apiserver", "--port", "18781", "--service-cidr", "10.198.0.0/16", "--node-ip", "127.0.0.1"].map(str::to_owned);
    let server = start(binary, folder, "knarr", &arguments)?;
    let mut subject = Subject { name: "knarr", url: "https://127.0.0.1:18781".into(), credentials: Vec::new(), ready: Duration::ZERO, processes: vec![server] };
    wait_until_ready(&mut subject, begin).await?;
    let mut identity = fs::read(folder.join("pki/admin.crt"))?;
    identity.extend(fs::read(folder.join("pki/admin.key"))?);
    let pem = folder.join("admin.pem");
    fs::write(&pem, identity)?;
    subject.credentials = vec!["--identity".into(), pem.display().to_string()];
    Ok(subject)
}

/// Asks `/readyz` until it says yes.
async fn wait_until_ready(subject: &mut Subject, begin: Instant) -> Result<()> {
    let mut config = kube::Config::new(subject.url.parse()?);
    config.accept_invalid_certs = true;
    config.connect_timeout = Some(Duration::from_secs(1));
    let client = kube::Client::try_from(config)?;
    let mut rhythm = tokio::time::interval(Duration::from_millis(10));
    while begin.elapsed() < PATIENCE {
        rhythm.tick().await;
        let request = http::Request::get("/readyz").body(Vec::new())?;
        if client.request_text(request).await.is_ok() {
            subject.ready = begin.elapsed();
            return Ok(());
        }
        for process in &mut subject.processes {
            if let Some(status) = process.try_wait()? {
                bail!("{}: a server ended with {status}; its log is beside its data", subject.name);
            }
        }
    }
    bail!("{} was not ready within {PATIENCE:?}", subject.name)
}
