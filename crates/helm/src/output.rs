//! Tables, JSON and YAML as Helm prints them.

use serde_json::Value;

use crate::failure::{Failure, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    Yaml,
}

impl Format {
    pub fn parse(text: Option<&str>) -> Outcome<Format> {
        match text {
            None | Some("table") => Ok(Format::Table),
            Some("json") => Ok(Format::Json),
            Some("yaml") => Ok(Format::Yaml),
            Some(other) => Err(Failure::new(format!("invalid argument {other:?} for \"-o, --output\" flag: invalid format type"))),
        }
    }

    /// Prints a value that has no table, or `false` where a table is wanted.
    pub fn print(self, value: &Value) -> bool {
        self.print_in_order(value, &[])
    }

    /// Like [`Format::print`], with the fields of structures in an order of their own.
    pub fn print_in_order(self, value: &Value, order: &[&str]) -> bool {
        match self {
            Format::Table => return false,
            Format::Json => out(&format!("{}\n", to_json_in_order(value, order))),
            Format::Yaml => out(&goyaml::to_yaml(value)),
        }
        true
    }
}

/// The fields of structures in the order in which upstream declares, and so prints, them.
const ORDER: [&str; 40] = [
    "name", "info", "first_deployed", "last_deployed", "deleted", "description", "status", "rollback_revision", "notes", "resources", "chart", "metadata", "lock", "templates",
    "values", "schema", "files", "config", "kind", "path", "manifest", "hooks", "events", "last_run", "started_at", "completed_at", "phase", "weight", "delete_policies",
    "output_log_policies", "revision", "updated", "version", "app_version", "appVersion", "annotations", "labels", "dependencies", "namespace", "apply_method",
];
/// What stands below these has keys of its own, which are sorted.
const MAPS: [&str; 5] = ["config", "resources", "values", "annotations", "labels"];
/// The fields of Chart.yaml and of what stands in it.
const CHART: [&str; 23] = [
    "name", "home", "email", "url", "sources", "version", "repository", "description", "keywords", "maintainers", "icon", "apiVersion", "condition", "tags", "enabled", "import-values", "alias", "appVersion", "deprecated",
    "annotations", "kubeVersion", "dependencies", "type",
];

/// JSON with the fields of structures in upstream's order, `order` before it, and maps sorted.
pub fn to_json_in_order(value: &Value, order: &[&str]) -> String {
    let mut out = String::new();
    write_in_order(value, order, true, &mut out);
    out
}

fn write_in_order(value: &Value, order: &[&str], is_structure: bool, out: &mut String) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                out.push(if i == 0 { '[' } else { ',' });
                write_in_order(item, order, is_structure, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(map) if is_structure => {
            let rank = |key: &str| order.iter().chain(&ORDER).position(|o| *o == key).unwrap_or(usize::MAX);
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by(|a, b| rank(a.0).cmp(&rank(b.0)).then_with(|| a.0.cmp(b.0)));
            for (i, (key, value)) in entries.into_iter().enumerate() {
                out.push(if i == 0 { '{' } else { ',' });
                goyaml::write_json_string(key, true, out);
                out.push(':');
                let inner: &[&str] = if key == "metadata" { &CHART } else { order };
                write_in_order(value, inner, !MAPS.contains(&key.as_str()), out);
            }
            out.push_str(if map.is_empty() { "{}" } else { "}" });
        }
        other => out.push_str(&goyaml::to_json(other)),
    }
}

/// Writes to standard output. A reader that has gone ends the program quietly, as it does with Go's.
pub fn out(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}

/// A table whose columns are as wide as their widest cell, divided by tabs.
// Upstream: gosuri/uitable; cells longer than the limit end in dots.
pub struct Table {
    rows: Vec<Vec<String>>,
    max_width: usize,
}

impl Table {
    pub fn new(header: &[&str]) -> Table {
        let mut table = Table { rows: Vec::new(), max_width: usize::MAX };
        table.row(header.iter().map(|h| h.to_string()).collect());
        table
    }

    pub fn without_header() -> Table {
        Table { rows: Vec::new(), max_width: usize::MAX }
    }

    pub fn max_width(mut self, width: usize) -> Table {
        self.max_width = width.max(4);
        self
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        // A column is as wide as the longest line in it; of a text of several lines, that width alone is shown.
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).flat_map(|cell| cell.split('\n')).map(|l| l.chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(|c| width(c).min(self.max_width)).collect();
        let mut out = String::new();
        for row in &self.rows {
            let cells: Vec<Vec<String>> = widths.iter().enumerate().map(|(i, w)| lines_of(row.get(i).map_or("", String::as_str), *w)).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(1) {
                let shown: Vec<String> = widths.iter().zip(&cells).map(|(w, cell)| format!("{:w$}", cell.get(line).map_or("", String::as_str))).collect();
                out.push_str(&shown.join("\t"));
                out.push('\n');
            }
        }
        out
    }
}

fn lines_of(cell: &str, width: usize) -> Vec<String> {
    let shown = if cell.chars().count() > width { format!("{}...", cell.chars().take(width.saturating_sub(3)).collect::<String>()) } else { cell.to_string() };
    shown.split('\n').map(str::to_string).collect()
}

/// A time as Go's `time.ANSIC` writes it, in the local zone: `Thu Nov 26 08:09:20 2026`.
pub fn ansic(rfc3339: &str) -> String {
    match rfc3339.parse::<jiff::Timestamp>() {
        Ok(t) => t.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => rfc3339.to_string(),
    }
}

/// A time as Go's `Time.String` writes it: `2026-11-26 08:09:20.137996014 +0000 UTC`.
pub fn go_time(rfc3339: &str) -> String {
    let Ok(t) = rfc3339.parse::<jiff::Timestamp>() else { return rfc3339.to_string() };
    let zoned = t.to_zoned(jiff::tz::TimeZone::system());
    let mut out = zoned.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let nanos = zoned.subsec_nanosecond();
    if nanos != 0 {
        out.push_str(format!(".{nanos:09}").trim_end_matches('0'));
    }
    out.push_str(&zoned.strftime(" %z %Z").to_string());
    out
}

/// Now, as Go's JSON writes it.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}
