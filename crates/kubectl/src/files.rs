//! Objects from files, folders, addresses and standard input: documents split and decoded, faults with file, line and column.
//!
//! Never asks the API server. Files of a folder come in the order of their names.
// Upstream: cli-runtime pkg/resource/visitor.go (extensions, StreamVisitor), apimachinery pkg/util/yaml (documents).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, Outcome, fail, go_io};

const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];
const MAX_BYTES: u64 = 256 << 20;

/// One document: where it came from, what it says.
pub struct Document {
    pub source: String,
    pub object: Value,
}

#[derive(Debug, Clone, Default)]
pub struct FileFlags {
    pub names: Vec<String>,
    pub kustomize: String,
    pub recursive: bool,
}

impl FileFlags {
    pub fn of(call: &crate::call::Call) -> Self {
        Self { names: call.flags.list("filename"), kustomize: call.flags.text("kustomize").to_owned(), recursive: call.flags.yes("recursive") }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.kustomize.is_empty()
    }

    pub fn require(&self) -> Outcome {
        if self.is_empty() { fail("must specify one of -f and -k") } else { self.check() }
    }

    pub fn check(&self) -> Outcome {
        let mut faults = Vec::new();
        if !self.names.is_empty() && !self.kustomize.is_empty() {
            faults.push(Failure::Text("only one of -f or -k can be specified".into()));
        }
        if !self.kustomize.is_empty() && self.recursive {
            faults.push(Failure::Text("the -k flag can't be used with -f or -R".into()));
        }
        Failure::many(faults)
    }
}

/// What was read, and whether it can only be one object: a single file, no folder, no stream.
pub struct Sources {
    pub documents: Vec<Outcome<Document>>,
    pub single: bool,
}

/// Reads everything that the flags name; a path that does not exist fails the whole.
pub async fn read(flags: &FileFlags) -> Outcome<Sources> {
    flags.check()?;
    let (mut documents, mut single, mut faults) = (Vec::new(), true, Vec::new());
    for name in &flags.names {
        if name == "-" {
            single = false;
            documents.extend(stdin("STDIN"));
        } else if name.starts_with("http://") || name.starts_with("https://") {
            single = false;
            match fetch(name).await {
                Ok(text) => documents.extend(decode(name, &text)),
                Err(e) => documents.push(Err(e)),
            }
        } else {
            match expand(name, flags.recursive) {
                Ok(files) => {
                    single = single && !flags.recursive && files.len() < 2 && !Path::new(name).is_dir();
                    for file in files {
                        documents.extend(read_path(&file));
                    }
                }
                Err(e) => faults.push(e),
            }
        }
    }
    Failure::many(faults)?;
    if !flags.kustomize.is_empty() {
        single = false;
        match crate::kustomize::build(Path::new(&flags.kustomize), true) {
            Ok(objects) => documents.extend(objects.into_iter().map(|object| Ok(Document { source: flags.kustomize.clone(), object }))),
            Err(e) => documents.push(Err(e)),
        }
    }
    Ok(Sources { documents, single: single && flags.names.len() == 1 })
}

fn stdin(source: &str) -> Vec<Outcome<Document>> {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes) {
        Ok(_) => decode(source, &as_text(&bytes)),
        Err(e) => vec![fail(format!("error reading {source}: {}", go_io(&e)))],
    }
}

fn read_path(file: &Path) -> Vec<Outcome<Document>> {
    let shown = file.display().to_string();
    match std::fs::read(file) {
        Ok(bytes) => decode(&shown, &as_text(&bytes)),
        Err(e) => vec![fail(crate::failure::path_error("open", &shown, &e))],
    }
}

/// UTF-8, or UTF-16 where a mark says so.
fn as_text(bytes: &[u8]) -> String {
    let wide = |from: fn([u8; 2]) -> u16| char::decode_utf16(bytes[2..].as_chunks::<2>().0.iter().map(|pair| from(*pair))).map(|c| c.unwrap_or('\u{fffd}')).collect();
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn expand(name: &str, recursive: bool) -> Outcome<Vec<PathBuf>> {
    let path = Path::new(name);
    let facts = match std::fs::metadata(path) {
        Ok(facts) => facts,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => match glob(name) {
            Some(found) => return Ok(found),
            None => return fail(format!("the path {name:?} does not exist")),
        },
        Err(e) => return fail(format!("the path {name:?} cannot be accessed: {}", crate::failure::path_error("stat", name, &e))),
    };
    if !facts.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    walk(path, recursive, &mut files)?;
    if files.is_empty() {
        return fail(format!("error reading [{name}]: recognized file extensions are [.json .yaml .yml]"));
    }
    Ok(files)
}

/// A pattern that the shell left to us: `-f '*.yaml'`.
fn glob(name: &str) -> Option<Vec<PathBuf>> {
    if !name.contains('*') {
        return None;
    }
    let path = Path::new(name);
    let (folder, pattern) = (path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")), path.file_name()?.to_str()?.to_owned());
    let (start, end) = pattern.split_once('*')?;
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|e| e.file_name())
        .filter(|n| n.to_str().is_some_and(|n| n.len() >= start.len() + end.len() && n.starts_with(start) && n.ends_with(end)))
        .map(|n| if path.parent().is_some_and(|p| p.as_os_str().is_empty()) { PathBuf::from(n) } else { folder.join(n) })
        .collect();
    found.sort();
    (!found.is_empty()).then_some(found)
}

fn walk(folder: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Outcome {
    let fault = |e: std::io::Error| Failure::Text(format!("error reading {:?}: {}", folder.display().to_string(), go_io(&e)));
    let mut entries = std::fs::read_dir(folder).map_err(fault)?.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(fault)?;
    entries.sort();
    for path in entries {
        // A folder behind a link is a file to upstream's walk, and no manifest.
        let is_folder = std::fs::symlink_metadata(&path).map_err(fault)?.is_dir();
        if is_folder && recursive {
            walk(&path, true, files)?;
        } else if !is_folder && path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e)) && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(())
}

/// Fetches an address, thrice when the server fails.
pub async fn fetch(url: &str) -> Outcome<String> {
    let mut last = Failure::Text(String::new());
    for attempt in 0..3 {
        if attempt > 0 {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        match reqwest::get(url).await {
            Err(e) => last = Failure::Text(format!("Get {url:?}: {}", crate::client::chain(&e))),
            Ok(answer) if answer.status().is_success() => return answer.text().await.map_err(|e| Failure::Text(crate::client::chain(&e))),
            Ok(answer) => {
                let code = answer.status();
                last = Failure::Text(format!("unable to read URL {url:?}, server reported {} {}, status code={}", code.as_u16(), code.canonical_reason().unwrap_or_default(), code.as_u16()));
                if code.as_u16() < 500 {
                    break;
                }
            }
        }
    }
    Err(last)
}

/// The documents of a text, YAML or JSON; the first that cannot be read is the last.
pub fn decode(source: &str, text: &str) -> Vec<Outcome<Document>> {
    let document = |object: Value| Ok(Document { source: source.to_owned(), object });
    let mut out = Vec::new();
    if text.trim_start().starts_with('{') && !text.contains("\n---") {
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value {
                Ok(Value::Null) => {}
                Ok(value) => out.push(document(value)),
                Err(e) if text.lines().nth(e.line().saturating_sub(1)).is_some_and(|l| l.trim_start().starts_with("---")) => break,
                // YAML's flow maps begin like JSON.
                Err(_) if goyaml::from_yaml(text).is_ok() && out.is_empty() => return decode_yaml(source, text),
                Err(e) => {
                    out.push(fail(format!("error parsing {source}: json: line {}, column {}: {e}{}", e.line(), e.column(), excerpt(text, e.line(), e.column()))));
                    break;
                }
            }
        }
        return out;
    }
    out.extend(decode_yaml(source, text));
    out
}

fn decode_yaml(source: &str, text: &str) -> Vec<Outcome<Document>> {
    let mut out = Vec::new();
    for part in codec::split_documents(text) {
        let before = text[..part.as_ptr() as usize - text.as_ptr() as usize].matches('\n').count();
        match goyaml::from_yaml(part) {
            Ok(Value::Null) => {}
            Ok(object) => out.push(Ok(Document { source: source.to_owned(), object })),
            Err(e) => {
                let mut shown = e.clone();
                if shown.line > 0 {
                    shown.line += before;
                }
                out.push(fail(format!("error parsing {source}: error converting YAML to JSON: {shown}{}", excerpt(part, e.line, e.column))));
                break;
            }
        }
    }
    out
}

/// The line, and a mark below the column.
fn excerpt(text: &str, line: usize, column: usize) -> String {
    let Some(shown) = text.lines().nth(line.saturating_sub(1)).filter(|l| l.len() <= 400) else { return String::new() };
    let mark = if column > 0 { format!("\n  {}^", " ".repeat(column.saturating_sub(1))) } else { String::new() };
    format!("\n  {shown}{mark}")
}
