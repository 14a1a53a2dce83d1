//! Which charts below a chart take part, under which name, and which of their values the parent imports.
// Upstream: helm pkg/chart/v2/util/dependencies.go.

use serde_json::{Map, Value};

use crate::chart::{Chart, Dependency};
use crate::values::{coalesce, merge, merge_tables, table_at, value_at};
use crate::version::is_compatible;

type Table = Map<String, Value>;

/// Settles the charts below: aliases, conditions, tags, import-values. Gives what is worth a warning.
pub fn process(chart: &mut Chart, values: &Table) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    enable(chart, values, "", &mut warnings)?;
    import(chart, &mut warnings)?;
    Ok(warnings)
}

fn enable(chart: &mut Chart, values: &Table, path: &str, warnings: &mut Vec<String>) -> Result<(), String> {
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
    let coalesced = coalesce(chart, values)?.values;
    by_tags(&mut chart.metadata.dependencies, &coalesced, warnings);
    by_conditions(&mut chart.metadata.dependencies, &coalesced, path, warnings);
    let off: Vec<String> = chart.metadata.dependencies.iter().filter(|d| !d.enabled).map(|d| d.name.clone()).collect();
    chart.dependencies.retain(|c| !off.contains(&c.metadata.name));
    chart.metadata.dependencies.retain(|d| !off.contains(&d.name));
    for below in &mut chart.dependencies {
        let path = format!("{path}{}.", below.metadata.name);
        enable(below, &coalesced, &path, warnings)?;
    }
    Ok(())
}

/// The charts below as Chart.yaml names them: those that it does not name first, then one for each entry.
fn renamed(chart: &Chart) -> Vec<Chart> {
    let wanted = |c: &Chart, d: &Dependency| c.name() == d.name && is_compatible(&d.version, &c.metadata.version);
    let named = &chart.metadata.dependencies;
    let mut out: Vec<Chart> = chart.dependencies.iter().filter(|c| !named.iter().any(|d| wanted(c, d))).cloned().collect();
    for dependency in named {
        let Some(found) = chart.dependencies.iter().find(|c| wanted(c, dependency)) else { continue };
        let mut found = found.clone();
        if !dependency.alias.is_empty() {
            found.metadata.name = dependency.alias.clone();
        }
        out.push(found);
    }
    out
}

fn by_tags(dependencies: &mut [Dependency], values: &Table, warnings: &mut Vec<String>) {
    let Some(tags) = table_at(values, "tags") else { return };
    for dependency in dependencies {
        let (mut on, mut off) = (false, false);
        for tag in &dependency.tags {
            match tags.get(tag) {
                Some(Value::Bool(true)) => on = true,
                Some(Value::Bool(false)) => off = true,
                Some(_) => warnings.push(format!("returned non-bool value: tag={tag} chart={}", dependency.name)),
                None => {}
            }
        }
        dependency.enabled = on || !off;
    }
}

fn by_conditions(dependencies: &mut [Dependency], values: &Table, path: &str, warnings: &mut Vec<String>) {
    for dependency in dependencies {
        let condition = dependency.condition.trim().to_string();
        for one in condition.split(',').filter(|c| !c.is_empty()) {
            match value_at(values, &format!("{path}{one}")) {
                Some(Value::Bool(on)) => {
                    dependency.enabled = *on;
                    break;
                }
                Some(_) => warnings.push(format!("returned non-bool value: path={one} chart={}", dependency.name)),
                None => {}
            }
        }
    }
}

fn import(chart: &mut Chart, warnings: &mut Vec<String>) -> Result<(), String> {
    for below in &mut chart.dependencies {
        import(below, warnings)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let mut own = merge(chart, &Table::new())?.values;
    let mut imported = Table::new();
    for dependency in &mut chart.metadata.dependencies {
        let mut settled = Vec::new();
        for wish in &dependency.import_values {
            let (child, parent) = match wish {
                Value::String(name) => (format!("exports.{name}"), ".".to_string()),
                Value::Object(map) => (text_of(map, "child"), text_of(map, "parent")),
                _ => continue,
            };
            settled.push(serde_json::json!({ "child": child, "parent": parent }));
            match table_at(&own, &format!("{}.{child}", dependency.name)) {
                Some(table) => merge_tables(&mut imported, under(&parent, table.clone())),
                None => warnings.push(format!("ImportValues missing table from chart: chart={} error={child:?} is not a table", dependency.name)),
            }
        }
        dependency.import_values = settled;
    }
    merge_tables(&mut own, imported);
    chart.values = own;
    Ok(())
}

fn text_of(map: &Map<String, Value>, key: &str) -> String {
    map.get(key).map_or_else(|| "<nil>".into(), crate::values::go_text)
}

fn under(path: &str, table: Table) -> Table {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |below, key| Table::from_iter([(key.to_string(), Value::Object(below))]))
}
