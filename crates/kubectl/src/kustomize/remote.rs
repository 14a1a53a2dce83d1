//! What a kustomization names elsewhere: files over HTTP, and folders of git repositories, which `git` fetches into a temporary folder.
//!
//! Keeps true: nothing of a clone reads outside of it, and every run of git ends in time.
// Upstream: kustomize api/internal/git/{repospec,cloner,gitrunner}.go, api/internal/loader/fileloader.go.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::{Failure, Outcome, fail};

const GIT_TIMEOUT: Duration = Duration::from_secs(27);
const HTTP_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest file that is fetched.
const MAX_FILE: usize = 64 << 20;
const SCHEMES: [&str; 4] = ["ssh://", "https://", "http://", "file://"];

/// A folder of a repository, read off an address such as `https://github.com/org/repo//path?ref=v1`.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// As it was written; tells cycles.
    raw: String,
    repository: String,
    folder: String,
    reference: String,
    timeout: Duration,
    submodules: bool,
}

/// A clone, gone when dropped.
#[derive(Debug)]
pub struct Clone {
    raw: String,
    root: PathBuf,
    _folder: TempDir,
}

impl Clone {
    /// Why a folder that something in the clone names is none of it.
    pub fn fault(&self, base: &Path) -> Option<String> {
        let why = || format!("security; bases in kustomizations found in cloned git repos must be within the repo, but base '{}' is outside '{}'", base.display(), self.root.display());
        (!base.starts_with(&self.root)).then(why)
    }

    /// Why another repository may not be cloned for something in this one.
    pub fn cycle(&self, next: &Spec) -> Option<String> {
        self.raw.starts_with(&next.raw).then(|| format!("cycle detected: URI '{}' referenced by previous URI '{}'", next.raw, self.raw))
    }
}

impl Spec {
    /// None for what is no address of a repository.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return None;
        }
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (host, rest) = host(address.strip_prefix("git::").unwrap_or(address))?;
        let (path, folder) = split(rest, host == "file://")?;
        if path.is_empty() || steps_out(folder) {
            return None;
        }
        let mut spec = Self { raw: text.to_owned(), repository: format!("{host}{path}"), folder: folder.trim_start_matches('/').to_owned(), reference: String::new(), timeout: GIT_TIMEOUT, submodules: true };
        spec.read_query(query);
        // A reference is no option of git.
        (!spec.reference.starts_with('-')).then_some(spec)
    }

    fn read_query(&mut self, query: &str) {
        let query = api::query::Query::parse(query);
        let first = |key: &str| query.get(key).to_owned();
        self.reference = Some(first("ref")).filter(|r| !r.is_empty()).unwrap_or_else(|| first("version"));
        let timeout = first("timeout");
        let asked = timeout.parse::<u64>().ok().map(Duration::from_secs).or_else(|| gotime::at_least_zero(&timeout));
        self.timeout = asked.filter(|d| !d.is_zero()).unwrap_or(GIT_TIMEOUT);
        self.submodules = !matches!(first("submodules").as_str(), "0" | "f" | "F" | "false" | "FALSE" | "False");
    }

    /// Fetches the one commit that is asked for.
    pub fn fetch(&self) -> Outcome<(Clone, PathBuf)> {
        let folder = tempfile::Builder::new().prefix("kustomize-").tempdir()?;
        let root = std::fs::canonicalize(folder.path())?;
        let git = |words: &[&str]| run(&root, words, self.timeout);
        let reference = if self.reference.is_empty() { "HEAD" } else { &self.reference };
        git(&["init"])?;
        // Submodules may be named relative to it.
        git(&["remote", "add", "origin", &self.repository])?;
        git(&["fetch", "--depth=1", &self.repository, reference])?;
        git(&["checkout", "FETCH_HEAD"])?;
        if self.submodules {
            git(&["submodule", "update", "--init", "--recursive"])?;
        }
        let asked = root.join(&self.folder);
        let Ok(at) = std::fs::canonicalize(&asked) else {
            return fail(format!("evalsymlink failure on '{0}' : lstat {0}: no such file or directory", asked.display()));
        };
        if at.is_file() {
            let name = at.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return fail(format!("'{}' refers to file '{name}'; expecting directory", asked.display()));
        }
        if !at.starts_with(&root) {
            return fail(format!("{:?} refers to directory outside of repo {:?}", asked.display().to_string(), root.display().to_string()));
        }
        Ok((Clone { raw: self.raw.clone(), root, _folder: folder }, at))
    }
}

/// Whether a path names what is above its beginning at any point.
fn steps_out(path: &str) -> bool {
    let mut depth = 0_i32;
    path.split('/').filter(|part| !matches!(*part, "" | ".")).any(|part| {
        depth += if part == ".." { -1 } else { 1 };
        depth < 0
    })
}

/// Scheme, user and host as git is given them, and the path after them.
fn host(address: &str) -> Option<(String, &str)> {
    let lower = address.to_lowercase();
    let scheme = SCHEMES.into_iter().find(|scheme| lower.starts_with(scheme)).unwrap_or_default();
    let rest = &address[scheme.len()..];
    if scheme == "file://" {
        return Some((scheme.to_owned(), rest));
    }
    let (user, rest) = match rest.split_once('@') {
        Some((user, after)) if user.starts_with(|c: char| c.is_ascii_alphabetic()) && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => (format!("{user}@"), after),
        _ => (String::new(), rest),
    };
    let is_github = ["github.com/", "github.com:"].iter().any(|name| rest.to_lowercase().starts_with(name));
    let is_scp = scheme.is_empty() && (!user.is_empty() || is_github);
    if scheme.is_empty() && !is_scp {
        return None;
    }
    let slash = rest.find('/');
    let at = match rest.find(':').filter(|_| is_scp) {
        Some(colon) if colon > 0 && slash.is_none_or(|slash| colon < slash) => Some(colon),
        _ => slash,
    };
    let (name, path) = at.map_or((rest, ""), |at| rest.split_at(at + 1));
    if is_github {
        let by_ssh = scheme == "ssh://" || !user.is_empty();
        return Some((if by_ssh { format!("{user}github.com:") } else { "https://github.com/".to_owned() }, path));
    }
    (!name.is_empty()).then(|| (format!("{scheme}{user}{name}"), path))
}

/// The repository's path and the folder in it.
fn split(path: &str, is_local: bool) -> Option<(&str, &str)> {
    if let Some(at) = path.find("_git/") {
        let after = at + "_git/".len();
        let end = path[after..].find('/').map_or(path.len(), |slash| after + slash);
        return Some((&path[..end], path[end..].trim_start_matches('/')));
    }
    if let Some((repository, folder)) = path.split_once("//") {
        return Some((repository, folder));
    }
    if let Some(at) = path.find(".git") {
        return Some(path.split_at(at + ".git".len()));
    }
    if is_local {
        return Some((path, ""));
    }
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    slashes.next()?;
    Some(slashes.next().map_or((path, ""), |at| (&path[..at], &path[at + 1..])))
}

fn run(folder: &Path, words: &[&str], timeout: Duration) -> Outcome {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(git) = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()) else {
        return fail("no 'git' program on path: exec: \"git\": executable file not found in $PATH");
    };
    let shown = format!("{} {}", git.display(), words.join(" "));
    let child = Command::new(&git).args(words).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = i32::try_from(child.id()).unwrap_or_default();
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || drop(done.send(child.wait_with_output())));
    let Ok(output) = ended.recv_timeout(timeout) else {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        return fail(format!("hit {} timeout running '{shown}'", gotime::shown(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX))));
    };
    let output = output?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let status = output.status.code().map_or_else(|| "signal: killed".to_owned(), |code| format!("exit status {code}"));
    fail(format!("failed to run '{shown}': {}: {status}", String::from_utf8_lossy(&said)))
}

pub fn is_file(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

/// Why a file was not fetched: `is_final` where the server answered, so that no repository is looked for.
pub struct Refused {
    pub why: String,
    pub is_final: bool,
}

/// The text of a file.
pub fn file(url: &str) -> Result<String, Refused> {
    let url = url.to_owned();
    // Kustomizations are read outside of the runtime that requests run on.
    let fetched = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| Refused { why: e.to_string(), is_final: false })?;
        runtime.block_on(get(&url))
    });
    fetched.join().unwrap_or_else(|_| Err(Refused { why: "the request ended early".into(), is_final: false }))
}

async fn get(url: &str) -> Result<String, Refused> {
    let failed = |e: reqwest::Error| Refused { why: format!("Get {url:?}: {}", crate::client::chain(&e)), is_final: false };
    let client = reqwest::Client::builder().timeout(HTTP_TIMEOUT).build().map_err(failed)?;
    let mut answer = client.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        if Spec::parse(url).is_some() {
            return Err(Refused { why: "URL is a git repository".into(), is_final: false });
        }
        return Err(Refused { why: format!("HTTP Error: status code {} ({})", status.as_u16(), status.canonical_reason().unwrap_or_default()), is_final: true });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_FILE {
            return Err(Refused { why: format!("{url}: longer than {MAX_FILE} bytes"), is_final: true });
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Refused { why: format!("{url}: not UTF-8"), is_final: true })
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Text(refused.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_upstream_reads_them() {
        for (text, repository, folder, reference) in [
            ("https://github.com/org/repo//over/dev?ref=v1", "https://github.com/org/repo", "over/dev", "v1"),
            ("github.com/org/repo/over?version=main", "https://github.com/org/repo", "over", "main"),
            ("git@github.com:org/repo.git/over", "git@github.com:org/repo.git", "over", ""),
            ("ssh://git@github.com/org/repo", "git@github.com:org/repo", "", ""),
            ("git::https://git.example.com/org/repo.git?ref=x", "https://git.example.com/org/repo.git", "", "x"),
            ("git@git.example.com:a/b", "git@git.example.com:a/b", "", ""),
            ("https://dev.azure.com/o/p/_git/repo/path/to", "https://dev.azure.com/o/p/_git/repo", "path/to", ""),
            ("file:///srv/repo//over", "file:///srv/repo", "over", ""),
            ("file:///srv/repo", "file:///srv/repo", "", ""),
        ] {
            let spec = Spec::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((spec.repository.as_str(), spec.folder.as_str(), spec.reference.as_str()), (repository, folder, reference), "{text}");
        }
        for text in ["base", "../base", "/abs/path", "https://x.example/one.yaml", "file:///srv/repo//../out", "github.com", "https://h/a/b//x/../../y", "https://h/a/b?ref=--upload-pack=x"] {
            assert_eq!(Spec::parse(text), None, "{text}");
        }
        let spec = Spec::parse("https://h/a/b?timeout=90s&submodules=false").expect("a repository");
        assert_eq!((spec.timeout, spec.submodules), (Duration::from_secs(90), false));
    }

    /// A repository of one commit with these files; tests need `git`, as what they test does.
    fn repository(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        for words in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one"]] {
            run(folder.path(), words, GIT_TIMEOUT).unwrap_or_else(|e| panic!("{}", e.message()));
        }
        folder
    }

    #[test]
    fn folders_of_repositories_are_bases() {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let repository = repository(&[
            ("base/kustomization.yaml", "resources: [a.yaml]"),
            ("base/a.yaml", map),
            ("over/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
            ("out/kustomization.yaml", "resources: [../../../../../../../../../etc]\n"),
        ]);
        let at = |folder: &str| format!("file://{}//{folder}", repository.path().display());
        let build = |name: &str| crate::kustomize::build(Path::new(name), true);
        let names = |name: &str| build(name).unwrap_or_else(|e| panic!("{}", e.message())).iter().map(|o| api::meta::name(o).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&at("over?ref=main")), ["x-a"]);
        let local = tempfile::tempdir().expect("a folder");
        std::fs::write(local.path().join("kustomization.yaml"), format!("resources: [\"{}\"]\nnameSuffix: -s\n", at("over"))).expect("a file");
        assert_eq!(names(&local.path().display().to_string()), ["x-a-s"]);
        for (folder, why) in [("out", "must be within the repo"), ("none", "no such file or directory"), ("base/a.yaml", "expecting directory"), ("over?ref=none", "couldn't find remote ref none")] {
            let told = build(&at(folder)).expect_err(folder).message();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn files_are_fetched_and_refusals_told() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or_default();
                let is_there = head[..read].starts_with(b"GET /a.yaml ");
                let (status, body) = if is_there { ("200 OK", "text") } else { ("404 Not Found", "") };
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            }
        });
        assert_eq!(file(&format!("http://127.0.0.1:{port}/a.yaml")).ok().as_deref(), Some("text"));
        let refused = file(&format!("http://127.0.0.1:{port}/b.yaml")).err().expect("it is not there");
        assert_eq!((refused.why.as_str(), refused.is_final), ("HTTP Error: status code 404 (Not Found)", true));
        let refused = file(&format!("http://127.0.0.1:{port}/org/repo")).err().expect("it is not there");
        assert_eq!((refused.why.as_str(), refused.is_final), ("URL is a git repository", false));
    }
}
