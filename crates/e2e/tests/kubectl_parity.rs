//! knarr's kubectl beside upstream's: the same command lines against the same cluster, standard output, standard error and exit codes compared.
//!
//! Each file of `cases/kubectl` is run twice from its first line to its last, by each program in a namespace of its own. A line may
//! begin with variables of the environment in capitals, `NAME=value`. A line that begins with `~` gives the reason why the next one differs on purpose; `~ since 1.37: why` compares the next one with
//! kubectl 1.37 and newer only, as ours follows the newer one. What both say at different times (ages, uids,
//! revisions) and what upstream's program of the machine says for its own version is made the same before it is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Cluster, Ran, run};
use serde_json::Value;

const SIDES: [&str; 2] = ["parity-upstream", "parity-ours"];

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/kubectl")
}

/// Splits a command line at blanks; single and double quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut some) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                some = true;
            }
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() || some {
                    words.push(std::mem::take(&mut word));
                }
                some = false;
            }
            (c, _) => word.push(c),
        }
    }
    if !word.is_empty() || some {
        words.push(word);
    }
    words
}

fn is_variable(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// One program with a kubeconfig whose namespace is its own.
struct Side {
    program: Vec<String>,
    namespace: &'static str,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
}

impl Side {
    fn new(cluster: &Cluster, at: usize, namespace: usize) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::copy(&cluster.kubeconfig, &kubeconfig).expect("the kubeconfig is copied");
        let namespace = SIDES[namespace];
        let program = if at == 0 { vec!["kubectl".to_owned()] } else { vec![std::env::var("KNARR_BIN").expect("KNARR_BIN is set"), "kubectl".to_owned()] };
        let side = Self { program, namespace, kubeconfig, home };
        run(Command::new("kubectl").args(["config", "set-context", "--current", "--namespace", namespace]).env("KUBECONFIG", &side.kubeconfig), "").ok();
        side
    }

    fn run(&self, line: &str) -> Ran {
        let mut command = Command::new(&self.program[0]);
        let words = words(&line.replace("$NS", self.namespace));
        let (variables, args) = words.split_at(words.iter().position(|w| !is_variable(w)).unwrap_or(words.len()));
        command.args(&self.program[1..]).args(args).envs(variables.iter().filter_map(|v| v.split_once('=')));
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path()).env_remove("KUBECACHEDIR").current_dir(cases().join("manifests"));
        run(&mut command, "")
    }

    /// What differs between any two runs is replaced; so are words of upstream's older version.
    fn normal(&self, text: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in text.replace(self.namespace, "NS").replace(&self.home.path().display().to_string(), "HOME").lines() {
            // The machine's program logs deprecations and faults by klog, prefixed; upstream's own main does not.
            let line = match line.split_once("\"command failed\" err=\"") {
                Some((_, fault)) => format!("error: {}", fault.trim_end_matches('"').replace("\\\"", "\"")),
                None if is_klog(line) => continue,
                None => line.to_owned(),
            };
            let line = line.strip_prefix("Error: ").map_or(line.clone(), |rest| format!("error: {rest}"));
            let line = if line.starts_with("CreationTimestamp:") { "CreationTimestamp: TIME".to_owned() } else { line };
            // How far the controllers are is theirs.
            if line.starts_with("Waiting for deployment") || line == "preferences: {}" {
                continue;
            }
            // 1.34 no longer writes empty times.
            if line.trim() == "creationTimestamp: null" || line.trim_start() == "\"creationTimestamp\": null," || line.trim_start() == "\"creationTimestamp\": null" {
                continue;
            }
            // 1.34 knows KYAML; 1.33 says where it deletes.
            let line = line.replace(",kyaml", "").replace(" from NS namespace", "").replace("metadata: {}", "metadata:");
            lines.push(without_times(&line));
        }
        let text = lines.join("\n");
        // Help is in everyone's own words.
        match text.find("\nUsage:\n") {
            Some(_) => "(help)".into(),
            None => text.trim_end().to_owned(),
        }
    }
}

/// The first whose `-o json` keeps the order of Go's structs, as ours does.
const ORDERED: u32 = 37;

/// JSON documents with their keys sorted and without what is empty; other text as it is.
fn sorted(text: &str) -> String {
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    match documents {
        Ok(documents) if text.starts_with('{') => documents.into_iter().map(|d| format!("{:#}\n", sorted_value(d))).collect(),
        _ => text.to_owned(),
    }
}

fn sorted_value(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted_value(value))).collect();
            let is_said = |(key, value): &(String, Value)| !(key == "creationTimestamp" && value.is_null() || ["metadata", "preferences"].contains(&key.as_str()) && value.as_object().is_some_and(serde_json::Map::is_empty));
            Value::Object(fields.into_iter().filter(is_said).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted_value).collect()),
        other => other,
    }
}

fn is_klog(line: &str) -> bool {
    let mut chars = line.chars();
    matches!(chars.next(), Some('E' | 'W' | 'I')) && chars.by_ref().take(4).all(|c| c.is_ascii_digit()) && line.contains(".go:")
}

/// Ages, uids, revisions and generated endings as one letter, blanks as one.
fn without_times(line: &str) -> String {
    let is_age = |w: &str| {
        let mut digits = false;
        !w.is_empty() && w.ends_with(['s', 'm', 'h', 'd']) && w.chars().all(|c| { digits = digits || c.is_ascii_digit(); c.is_ascii_digit() || "smhd".contains(c) }) && digits && w.starts_with(|c: char| c.is_ascii_digit())
    };
    let is_uid = |w: &str| w.len() == 36 && w.matches('-').count() == 4 && w.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let is_stamp = |w: &str| w.len() >= 20 && w.as_bytes()[4] == b'-' && w.contains('T') && w.ends_with('Z');
    let bare = |w: &str| w.trim_matches(['"', ',', '(', ')']).to_owned();
    let mut out: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let core = bare(word);
        let shown = if is_age(&core) { word.replace(&core, "AGE") } else if is_uid(&core) { word.replace(&core, "UID") } else if is_stamp(&core) { word.replace(&core, "TIME") } else { word.to_owned() };
        if out.last().is_some_and(|before| before == "resourceVersion:" || before == "\"resourceVersion\":") {
            out.push("RV".into());
        } else {
            out.push(shown);
        }
    }
    out.join(" ")
}

struct Line {
    text: String,
    compared: Compared,
}

/// With which of upstream's kubectls a line is compared: all, those from a minor version on, none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    Always,
    Since(u32),
    Never,
}

impl Compared {
    fn of_reason(reason: &str) -> Self {
        let Some((version, _)) = reason.strip_prefix("since 1.").and_then(|rest| rest.split_once(':')) else { return Self::Never };
        Self::Since(version.parse().expect("a minor version"))
    }

    fn with(self, minor: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Since(first) => minor >= first,
            Self::Never => false,
        }
    }
}

/// Which 1.x the kubectl of the path is.
fn minor_of_upstream() -> u32 {
    let told = run(Command::new("kubectl").args(["version", "--client", "-o", "json"]), "").ok();
    let told: Value = serde_json::from_str(&told).expect("a version in JSON");
    told["clientVersion"]["minor"].as_str().and_then(|minor| minor.trim_end_matches('+').parse().ok()).expect("a minor version")
}

fn read(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).expect("the cases are read");
    let (mut lines, mut compared) = (Vec::new(), Compared::Always);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match line.strip_prefix('~') {
            Some(why) => compared = Compared::of_reason(why.trim()),
            None => lines.push(Line { text: line.to_owned(), compared: std::mem::replace(&mut compared, Compared::Always) }),
        }
    }
    lines
}

/// Lines that only read are run in one namespace, one program right after the other.
#[derive(PartialEq)]
enum Namespaces {
    One,
    Two,
}

fn compare(name: &str, namespaces: Namespaces) {
    let Some(cluster) = Cluster::of_environment() else { return };
    let lines = read(&cases().join(name));
    let sides = if namespaces == Namespaces::One { [Side::new(&cluster, 0, 0), Side::new(&cluster, 1, 0)] } else { [Side::new(&cluster, 0, 0), Side::new(&cluster, 1, 1)] };
    let mut ran: [Vec<Ran>; 2] = Default::default();
    if namespaces == Namespaces::One {
        let _namespace = cluster.namespace(sides[0].namespace);
        cluster.kubectl(&format!("apply -n {} -f {}", sides[0].namespace, cases().join("manifests/objects.yaml").display())).ok();
        cluster.kubectl(&format!("wait -n {} --for=jsonpath={{.status.observedGeneration}}=1 deploy/web sts/ss ds/ds", sides[0].namespace)).ok();
        for line in &lines {
            for (side, ran) in sides.iter().zip(&mut ran) {
                ran.push(side.run(&line.text));
            }
        }
    } else {
        for (side, ran) in sides.iter().zip(&mut ran) {
            let _namespace = cluster.namespace(side.namespace);
            ran.extend(lines.iter().map(|line| side.run(&line.text)));
        }
    }
    let (minor, mut faults) = (minor_of_upstream(), Vec::new());
    for (i, line) in lines.iter().enumerate() {
        let (theirs, ours) = (&ran[0][i], &ran[1][i]);
        let shown = |side: &Side, text: &str| if minor < ORDERED { side.normal(&sorted(text)) } else { side.normal(text) };
        let same = theirs.code == ours.code && shown(&sides[0], &theirs.out) == shown(&sides[1], &ours.out) && sides[0].normal(&theirs.err) == sides[1].normal(&ours.err);
        if !same && line.compared.with(minor) {
            faults.push(format!(
                "kubectl {}\n  code {:?} {:?}\n-- upstream out\n{}\n-- ours out\n{}\n-- upstream err\n{}\n-- ours err\n{}",
                line.text,
                theirs.code,
                ours.code,
                shown(&sides[0], &theirs.out),
                shown(&sides[1], &ours.out),
                sides[0].normal(&theirs.err),
                sides[1].normal(&ours.err)
            ));
        }
    }
    let apart = lines.iter().filter(|l| !l.compared.with(minor)).count();
    println!("{name}: {} command lines beside kubectl 1.{minor}, {apart} not compared", lines.len());
    assert!(faults.is_empty(), "{} of {} differ:\n{}", faults.len(), lines.len(), faults.join("\n========\n"));
}

#[test]
fn reading() {
    compare("reading.lines", Namespaces::One);
}

#[test]
fn generating() {
    compare("generators.lines", Namespaces::One);
}

#[test]
fn writing() {
    compare("writing.lines", Namespaces::Two);
}

#[test]
fn workloads() {
    compare("workloads.lines", Namespaces::Two);
}

#[test]
fn describing() {
    compare("describing.lines", Namespaces::One);
}

#[test]
fn newcomers() {
    compare("newcomer.lines", Namespaces::One);
}

#[test]
fn sets() {
    compare("applyset.lines", Namespaces::Two);
}

#[test]
fn notes_of_what_goes_away() {
    compare("deprecated.lines", Namespaces::Two);
}

#[test]
fn describing_parts() {
    compare("describing_parts.lines", Namespaces::Two);
}
