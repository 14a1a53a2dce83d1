//! Files, folders and the standard input to documents, each remembering where it came from.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::failure::failure;

const BYTES_MAX: u64 = 64 << 20;

pub struct Document {
    pub value: Value,
    file: String,
    /// The document's first line in its file, from 1.
    line: usize,
}

impl Document {
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

pub fn read_all(given: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in given {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().take(BYTES_MAX).read_to_string(&mut text).context("reading the standard input")?;
            split("(standard input)", &text, &mut documents)?;
        } else if path.is_dir() {
            for file in files_of(path)? {
                read(&file, &mut documents)?;
            }
        } else {
            read(path, &mut documents)?;
        }
    }
    Ok(documents)
}

fn files_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file() && p.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e == *known)))
        .collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let facts = std::fs::metadata(path).map_err(|e| failure(format!("{name}: {e}"), "give a file, a folder, or - for the standard input"))?;
    if facts.len() > BYTES_MAX {
        return Err(failure(format!("{name} has more than {} MiB", BYTES_MAX >> 20), "split it"));
    }
    let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
    split(&name, &text, documents)
}

/// Splits at lines `---`, as kubectl does, so that an error knows its line in the file.
fn split(file: &str, text: &str, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    let mut part = String::new();
    let mut first = 1;
    let mut parts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            parts.push((first, std::mem::take(&mut part)));
            first = index + 2;
        } else {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts.push((first, part));
    for (first, part) in parts {
        if part.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        let skipped = part.lines().take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#')).count();
        let value = parse(file, first, &part)?;
        flatten(file, first + skipped, value, documents)?;
    }
    Ok(())
}

fn parse(file: &str, first: usize, part: &str) -> anyhow::Result<Value> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(part, options).map_err(|error| {
        let (line, column) = error.location().map_or((first, 1), |at| (first + (at.line() as usize).saturating_sub(1), at.column() as usize));
        let why = error.to_string();
        let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
        failure(format!("{file}:{line}:{column}: {why}"), "nothing was applied")
    })
}

/// A List is its items.
fn flatten(file: &str, line: usize, value: Value, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::Object(mut map) if map.get("kind").and_then(Value::as_str).is_some_and(|k| k.ends_with("List")) && map.get("items").is_some_and(Value::is_array) => {
            let items = map.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default();
            items.into_iter().try_for_each(|item| flatten(file, line, item, documents))
        }
        Value::Object(map) => {
            documents.push(Document { value: Value::Object(map), file: file.to_owned(), line });
            Ok(())
        }
        _ => Err(failure(format!("{file}:{line}: this is no object"), "each document must be a mapping with apiVersion, kind and metadata")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_know_their_line_and_errors_their_column() {
        let mut documents = Vec::new();
        split("f.yaml", "# first\nkind: A\n---\n\n---\n# more\n\nkind: List\nitems:\n- kind: B\n- kind: C\n", &mut documents).unwrap();
        let found: Vec<(String, String)> = documents.iter().map(|d| (d.value["kind"].as_str().unwrap().to_owned(), d.place())).collect();
        let expected = [("A", "f.yaml:2"), ("B", "f.yaml:8"), ("C", "f.yaml:8")].map(|(k, p)| (k.to_owned(), p.to_owned()));
        assert_eq!(found, expected);
        let error = split("f.yaml", "a: 1\n---\nb:\n  - c: [1\n  d: 2\n", &mut documents).unwrap_err().to_string();
        assert!(error.starts_with("f.yaml:"), "{error}");
        assert!(split("f.yaml", "- 1\n", &mut documents).is_err());
    }
}
