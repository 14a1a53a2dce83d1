//! Plugins that are installed: commands, post-renderers, getters. Each is a folder with a `plugin.yaml`, run as a process of its own.
// Upstream: helm internal/plugin, pkg/cmd/load_plugins.go.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ArgMatches;
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::flags::Read as _;
use crate::settings::Settings;

/// The annotation by which documents find back to their files.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";

#[derive(Debug, Clone)]
pub struct Plugin {
    pub name: String,
    pub version: String,
    /// `cli/v1`, `postrenderer/v1`, `getter/v1`; those without a type are commands.
    pub kind: String,
    pub api_version: String,
    pub folder: PathBuf,
    pub value: Value,
}

impl Plugin {
    pub fn read(folder: &Path) -> Outcome<Plugin> {
        let path = folder.join("plugin.yaml");
        let text = std::fs::read_to_string(&path).map_err(|e| crate::failure::io("open", &path, &e).of(format!("failed to read plugin at {:?}", path.display().to_string())))?;
        let fail = |why: String| Failure::new(format!("failed to load plugin {:?}: {why}", folder.display().to_string()));
        let value = goyaml::from_yaml(&text).map_err(|e| fail(format!("failed to peek plugin.yaml API version: {e}")))?;
        let part = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let name = part("name");
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(fail(format!("invalid plugin name {name:?}: must contain only a-z, A-Z, 0-9, _ and -")));
        }
        let has_getters = value["downloaders"].as_array().is_some_and(|d| !d.is_empty());
        let (api_version, kind) = match (part("apiVersion").as_str(), part("type")) {
            ("" | "legacy", _) => ("legacy".to_string(), if has_getters { "getter/v1".into() } else { "cli/v1".into() }),
            ("v1", kind) => {
                check(&kind, &part("runtime")).map_err(fail)?;
                ("v1".into(), kind)
            }
            (other, _) => return Err(fail(format!("invalid plugin apiVersion: {other:?}"))),
        };
        Ok(Plugin { name, version: part("version"), kind, api_version, folder: folder.to_path_buf(), value })
    }

    /// The program and its arguments for this machine.
    fn command(&self) -> Option<(String, Vec<String>)> {
        let runtime = &self.value["runtimeConfig"];
        let lists = [&runtime["platformCommand"], &self.value["platformCommand"]];
        let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let fits = |c: &&Value, os: &str, a: &str| c["os"].as_str().unwrap_or_default() == os && c["arch"].as_str().unwrap_or_default() == a;
        let all: Vec<&Value> = lists.iter().filter_map(|l| l.as_array()).flatten().collect();
        let found = [("linux", arch), ("linux", ""), ("", "")].iter().find_map(|(os, a)| all.iter().copied().find(|c| fits(c, os, a)));
        let text = found.map_or_else(|| self.value["command"].as_str(), |c| c["command"].as_str())?;
        let mut words: Vec<String> = text.split_whitespace().map(|w| self.expanded(w)).collect();
        if let Some(found) = found {
            words.extend(found["args"].as_array().into_iter().flatten().filter_map(|a| a.as_str()).map(|a| self.expanded(a)));
        }
        (!words.is_empty()).then(|| (words.remove(0), words))
    }

    fn expanded(&self, text: &str) -> String {
        let folder = self.folder.display().to_string();
        variables(text, &|name| match name {
            "HELM_PLUGIN_DIR" => folder.clone(),
            "HELM_PLUGIN_NAME" => self.name.clone(),
            other => std::env::var(other).unwrap_or_default(),
        })
    }

    fn process(&self, extra: &[OsString]) -> Outcome<Command> {
        let (program, args) = self.command().ok_or_else(|| Failure::new(format!("plugin {:?}: no command for this platform", self.name)))?;
        let mut command = Command::new(program);
        command.args(args).args(extra).env("HELM_PLUGIN_NAME", &self.name).env("HELM_PLUGIN_DIR", &self.folder);
        Ok(command)
    }

    /// Runs a hook of the plugin's own, e.g. `install`.
    pub fn hook(&self, event: &str) -> Outcome {
        let Some(text) = self.value["hooks"][event].as_str().or(self.value["runtimeConfig"]["hooks"][event].as_str()) else { return Ok(()) };
        let status = Command::new("sh").arg("-c").arg(self.expanded(text)).env("HELM_PLUGIN_DIR", &self.folder).env("HELM_PLUGIN_NAME", &self.name).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure::new(format!("plugin {event} hook for {:?} exited with error", self.name))),
        }
    }
}

/// A text with its `$NAME` and `${NAME}` replaced, as Go's `os.Expand` does.
fn variables(text: &str, value: &dyn Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, length) = match rest.strip_prefix('{') {
            Some(inner) => inner.find('}').map_or(("", 1), |end| (&inner[..end], end + 2)),
            None => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        if length == 0 {
            out.push('$');
        } else if !name.is_empty() {
            out.push_str(&value(name));
        }
        rest = &rest[length..];
    }
    out + rest
}

/// Whether a plugin of the first version of the format is of a type and for a runtime that there is.
// Upstream: helm internal/plugin/metadata.go.
fn check(kind: &str, runtime: &str) -> Result<(), String> {
    match (kind, runtime) {
        ("", _) => Err("`type` missing".into()),
        ("cli/v1" | "getter/v1" | "postrenderer/v1" | "test/v1", "subprocess" | "extism/v1") => Ok(()),
        ("cli/v1" | "getter/v1" | "postrenderer/v1" | "test/v1", "") => Err("`runtime` missing".into()),
        ("cli/v1" | "getter/v1" | "postrenderer/v1" | "test/v1", _) => Err(format!("failed to convert MetadataV1 to Metadata: unsupported plugin runtime type: {runtime:?}")),
        _ => Err(format!("failed to convert MetadataV1 to Metadata: unknown plugin type {kind:?}")),
    }
}

/// The folders that have plugins.
pub fn folders() -> Vec<PathBuf> {
    let base = || {
        let data = std::env::var_os("HELM_DATA_HOME").map(PathBuf::from).or_else(|| std::env::var_os("XDG_DATA_HOME").map(|x| PathBuf::from(x).join("helm")));
        data.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share/helm")).join("plugins")
    };
    match std::env::var_os("HELM_PLUGINS").filter(|p| !p.is_empty()) {
        Some(paths) => std::env::split_paths(&paths).collect(),
        None => vec![base()],
    }
}

/// All plugins, by name; broken ones are told and left out.
pub fn all() -> Vec<Plugin> {
    if std::env::var("HELM_NO_PLUGINS").is_ok_and(|v| v == "1") {
        return Vec::new();
    }
    let entries = folders().into_iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten();
    let mut out: Vec<Plugin> = entries.filter(|e| e.path().join("plugin.yaml").is_file()).filter_map(|e| Plugin::read(&e.path()).map_err(|e| crate::failure::warn(&e.text)).ok()).collect();
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

/// The plugin whose name is the first word of a command line.
pub fn find(arguments: &[OsString]) -> Option<Plugin> {
    let word = arguments.iter().find(|a| !a.to_string_lossy().starts_with('-'))?.to_string_lossy().into_owned();
    all().into_iter().find(|p| p.name == word && p.kind == "cli/v1")
}

/// Runs a plugin's command with the words behind its name; its exit code is ours.
pub fn run(arguments: &[OsString]) -> Outcome {
    let plugin = find(arguments).ok_or_else(|| Failure::new("no such plugin"))?;
    let at = arguments.iter().position(|a| a.to_string_lossy() == plugin.name.as_str()).unwrap_or_default();
    let (own, rest) = if plugin.value["ignoreFlags"] == true { (Vec::new(), Vec::new()) } else { global_flags(&arguments[at + 1..]) };
    let mut command = plugin.process(&rest)?;
    let words = [OsString::from("helm")].into_iter().chain(arguments[..at].iter().cloned()).chain(own).chain([OsString::from("env")]);
    let matches = crate::cli::command().ignore_errors(true).get_matches_from(words);
    if let Some((_, inner)) = matches.subcommand() {
        let settings = Settings::read(inner);
        let namespace = settings.namespace.clone().unwrap_or_else(|| "default".into());
        command.envs(settings.variables(&namespace)).env("HELM_BIN", std::env::current_exe().unwrap_or_default());
    }
    let status = command.status().map_err(|e| Failure::new(format!("plugin {:?}: {e}", plugin.name)))?;
    match status.code() {
        Some(0) => Ok(()),
        code => Err(Failure { text: format!("plugin {:?} exited with error", plugin.name), code: u8::try_from(code.unwrap_or(1)).unwrap_or(1) }),
    }
}

/// Helm's own flags among those of a plugin, which sees the others.
// Upstream: helm pkg/cmd/load_plugins.go manuallyProcessArgs.
fn global_flags(arguments: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    const WITH_VALUE: [&str; 12] = [
        "-n", "--namespace", "--kube-context", "--kubeconfig", "--kube-token", "--kube-as-user", "--kube-as-group", "--kube-apiserver", "--kube-ca-file", "--registry-config",
        "--repository-cache", "--repository-config",
    ];
    let (mut own, mut rest) = (Vec::new(), Vec::new());
    let mut left = arguments.iter();
    while let Some(word) = left.next() {
        let text = word.to_string_lossy();
        if WITH_VALUE.contains(&text.as_ref()) {
            own.push(word.clone());
            own.extend(left.next().cloned());
        } else if text == "--debug" || WITH_VALUE.iter().any(|f| text.strip_prefix(f).is_some_and(|r| r.starts_with('='))) {
            own.push(word.clone());
        } else {
            rest.push(word.clone());
        }
    }
    (own, rest)
}

/// What changes manifests before they are applied.
#[derive(Debug, Clone)]
pub struct PostRenderer {
    program: Option<Box<Plugin>>,
    path: String,
    args: Vec<OsString>,
}

/// The post-renderer of the flags: a plugin by its name or, as in Helm 3, a program by its path.
pub fn post_renderer(m: &ArgMatches, _: &Settings) -> Outcome<Option<PostRenderer>> {
    let Some(name) = m.value("post-renderer").filter(|n| !n.is_empty()) else { return Ok(None) };
    let args = m.listed("post-renderer-args").into_iter().map(OsString::from).collect();
    let plugin = all().into_iter().find(|p| p.name == name && p.kind.starts_with("postrenderer"));
    if plugin.is_none() && !name.contains('/') {
        return Err(Failure::new(format!("invalid argument {name:?} for \"--post-renderer\" flag: plugin: {{Name:{name} Type:postrenderer/v1}} not found")));
    }
    Ok(Some(PostRenderer { program: plugin.map(Box::new), path: name.to_string(), args }))
}

/// Sends all documents through the post-renderer, as one stream, and brings them back to their files.
// Differs: upstream keeps the order of keys and the comments of documents that go through; here they come out sorted.
pub fn post_render(this: &PostRenderer, files: BTreeMap<String, String>) -> Outcome<BTreeMap<String, String>> {
    let mut stream = String::new();
    let mut kept = BTreeMap::new();
    for (name, text) in files {
        if name.rsplit('/').next().is_some_and(|b| b.starts_with('_')) || text.trim().is_empty() {
            kept.insert(name, text);
            continue;
        }
        for document in charts::manifest::split(&text) {
            let mut value = goyaml::from_yaml(&document).map_err(|e| Failure::new(format!("error parsing YAML of {name} for the post-renderer: {e}")))?;
            if !value.is_object() {
                continue;
            }
            value["metadata"]["annotations"][FILE] = Value::String(name.clone());
            stream.push_str(&format!("---\n{}", goyaml::to_yaml(&value)));
        }
    }
    let told = through(this, &stream)?;
    for (at, document) in charts::manifest::split(&told).into_iter().enumerate() {
        let mut value = goyaml::from_yaml(&document).map_err(|e| Failure::new(format!("error while parsing post rendered output: {e}")))?;
        if value.is_null() {
            continue;
        }
        let name = value["metadata"]["annotations"].as_object_mut().and_then(|a| a.remove(FILE)).and_then(|n| n.as_str().map(str::to_string));
        if value["metadata"]["annotations"].as_object().is_some_and(serde_json::Map::is_empty)
            && let Some(metadata) = value["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
        let name = name.unwrap_or_else(|| format!("generated-by-postrender-{at}.yaml"));
        kept.entry(name).or_default().push_str(&format!("---\n{}", goyaml::to_yaml(&value)));
    }
    Ok(kept)
}

fn through(this: &PostRenderer, input: &str) -> Outcome<String> {
    let mut command = match &this.program {
        Some(plugin) => plugin.process(&this.args)?,
        None => {
            let mut command = Command::new(&this.path);
            command.args(&this.args);
            command
        }
    };
    let fail = |e: std::io::Error| Failure::new(format!("error while running post render on files: {}: {e}", this.path));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(fail)?;
    let mut stdin = child.stdin.take();
    let input = input.to_string();
    let writer = std::thread::spawn(move || stdin.as_mut().map(|s| s.write_all(input.as_bytes())));
    let done = child.wait_with_output().map_err(fail)?;
    let _ = writer.join();
    if !done.status.success() {
        let words = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(Failure::new(format!("error while running post render on files: error while running command {}. error output:\n{words}: {}", this.path, done.status)));
    }
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    if out.trim().is_empty() { Err(Failure::new(format!("post-renderer {:?} produced empty output", this.path))) } else { Ok(out) }
}

/// Whether some plugin speaks a scheme.
pub fn speaks(scheme: &str) -> bool {
    let has = |list: &Value| list.as_array().is_some_and(|p| p.iter().any(|s| s.as_str() == Some(scheme)));
    !scheme.is_empty() && all().iter().any(|p| has(&p.value["config"]["protocols"]) || p.value["downloaders"].as_array().into_iter().flatten().any(|d| has(&d["protocols"])))
}

/// Fetches a URL of a scheme that a plugin speaks.
pub fn fetch(url: &str) -> Option<Outcome<Vec<u8>>> {
    let scheme = url.split_once("://")?.0.to_string();
    let speaks = |list: &Value| list.as_array().is_some_and(|p| p.iter().any(|s| s.as_str() == Some(&scheme)));
    for plugin in all() {
        let downloader = plugin.value["downloaders"].as_array().into_iter().flatten().find(|d| speaks(&d["protocols"])).cloned();
        let mut command = match downloader {
            Some(d) => {
                let words: Vec<String> = d["command"].as_str().unwrap_or_default().split_whitespace().map(|w| plugin.expanded(w)).collect();
                let Some((program, args)) = words.split_first() else { continue };
                // Commands of getters are relative to the plugin.
                let mut command = Command::new(plugin.folder.join(program));
                command.args(args).args(["", "", ""]).arg(url).env("HELM_PLUGIN_DIR", &plugin.folder).env("HELM_PLUGIN_NAME", &plugin.name);
                command
            }
            None if plugin.kind == "getter/v1" && speaks(&plugin.value["config"]["protocols"]) => match plugin.process(&["".into(), "".into(), "".into(), url.into()]) {
                Ok(command) => command,
                Err(e) => return Some(Err(e)),
            },
            None => continue,
        };
        return Some(match command.stderr(Stdio::inherit()).output() {
            Ok(done) if done.status.success() => Ok(done.stdout),
            Ok(done) => Err(Failure::new(format!("plugin {:?} exited with error: {}", plugin.name, done.status))),
            Err(e) => Err(Failure::new(format!("plugin {:?}: {e}", plugin.name))),
        });
    }
    None
}
