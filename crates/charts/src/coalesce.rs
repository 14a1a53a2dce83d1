//! Values of charts brought together: the user's over the parent's over the child's, globals downwards, nulls that delete.
//!
//! Tables are shared as upstream's are: a global below the first level is one table for a chart and those below it, so that what a
//! chart below adds to it is seen above. Upstream: helm pkg/chart/common/util/coalesce.go.

use serde_json::Value;

use crate::chart::{Chart, GLOBAL_KEY};
use crate::notice::{Level, Notice};
use crate::values::{Table, go_text};

mod shared;

pub use shared::{Node, Shared};

/// Deeper tables are refused; upstream's stack has no such bound and overflows.
const DEPTH: usize = 1_000;

/// Brings the values of a chart and of those below together under the given ones; a null deletes.
pub fn coalesce(chart: &Chart, given: &Table, notices: &mut Vec<Notice>) -> Result<Table, String> {
    run(chart, given, false, notices)?.to_table()
}

/// Like [`coalesce`], but nulls stay, for another pass to find.
pub fn merge(chart: &Chart, given: &Table, notices: &mut Vec<Notice>) -> Result<Shared, String> {
    run(chart, given, true, notices)
}

fn run(chart: &Chart, given: &Table, merge: bool, notices: &mut Vec<Notice>) -> Result<Shared, String> {
    let values = Shared::from(given);
    Pass { merge, notices }.chart(chart, &values, "")?;
    Ok(values)
}

/// Merges one table into another; what `dst` has counts. Nulls stay.
pub fn merge_tables(dst: &Shared, src: &Shared, notices: &mut Vec<Notice>) -> Result<(), String> {
    Pass { merge: true, notices }.tables(dst, src, "", 0)
}

/// Merges one table into another; what `dst` has counts, a null of its deletes.
pub fn coalesce_tables(dst: &mut Table, src: &Table, notices: &mut Vec<Notice>) -> Result<(), String> {
    let into = Shared::from(&*dst);
    Pass { merge: false, notices }.tables(&into, &Shared::from(src), "", 0)?;
    *dst = into.to_table()?;
    Ok(())
}

struct Pass<'a> {
    merge: bool,
    notices: &'a mut Vec<Notice>,
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") }
}

impl Pass<'_> {
    fn say(&mut self, message: String) {
        self.notices.push(Notice::new(Level::Info, message));
    }

    fn chart(&mut self, chart: &Chart, dest: &Shared, prefix: &str) -> Result<(), String> {
        self.own(chart, dest, prefix)?;
        let here = join(prefix, chart.name());
        for sub in &chart.dependencies {
            let below = match dest.get(sub.name()) {
                None => Shared::default(),
                Some(Node::Table(table)) => table,
                Some(Node::Leaf(other)) => {
                    return Err(format!("type mismatch on {}: {}", sub.name(), go_type_of(&other)));
                }
            };
            dest.set(sub.name(), Node::Table(below.clone()));
            self.globals(&below, dest, &here)?;
            self.chart(sub, &below, &here)?;
        }
        Ok(())
    }

    /// The globals of a chart above, brought into those of one below.
    fn globals(&mut self, below: &Shared, above: &Shared, prefix: &str) -> Result<(), String> {
        let to = match below.get(GLOBAL_KEY) {
            None => Shared::default(),
            Some(Node::Table(table)) => table,
            Some(_) => {
                self.say(format!("warning: skipping globals because destination {GLOBAL_KEY} is not a table."));
                return Ok(());
            }
        };
        let from = match above.get(GLOBAL_KEY) {
            None => Shared::default(),
            Some(Node::Table(table)) => table,
            Some(_) => {
                self.say(format!("warning: skipping globals because source {GLOBAL_KEY} is not a table."));
                return Ok(());
            }
        };
        for (key, value) in from.entries() {
            match (value, to.get(&key)) {
                (Node::Table(table), Some(Node::Table(old))) => {
                    // The globals from above win, and nulls are left to the pass that follows.
                    let copy = table.shallow();
                    Pass { merge: true, notices: self.notices }.tables(&copy, &old, &join(prefix, &key), 0)?;
                    to.set(&key, Node::Table(copy));
                }
                (Node::Table(_), Some(_)) => self.say(format!("Conflict: cannot merge map onto non-map for {}. Skipping.", gotemplate::text::quote(key.as_bytes()))),
                (Node::Table(table), None) => to.set(&key, Node::Table(table.shallow())),
                (_, Some(Node::Table(_))) => self.say(format!("key {key} is table. Skipping")),
                (leaf, _) => to.set(&key, leaf),
            }
        }
        below.set(GLOBAL_KEY, Node::Table(to));
        Ok(())
    }

    /// The chart's own defaults, below what is there; their nulls stay out but where nulls are kept.
    fn own(&mut self, chart: &Chart, dest: &Shared, prefix: &str) -> Result<(), String> {
        let here = join(prefix, chart.name());
        for (key, default) in Shared::from(&chart.values).entries() {
            match (dest.get(&key), default) {
                (Some(Node::Leaf(Value::Null)), _) if !self.merge => dest.remove(&key),
                (Some(Node::Table(table)), Node::Table(src)) => {
                    let merge = self.merge || chart.dependencies.iter().any(|sub| sub.name() == key);
                    if !merge {
                        src.drop_nulls();
                    }
                    Pass { merge, notices: self.notices }.tables(&table, &src, &join(&here, &key), 0)?;
                }
                (Some(Node::Table(_)), Node::Leaf(Value::Null)) => {}
                (Some(Node::Table(_)), _) => self.say(format!("warning: skipped value for {here}.{key}: Not a table.")),
                (Some(_), _) => {}
                (None, Node::Leaf(Value::Null)) if !self.merge => {}
                (None, default) => {
                    if let (false, Node::Table(table)) = (self.merge, &default) {
                        table.drop_nulls();
                    }
                    dest.set(&key, default);
                }
            }
        }
        Ok(())
    }

    fn tables(&mut self, dst: &Shared, src: &Shared, prefix: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(format!("values nest more than {DEPTH} deep at {prefix}"));
        }
        let defaults: Vec<String> = src.entries().into_iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect();
        for (key, _) in dst.entries().iter().filter(|(_, value)| value.is_null()) {
            src.set(key, Node::Leaf(Value::Null));
        }
        for (key, value) in src.entries() {
            let full = join(prefix, &key);
            match (dst.get(&key), value) {
                (Some(Node::Leaf(Value::Null)), _) if !self.merge && defaults.contains(&key) => dst.remove(&key),
                (None, value) => dst.set(&key, value),
                (Some(Node::Table(below)), Node::Table(table)) => self.tables(&below, &table, &full, depth + 1)?,
                (Some(_), Node::Table(table)) => {
                    let shown = go_text(&Value::Object(table.to_table()?));
                    self.say(format!("warning: cannot overwrite table with non table for {full} ({shown})"));
                }
                (Some(Node::Table(_)), Node::Leaf(leaf)) if !leaf.is_null() => {
                    self.say(format!("warning: destination for {full} is a table. Ignoring non-table value ({})", go_text(&leaf)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A value as Go's `%t` prints it: all but booleans are told to be wrong.
fn go_type_of(value: &Value) -> String {
    match value {
        Value::Null => "%!t(<nil>)".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("%!t({}={})", if n.is_f64() { "float64" } else { "int64" }, go_text(value)),
        Value::String(s) => format!("%!t(string={s})"),
        Value::Array(items) => format!("[{}]", items.iter().map(go_type_inside).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => format!("map[{}]", map.iter().map(|(k, v)| format!("%!t(string={k}):{}", go_type_inside(v))).collect::<Vec<_>>().join(" ")),
    }
}

/// As [`go_type_of`], within a list or a table, where nothing is but nothing.
fn go_type_inside(value: &Value) -> String {
    if value.is_null() { "<nil>".into() } else { go_type_of(value) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chart(name: &str, values: Value, below: Vec<Chart>) -> Chart {
        let mut chart = Chart { values: values.as_object().cloned().unwrap_or_default(), dependencies: below, ..Chart::default() };
        chart.metadata.name = name.into();
        chart
    }

    fn coalesced(chart: &Chart, given: Value) -> (Value, Vec<String>) {
        let mut notices = Vec::new();
        let given = given.as_object().cloned().unwrap_or_default();
        let values = coalesce(chart, &given, &mut notices).expect("coalesces");
        (Value::Object(values), notices.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn globals_below_the_first_level_are_one_table_for_all() {
        let db = chart("db", json!({}), Vec::new());
        let web = chart("web", json!({"global": {"a": {"b": {}}}, "db": {"global": {"a": {"b": {"below": 1}, "own": 2}}}}), vec![db]);
        let (values, notices) = coalesced(&web, json!({}));
        assert_eq!(values["global"], json!({"a": {"b": {"below": 1}}}));
        assert_eq!(values["db"]["global"], json!({"a": {"b": {"below": 1}, "own": 2}}));
        assert_eq!(notices, Vec::<String>::new());
    }

    #[test]
    fn nulls_delete_defaults_and_only_those() {
        let web = chart("web", json!({"a": 1, "t": {"x": 1, "n": null}, "n": null}), Vec::new());
        assert_eq!(coalesced(&web, json!({"a": null, "t": {"x": null, "own": null}})).0, json!({"t": {"own": null}}));
    }

    #[test]
    fn what_cannot_be_merged_is_told() {
        let web = chart("web", json!({"t": {"x": {"y": 1}}, "s": 1}), Vec::new());
        let (_, notices) = coalesced(&web, json!({"t": {"x": 2}, "s": {}}));
        assert_eq!(notices[0], "level=INFO msg=\"warning: skipped value for web.s: Not a table.\"");
        assert_eq!(notices[1], "level=INFO msg=\"warning: cannot overwrite table with non table for web.t.x (map[y:1])\"");
        let above = chart("top", json!({}), vec![web]);
        let wrong = json!({"web": [1.0, null]});
        let error = coalesce(&above, wrong.as_object().expect("table"), &mut Vec::new()).expect_err("no table");
        assert_eq!(error, "type mismatch on web: [%!t(float64=1) <nil>]");
    }
}
