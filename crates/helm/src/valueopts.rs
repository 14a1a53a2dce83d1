//! The values that a user gives: files in their order, then the dialects of `--set`.
// Upstream: helm pkg/cli/values/options.go.

use std::io::Read as _;
use std::path::Path;

use charts::set::{Dialect, parse_into};
use clap::ArgMatches;
use serde_json::{Map, Value};

use crate::failure::{Failure, Outcome, io};
use crate::flags::Read as _;
use crate::source::fetch;

type Table = Map<String, Value>;

/// Reads all that was given; later ones count.
pub async fn read(m: &ArgMatches) -> Outcome<Table> {
    let mut out = Table::new();
    for name in m.listed("values") {
        let text = String::from_utf8_lossy(&content(&name).await?).into_owned();
        let values = charts::values::read(&text).map_err(|e| Failure::new(format!("failed to parse {name}: cannot unmarshal yaml document: {e}")))?;
        charts::values::overlay(&mut out, values);
    }
    for text in m.all("set-json") {
        set_json(text, &mut out)?;
    }
    for text in m.all("set") {
        parse_into(text, &Dialect::Typed, &mut out).map_err(|e| Failure::new(format!("failed parsing --set data: {e}")))?;
    }
    for text in m.all("set-string") {
        parse_into(text, &Dialect::Text, &mut out).map_err(|e| Failure::new(format!("failed parsing --set-string data: {e}")))?;
    }
    for text in m.all("set-file") {
        // The values of this dialect name files or URLs; both are fetched before the text is read.
        let handle = tokio::runtime::Handle::current();
        let read = |name: &str| {
            let bytes = tokio::task::block_in_place(|| handle.block_on(content(name))).map_err(|e| e.text)?;
            Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        };
        parse_into(text, &Dialect::Named(&read), &mut out).map_err(|e| Failure::new(format!("failed parsing --set-file data: {e}")))?;
    }
    for text in m.all("set-literal") {
        parse_into(text, &Dialect::Literal, &mut out).map_err(|e| Failure::new(format!("failed parsing --set-literal data: {e}")))?;
    }
    Ok(out)
}

fn set_json(text: &str, out: &mut Table) -> Outcome {
    if !text.trim_start().starts_with('{') {
        return parse_into(text, &Dialect::Json, out).map_err(|_| Failure::new(format!("failed parsing --set-json data {text}")));
    }
    match serde_json::from_str::<Value>(text).map(charts::values::as_floats) {
        Ok(Value::Object(table)) => charts::values::overlay(out, table),
        _ => return Err(Failure::new(format!("failed parsing --set-json data JSON: {text}"))),
    }
    Ok(())
}

async fn content(name: &str) -> Outcome<Vec<u8>> {
    if name.trim() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().take(fetch::MAX_BODY).read_to_end(&mut bytes).map_err(|e| Failure::new(format!("standard input: {e}")))?;
        return Ok(bytes);
    }
    if name.starts_with("http://") || name.starts_with("https://") {
        return fetch::get(name, &fetch::Access::default()).await;
    }
    let path = Path::new(name);
    std::fs::read(path).map_err(|e| io(if path.is_dir() { "read" } else { "open" }, path, &e))
}
