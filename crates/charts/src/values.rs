//! Values of charts brought together: the user's over the parent's over the child's, globals downwards, nulls that delete.
// Upstream: helm pkg/chart/common/util/coalesce.go and values.go.

use serde_json::{Map, Number, Value};

use crate::chart::{Chart, GLOBAL_KEY};

type Table = Map<String, Value>;

/// Values, and what was said on the way.
pub struct Coalesced {
    pub values: Table,
    pub warnings: Vec<String>,
}

/// Brings the values of a chart and of those below together under the given ones; a null deletes.
pub fn coalesce(chart: &Chart, given: &Table) -> Result<Coalesced, String> {
    run(chart, given, false)
}

/// Like [`coalesce`], but nulls stay, for another pass to find.
pub fn merge(chart: &Chart, given: &Table) -> Result<Coalesced, String> {
    run(chart, given, true)
}

fn run(chart: &Chart, given: &Table, merge: bool) -> Result<Coalesced, String> {
    let mut pass = Pass { merge, warnings: Vec::new() };
    let mut values = given.clone();
    pass.chart(chart, &mut values, "")?;
    Ok(Coalesced { values, warnings: pass.warnings })
}

/// Merges one table into another; what `dst` has counts. Nulls stay.
pub fn merge_tables(dst: &mut Table, src: Table) {
    Pass { merge: true, warnings: Vec::new() }.tables(dst, src, "");
}

/// Merges one table into another; what `dst` has counts, a null of its deletes.
pub fn coalesce_tables(dst: &mut Table, src: Table) {
    Pass { merge: false, warnings: Vec::new() }.tables(dst, src, "");
}

/// Lays `over` upon `base`: maps are merged, all else replaced. This is how value files follow one another.
// Upstream: helm pkg/chart/v2/loader MergeMaps.
pub fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => overlay(old, new),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

struct Pass {
    merge: bool,
    warnings: Vec<String>,
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") }
}

impl Pass {
    fn chart(&mut self, chart: &Chart, dest: &mut Table, prefix: &str) -> Result<(), String> {
        self.own(chart, dest, prefix);
        for sub in &chart.dependencies {
            let mut below = match dest.remove(sub.name()) {
                None => Table::new(),
                Some(Value::Object(table)) => table,
                Some(other) => return Err(format!("type mismatch on {}: {}", sub.name(), go_type_of(&other))),
            };
            let prefix = join(prefix, chart.name());
            self.globals(&mut below, dest, &prefix);
            self.chart(sub, &mut below, &prefix)?;
            dest.insert(sub.name().to_string(), Value::Object(below));
        }
        Ok(())
    }

    fn globals(&mut self, dest: &mut Table, src: &Table, prefix: &str) {
        let mut to = match dest.get(GLOBAL_KEY) {
            None => Table::new(),
            Some(Value::Object(table)) => table.clone(),
            Some(_) => return self.warnings.push(format!("warning: skipping globals because destination {GLOBAL_KEY} is not a table.")),
        };
        let from = match src.get(GLOBAL_KEY) {
            None => Table::new(),
            Some(Value::Object(table)) => table.clone(),
            Some(_) => return self.warnings.push(format!("warning: skipping globals because source {GLOBAL_KEY} is not a table.")),
        };
        for (key, value) in from {
            match (value, to.remove(&key)) {
                (Value::Object(mut above), Some(Value::Object(below))) => {
                    // The parent's globals win, and nulls are left to the pass that follows.
                    let mut keeping = Pass { merge: true, warnings: Vec::new() };
                    keeping.tables(&mut above, below, &join(prefix, &key));
                    to.insert(key, Value::Object(above));
                }
                (Value::Object(_), Some(other)) => {
                    self.warnings.push(format!("Conflict: cannot merge map onto non-map for {key:?}. Skipping."));
                    to.insert(key, other);
                }
                (value @ Value::Object(_), None) => {
                    to.insert(key, value);
                }
                (_, Some(table @ Value::Object(_))) => {
                    self.warnings.push(format!("key {key} is table. Skipping"));
                    to.insert(key, table);
                }
                (value, _) => {
                    to.insert(key, value);
                }
            }
        }
        dest.insert(GLOBAL_KEY.to_string(), Value::Object(to));
    }

    /// The chart's own defaults, below what is there; their nulls stay out but where nulls are kept.
    fn own(&mut self, chart: &Chart, dest: &mut Table, prefix: &str) {
        let here = join(prefix, chart.name());
        let cleaned = !self.merge;
        for (key, default) in &chart.values {
            match dest.get_mut(key) {
                Some(Value::Null) if !self.merge => {
                    dest.remove(key);
                }
                Some(Value::Object(table)) => match default {
                    Value::Object(src) => {
                        let outer = self.merge;
                        self.merge |= chart.dependencies.iter().any(|sub| sub.name() == key);
                        let mut src = src.clone();
                        if !self.merge {
                            drop_nulls(&mut src);
                        }
                        self.tables(table, src, &join(&here, key));
                        self.merge = outer;
                    }
                    Value::Null => {}
                    _ => self.warnings.push(format!("warning: skipped value for {here}.{key}: Not a table.")),
                },
                Some(_) => {}
                None if cleaned && default.is_null() => {}
                None => {
                    let mut value = default.clone();
                    if let (true, Value::Object(table)) = (cleaned, &mut value) {
                        drop_nulls(table);
                    }
                    dest.insert(key.clone(), value);
                }
            }
        }
    }

    fn tables(&mut self, dst: &mut Table, src: Table, prefix: &str) {
        for (key, value) in src {
            let full = join(prefix, &key);
            match dst.get_mut(&key) {
                Some(Value::Null) if !self.merge && !value.is_null() => {
                    dst.remove(&key);
                }
                None => {
                    dst.insert(key, value);
                }
                Some(Value::Object(below)) => match value {
                    Value::Object(table) => self.tables(below, table, &full),
                    Value::Null => {}
                    other => self.warnings.push(format!("warning: destination for {full} is a table. Ignoring non-table value ({})", go_text(&other))),
                },
                // Upstream: a null here has been laid on the source before and is no table.
                Some(Value::Null) => {}
                Some(_) if value.is_object() => {
                    self.warnings.push(format!("warning: cannot overwrite table with non table for {full} ({})", go_text(&value)));
                }
                Some(_) => {}
            }
        }
    }
}

fn drop_nulls(table: &mut Table) {
    table.retain(|_, value| !value.is_null());
    for value in table.values_mut() {
        if let Value::Object(below) = value {
            drop_nulls(below);
        }
    }
}

/// A value as Go's `%t` prints it: all but booleans are told to be wrong.
fn go_type_of(value: &Value) -> String {
    match value {
        Value::Null => "%!t(<nil>)".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("%!t({}={})", if n.is_f64() { "float64" } else { "int64" }, go_text(value)),
        Value::String(s) => format!("%!t(string={s})"),
        Value::Array(items) => format!("[{}]", items.iter().map(go_type_of).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let inner = |v: &Value| if v.is_null() { "<nil>".into() } else { go_type_of(v) };
            format!("map[{}]", map.iter().map(|(k, v)| format!("%!t(string={k}):{}", inner(v))).collect::<Vec<_>>().join(" "))
        }
    }
}

/// A value as Go prints it with `%v`.
pub fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.as_f64().filter(|_| n.is_f64()).map_or_else(|| n.to_string(), goyaml::float_g),
        Value::String(s) => s.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => format!("map[{}]", map.iter().map(|(k, v)| format!("{k}:{}", go_text(v))).collect::<Vec<_>>().join(" ")),
    }
}

/// Numbers made floating point, as Go reads JSON into `interface{}`.
pub fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().and_then(Number::from_f64).map_or(Value::Number(n), Value::Number),
        Value::Array(items) => Value::Array(items.into_iter().map(as_floats).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, as_floats(v))).collect()),
        other => other,
    }
}

/// Reads a text of values, e.g. values.yaml; nothing is an empty table.
pub fn read(text: &str) -> Result<Table, String> {
    match goyaml::from_yaml(text) {
        Ok(Value::Null) => Ok(Table::new()),
        Ok(value @ Value::Object(_)) => match as_floats(value) {
            Value::Object(table) => Ok(table),
            _ => Ok(Table::new()),
        },
        Ok(other) => Err(format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json_kind(&other))),
        Err(e) => Err(format!("error converting YAML to JSON: {e}")),
    }
}

/// What Go's JSON decoder calls the value.
pub fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The table at a dotted path.
// Upstream: helm pkg/chart/common/values.go Table.
pub fn table_at<'a>(values: &'a Table, path: &str) -> Option<&'a Table> {
    path.split('.').try_fold(values, |table, key| match table.get(key) {
        Some(Value::Object(below)) => Some(below),
        _ => None,
    })
}

/// The value at a dotted path that is no table.
// Upstream: helm pkg/chart/common/values.go PathValue.
pub fn value_at<'a>(values: &'a Table, path: &str) -> Option<&'a Value> {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let table = if parent.is_empty() { values } else { table_at(values, parent)? };
    table.get(key).filter(|v| !v.is_object())
}
