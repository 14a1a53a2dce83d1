//! Command lines and what they say: `cases/commands/*.case` have what upstream's helm 4.3.1 answered, and ours must answer the same.
//!
//! Every line runs in a fresh folder with files of `cases/commands/fixture.txt`, without a cluster and without a network. A line that
//! begins with `?` is compared by exit code and standard error alone: help texts are our own. `UPDATE_EXPECT=1` together with
//! `HELM_REFERENCE=/path/of/helm` records the answers of that program anew; `COMMANDS=word` keeps to the lines that have the word.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Trial};

/// Says that this process is the program under test, not the test.
const CHILD: &str = "KNARR_HELM_UNDER_TEST";

/// Written files of this size are told by their names alone.
const LARGE: usize = 600;

/// The program calls itself, so it has a `main` of its own; apart from that it is a test program like any other.
fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return helm::main(std::env::args_os().skip(1).collect());
    }
    let compared = Trial::test("commands_say_what_was_recorded", || {
        compare();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![compared]).exit_code()
}

fn compare() {
    let fixture = std::fs::read_to_string("cases/commands/fixture.txt").expect("the fixture");
    let only = std::env::var("COMMANDS").unwrap_or_default();
    casefile::run("cases/commands", |given| {
        let lines: Vec<&str> = given.lines().filter(|l| !l.trim().is_empty()).collect();
        transcript(&lines, &fixture, &only)
    });
}

/// What all lines say, in their order; two run at a time for each processor.
fn transcript(lines: &[&str], fixture: &str, only: &str) -> String {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get() * 2);
    let mut said: BTreeMap<usize, String> = BTreeMap::new();
    std::thread::scope(|scope| {
        let run = || {
            let mut own = Vec::new();
            while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                let at = lines.iter().position(|l| std::ptr::eq(*l, line)).unwrap_or_default();
                if line.contains(only) {
                    own.push((at, session(line, fixture)));
                }
            }
            own
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        handles.into_iter().for_each(|h| said.extend(h.join().expect("a worker")));
    });
    said.into_values().collect()
}

/// One line, or several joined by `&&`, in a folder of its own.
fn session(line: &str, fixture: &str) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let root = place.path().canonicalize().expect("its path");
    let work = root.join("work");
    let before = unpack(fixture, &work, line);
    let mut text = String::new();
    for command in line.trim_start_matches("? ").split(" && ") {
        let output = program(&root, &work).args(words(command)).output().expect("the program runs");
        let _ = writeln!(text, "$ {command}");
        if !line.starts_with('?') {
            text += &marked("", &output.stdout, &root);
        }
        text += &marked("! ", &output.stderr, &root);
        if output.status.code() != Some(0) {
            let _ = writeln!(text, "= {}", output.status.code().map_or("killed".into(), |c| c.to_string()));
        }
    }
    for (path, content) in files(&work, &work) {
        if before.get(&path) != Some(&content) {
            let _ = writeln!(text, "+ {path}");
            if content.len() < LARGE && !path.ends_with(".tgz") {
                text += &marked("  ", &content, &root);
            }
        }
    }
    text
}

fn program(root: &Path, work: &Path) -> Command {
    let mut command = match std::env::var_os("HELM_REFERENCE") {
        Some(reference) => Command::new(reference),
        None => Command::new(std::env::current_exe().expect("this program")),
    };
    command.env_clear().env(CHILD, "1").env("HOME", root.join("home")).env("PATH", "/usr/bin:/bin").env("TZ", "UTC").env("KUBECONFIG", root.join("no-kubeconfig"));
    command.current_dir(work).stdin(Stdio::null());
    command
}

/// A command's words; what stands in single quotes is one word.
fn words(line: &str) -> Vec<OsString> {
    let (mut all, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    all.push(std::mem::take(&mut word).into());
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        all.push(word.into());
    }
    all
}

/// A text line by line behind a mark, without what differs from run to run.
fn marked(mark: &str, bytes: &[u8], root: &Path) -> String {
    let text = String::from_utf8_lossy(bytes).replace(&root.display().to_string(), "ROOT");
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{}", format!("{mark}{}", timeless(line)).trim_end());
        all
    })
}

/// A line with its times, and names made of times, taken out.
fn timeless(line: &str) -> String {
    let stamps = regex::Regex::new(r#"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} +\d+ \d\d:\d\d:\d\d \d{4}|\d{9,10}\b"#).expect("a pattern");
    stamps.replace_all(line, "TIME").into_owned()
}

/// Writes the files of a text of `-- path --` lines, each followed by its content; what is there afterwards. Of the folders at the
/// top only those are written whose names the line has, and `ok`, that others depend on.
fn unpack(fixture: &str, work: &Path, line: &str) -> BTreeMap<String, Vec<u8>> {
    let mut open: Option<(String, String)> = None;
    let write = |file: Option<(String, String)>| {
        let wanted = |name: &str| name.split('/').next().is_some_and(|top| top == "ok" || line.contains(top));
        if let Some((name, content)) = file.filter(|(name, _)| wanted(name)) {
            let path = work.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
    };
    for line in fixture.split_inclusive('\n') {
        match line.trim_end().strip_prefix("-- ").and_then(|l| l.strip_suffix(" --")) {
            Some(name) => write(open.replace((name.to_owned(), String::new()))),
            None => open.iter_mut().for_each(|(_, content)| content.push_str(line)),
        }
    }
    write(open);
    files(work, work)
}

fn files(root: &Path, folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(root, &path));
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            all.insert(name, std::fs::read(&path).unwrap_or_default());
        }
    }
    all
}
