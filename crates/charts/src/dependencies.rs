//! Which charts below a chart take part, under which name, and which of their values the parent imports.
// Upstream: helm pkg/chart/v2/util/dependencies.go.

use serde_json::Value;

use crate::chart::{Chart, Dependency};
use crate::coalesce::{Node, Shared, coalesce, merge, merge_tables};
use crate::notice::{Level, Notice};
use crate::values::{Table, go_text, value_at};
use crate::version::is_compatible;

/// Settles the charts below: aliases, conditions, tags, import-values.
pub fn process(chart: &mut Chart, values: &Table, notices: &mut Vec<Notice>) -> Result<(), String> {
    enable(chart, values, "", notices)?;
    import(chart, notices)
}

fn enable(chart: &mut Chart, values: &Table, path: &str, notices: &mut Vec<Notice>) -> Result<(), String> {
    if !chart.lists_dependencies {
        return Ok(());
    }
    chart.dependencies = renamed(chart);
    for dependency in &mut chart.metadata.dependencies {
        if !dependency.alias.is_empty() {
            dependency.name = dependency.alias.clone();
        }
        dependency.enabled = true;
    }
    let coalesced = coalesce(chart, values, notices)?;
    by_tags(&mut chart.metadata.dependencies, &coalesced, notices);
    by_conditions(&mut chart.metadata.dependencies, &coalesced, path, notices);
    let off: Vec<String> = chart.metadata.dependencies.iter().filter(|d| !d.enabled).map(|d| d.name.clone()).collect();
    chart.dependencies.retain(|c| !off.contains(&c.metadata.name));
    chart.metadata.dependencies.retain(|d| !off.contains(&d.name));
    chart.lists_dependencies = !chart.metadata.dependencies.is_empty();
    for below in &mut chart.dependencies {
        let path = format!("{path}{}.", below.metadata.name);
        enable(below, &coalesced, &path, notices)?;
    }
    Ok(())
}

/// The charts below as Chart.yaml names them: those that it does not name first, then one for each entry.
fn renamed(chart: &Chart) -> Vec<Chart> {
    let wanted = |c: &Chart, d: &Dependency| c.name() == d.name && is_compatible(&d.version, &c.metadata.version);
    let named = &chart.metadata.dependencies;
    let mut out: Vec<Chart> = chart.dependencies.iter().filter(|c| !named.iter().any(|d| wanted(c, d))).cloned().collect();
    for dependency in named {
        let Some(found) = chart.dependencies.iter().find(|c| wanted(c, dependency)) else {
            continue;
        };
        let mut found = found.clone();
        if !dependency.alias.is_empty() {
            found.metadata.name = dependency.alias.clone();
        }
        out.push(found);
    }
    out
}

fn by_tags(dependencies: &mut [Dependency], values: &Table, notices: &mut Vec<Notice>) {
    let Some(tags) = values.get("tags").and_then(Value::as_object) else {
        return;
    };
    for dependency in dependencies {
        let (mut on, mut off) = (false, false);
        for tag in &dependency.tags {
            match tags.get(tag) {
                Some(Value::Bool(true)) => on = true,
                Some(Value::Bool(false)) => off = true,
                Some(_) => notices.push(warning("returned non-bool value").about("tag", tag).about("chart", &dependency.name)),
                None => {}
            }
        }
        dependency.enabled = on || !off;
    }
}

fn by_conditions(dependencies: &mut [Dependency], values: &Table, path: &str, notices: &mut Vec<Notice>) {
    for dependency in dependencies {
        let condition = dependency.condition.trim().to_string();
        for one in condition.split(',').filter(|c| !c.is_empty()) {
            match value_at(values, &format!("{path}{one}")) {
                Some(Value::Bool(on)) => {
                    dependency.enabled = *on;
                    break;
                }
                Some(_) => notices.push(warning("returned non-bool value").about("path", one).about("chart", &dependency.name)),
                None => {}
            }
        }
    }
}

fn import(chart: &mut Chart, notices: &mut Vec<Notice>) -> Result<(), String> {
    for below in &mut chart.dependencies {
        import(below, notices)?;
    }
    if !chart.lists_dependencies {
        return Ok(());
    }
    let own = merge(chart, &Table::new(), notices)?;
    let imported = Shared::default();
    for dependency in &mut chart.metadata.dependencies {
        let mut settled = Vec::new();
        for wish in &dependency.import_values {
            let (child, parent) = match wish {
                Value::String(name) => (format!("exports.{name}"), ".".to_string()),
                Value::Object(map) => (text_of(map, "child"), text_of(map, "parent")),
                _ => continue,
            };
            settled.push(serde_json::json!({ "child": child, "parent": parent }));
            match own.at(&format!("{}.{child}", dependency.name)) {
                // Upstream: an empty table is not shared, as AsMap makes a new one.
                Ok(table) if table.entries().is_empty() => merge_tables(&imported, &under(&parent, Shared::default()), notices)?,
                Ok(table) => merge_tables(&imported, &under(&parent, table), notices)?,
                Err(missing) => notices.push(lacking(wish, &dependency.name, missing)),
            }
        }
        dependency.import_values = settled;
    }
    // Importing may have changed the tables that were imported; from here on nothing is shared.
    let own = Shared::from(&own.to_table()?);
    merge_tables(&own, &imported, notices)?;
    chart.values = own.to_table()?;
    Ok(())
}

fn warning(message: &str) -> Notice {
    Notice::new(Level::Warn, message)
}

fn lacking(wish: &Value, chart: &str, missing: &str) -> Notice {
    let error = format!("{} is not a table", gotemplate::text::quote(missing.as_bytes()));
    if wish.is_string() {
        return warning("ImportValues missing table").about("error", error);
    }
    warning("ImportValues missing table from chart").about("chart", chart).about("error", error)
}

fn text_of(map: &Table, key: &str) -> String {
    map.get(key).map_or_else(|| "<nil>".into(), go_text)
}

fn under(path: &str, table: Shared) -> Shared {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |below, key| {
        let above = Shared::default();
        above.set(key, Node::Table(below));
        above
    })
}
