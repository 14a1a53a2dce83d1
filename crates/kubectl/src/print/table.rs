//! The server's Tables as aligned text, with the columns that flags add.
//!
//! Never knows a resource: columns, their order and their priority are the server's.
// Upstream: cli-runtime pkg/printers/tableprinter.go.

use serde_json::{Value, json};

use crate::tabs::Tabs;

#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    pub no_headers: bool,
    pub wide: bool,
    pub show_labels: bool,
    pub label_columns: Vec<String>,
    pub with_namespace: bool,
    /// `pod/`, `deployment.apps/`
    pub kind: Option<String>,
}

pub struct Table {
    pub options: TableOptions,
    columns: Vec<Value>,
    headers_printed: bool,
    pub tabs: Tabs,
}

impl Table {
    pub fn new(options: TableOptions) -> Self {
        Self { options, columns: Vec::new(), headers_printed: false, tabs: Tabs::table() }
    }

    /// Adds a table, or an object that the server gave instead of one.
    pub fn add(&mut self, object: &Value, event: Option<&str>) {
        let made;
        let table = if object["kind"] == "Table" {
            object
        } else {
            made = plain_table(object);
            &made
        };
        let columns = table["columnDefinitions"].as_array().cloned().unwrap_or_default();
        let mut headers = !self.options.no_headers;
        if !columns.is_empty() && columns != self.columns {
            self.columns = columns;
            self.headers_printed = false;
        } else if self.headers_printed {
            headers = false;
        }
        let rows = table["rows"].as_array().map_or(&[][..], Vec::as_slice);
        if rows.is_empty() {
            return;
        }
        self.headers_printed = true;
        if headers {
            let line = self.header(event.is_some());
            self.tabs.row(&line);
        }
        for row in rows {
            let line = self.row(row, event);
            self.tabs.row(&line);
        }
    }

    fn shown(&self, column: &Value) -> bool {
        self.options.wide || column["priority"].as_i64().unwrap_or(0) == 0
    }

    fn header(&self, with_event: bool) -> Vec<String> {
        let mut out = Vec::new();
        if with_event {
            out.push("EVENT".to_owned());
        }
        if self.options.with_namespace {
            out.push("NAMESPACE".to_owned());
        }
        out.extend(self.columns.iter().filter(|c| self.shown(c)).map(|c| c["name"].as_str().unwrap_or_default().to_uppercase()));
        out.extend(self.options.label_columns.iter().map(|l| l.rsplit('/').next().unwrap_or(l).to_uppercase()));
        if self.options.show_labels {
            out.push("LABELS".to_owned());
        }
        out
    }

    fn row(&self, row: &Value, event: Option<&str>) -> Vec<String> {
        let metadata = &row["object"]["metadata"];
        let mut out = Vec::new();
        if let Some(event) = event {
            // Upstream: formatEventType pads to the longest word.
            out.push(format!("{event:<8}"));
        }
        if self.options.with_namespace {
            out.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
        }
        for (cell, column) in row["cells"].as_array().into_iter().flatten().zip(&self.columns) {
            if !self.shown(column) {
                continue;
            }
            let mut text = cell_text(cell);
            if let Some(kind) = &self.options.kind
                && column["format"] == "name"
                && column["type"] == "string"
            {
                text = format!("{kind}/{text}");
            }
            out.push(text);
        }
        for label in &self.options.label_columns {
            out.push(metadata["labels"][label].as_str().unwrap_or_default().to_owned());
        }
        if self.options.show_labels {
            out.push(labels_text(&metadata["labels"]));
        }
        out
    }
}

pub fn labels_text(labels: &Value) -> String {
    match labels.as_object().filter(|l| !l.is_empty()) {
        Some(labels) => labels.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(","),
        None => "<none>".into(),
    }
}

/// Cells are one line; control characters are shown, not sent to the terminal.
fn cell_text(cell: &Value) -> String {
    let text = match cell {
        Value::Null => return String::new(),
        other => super::columns::go_plain(other),
    };
    let mut out = match text.find(['\n', '\r', '\u{c}']) {
        Some(at) => format!("{}...", &text[..at]),
        None => text,
    };
    if out.contains('\u{1b}') {
        out = out.replace('\u{1b}', "^[");
    }
    out.replace('\t', " ")
}

fn plain_table(object: &Value) -> Value {
    let status = object["kind"] == "Status";
    let items: Vec<&Value> = match object["items"].as_array() {
        Some(items) if super::is_list(object) => items.iter().collect(),
        _ => vec![object],
    };
    let columns = if status {
        json!([{"name": "Status", "type": "string"}, {"name": "Reason", "type": "string"}, {"name": "Message", "type": "string"}])
    } else {
        json!([{"name": "Name", "type": "string", "format": "name"}, {"name": "Age", "type": "string"}])
    };
    let row = |o: &&Value| {
        let cells = if status { json!([o["status"], o["reason"], o["message"]]) } else { json!([o["metadata"]["name"], crate::time::since(o["metadata"]["creationTimestamp"].as_str())]) };
        json!({"cells": cells, "object": o})
    };
    json!({"kind": "Table", "columnDefinitions": columns, "rows": items.iter().map(row).collect::<Vec<_>>()})
}
