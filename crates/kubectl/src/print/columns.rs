//! `-o custom-columns`: a header and a path for each column.

use serde_json::Value;

use crate::failure::{Failure, Outcome, fail};
use crate::tabs::Tabs;

pub struct Columns {
    columns: Vec<(String, jsonpath::Template)>,
    no_headers: bool,
    tabs: Tabs,
}

impl Columns {
    pub fn of_spec(spec: &str, no_headers: bool) -> Outcome<Self> {
        if spec.is_empty() {
            return fail("custom-columns format specified but no custom columns given");
        }
        let pairs = split(spec)
            .into_iter()
            .map(|part| part.split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).ok_or_else(|| Failure::Text(format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"))))
            .collect::<Outcome<Vec<_>>>()?;
        Self::of_pairs(pairs, no_headers)
    }

    pub fn of_template(text: &str) -> Outcome<Self> {
        let mut lines = text.lines();
        let mut words = |what: &str| -> Outcome<Vec<String>> {
            let line = lines.next().ok_or_else(|| Failure::Text(format!("invalid template, missing {what} line. Expected format is one line of space separated headers, one line of space separated column specs.")))?;
            Ok(line.split_whitespace().map(str::to_owned).collect())
        };
        let (headers, specs) = (words("header")?, words("spec")?);
        if headers.len() != specs.len() {
            return fail(format!("number of headers ({}) and field specifications ({}) don't match", headers.len(), specs.len()));
        }
        Self::of_pairs(headers.into_iter().zip(specs).collect(), false)
    }

    fn of_pairs(pairs: Vec<(String, String)>, no_headers: bool) -> Outcome<Self> {
        let parse = |(header, path): (String, String)| -> Outcome<_> {
            let path = jsonpath::relaxed(&path)?;
            let template = jsonpath::Template::parse(&path).map_err(|e| Failure::Text(e.to_string()))?;
            Ok((header, template))
        };
        Ok(Self { columns: pairs.into_iter().map(parse).collect::<Outcome<_>>()?, no_headers, tabs: Tabs::table() })
    }

    pub fn print(&mut self, object: &Value, headers: bool) -> Outcome<String> {
        if headers && !self.no_headers {
            let names: Vec<&String> = self.columns.iter().map(|(h, _)| h).collect();
            self.tabs.row(&names);
        }
        match object["items"].as_array() {
            Some(items) if super::is_list(object) => {
                for item in items {
                    self.row(item)?;
                }
            }
            _ => self.row(object)?,
        }
        Ok(self.tabs.flush())
    }

    fn row(&mut self, object: &Value) -> Outcome {
        let mut cells = Vec::new();
        for (_, template) in &self.columns {
            let found = template.find(object, true).map_err(|e| Failure::Text(e.to_string()))?;
            let mut texts: Vec<String> = Vec::new();
            if found.first().is_none_or(Vec::is_empty) {
                texts.push("<none>".into());
            }
            texts.extend(found.iter().flatten().map(|v| go_plain(v)));
            cells.push(texts.join(","));
        }
        self.tabs.row(&cells);
        Ok(())
    }
}

/// Splits at commas outside of brackets: paths hold unions and filters.
fn split(spec: &str) -> Vec<&str> {
    let (mut out, mut depth, mut from) = (Vec::new(), 0i32, 0);
    for (at, c) in spec.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth <= 0 => {
                out.push(&spec[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    out.push(&spec[from..]);
    out
}

/// `%v` of a value: `map[a:1 b:[x y]]`.
pub fn go_plain(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(go_plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => format!("map[{}]", map.iter().map(|(k, v)| format!("{k}:{}", go_plain(v))).collect::<Vec<_>>().join(" ")),
        other => jsonpath::text(other),
    }
}
