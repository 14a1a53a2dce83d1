//! What each template sees: `.Values`, `.Chart`, `.Release`, `.Capabilities`, `.Files`, `.Template`, `.Subcharts`.

use std::collections::BTreeMap;

use gotemplate::{Elem, List, Map, MapType, Str, Value};

use super::files::Files;
use super::json::{from_json, from_table, texts};
use super::objects::{VALUES, values};
use super::{ReleaseInfo, RenderInput, Renderable};
use crate::chart::{Chart, Metadata};

fn entry(key: &str, value: Value) -> (Str, Value) {
    (Str::from(key), value)
}

/// The templates of the chart and of those below, by full name.
// Upstream: helm pkg/engine/engine.go recAllTpls.
pub fn templates<'a>(input: &RenderInput<'a>) -> BTreeMap<String, Renderable<'a>> {
    let mut all = BTreeMap::new();
    let shared = Shared { release: release(&input.release), capabilities: input.capabilities.value() };
    let top = values(&from_table(input.values));
    collect(input.chart, None, &top, &shared, &mut all);
    all
}

struct Shared {
    release: Value,
    capabilities: Value,
}

fn collect<'a>(chart: &'a Chart, parent: Option<&str>, own: &Map, shared: &Shared, all: &mut BTreeMap<String, Renderable<'a>>) -> Map {
    let full = match parent {
        Some(parent) => format!("{parent}/charts/{}", chart.name()),
        None => chart.name().to_owned(),
    };
    let below = Map::empty();
    let context = Map::new(
        MapType::Any,
        BTreeMap::from([
            entry("Chart", metadata(&chart.metadata, parent.is_none())),
            entry("Files", Files::value(&chart.files)),
            entry("Release", shared.release.clone()),
            entry("Capabilities", shared.capabilities.clone()),
            entry("Values", Value::Map(own.clone())),
            entry("Subcharts", Value::Map(below.clone())),
        ]),
    );
    for child in &chart.dependencies {
        let theirs = match own.get(child.name().as_bytes()) {
            Some(Value::Map(map)) if map.kind() != MapType::Strings => values(&map),
            _ => values(&Map::empty()),
        };
        let seen = collect(child, Some(&full), &theirs, shared, all);
        below.set(Str::from(child.name()), Value::Map(seen));
    }
    for template in &chart.templates {
        if chart.is_library() && !super::is_partial(&template.name) {
            continue;
        }
        let name = joined(&format!("{full}/{}", template.name));
        all.insert(name, Renderable { source: &template.data, context: values(&context), base_path: joined(&format!("{full}/templates")) });
    }
    context
}

/// `path.Join` of one path.
fn joined(path: &str) -> String {
    String::from_utf8_lossy(&sprig::paths::clean(path.as_bytes())).into_owned()
}

/// `.Template`
pub fn template(name: &str, base_path: &str) -> Value {
    let entries = BTreeMap::from([entry("Name", Value::str(name)), entry("BasePath", Value::str(base_path))]);
    Value::Map(Map::new(MapType::Named(&VALUES), entries))
}

fn release(info: &ReleaseInfo) -> Value {
    Value::map([
        entry("Name", Value::str(info.name.as_str())),
        entry("Namespace", Value::str(info.namespace.as_str())),
        entry("IsUpgrade", Value::Bool(info.is_upgrade)),
        entry("IsInstall", Value::Bool(info.is_install)),
        entry("Revision", Value::int(info.revision)),
        entry("Service", Value::str("Helm")),
    ])
}

/// `.Chart`: the fields of Chart.yaml by the names they have in Go.
// Upstream: helm pkg/chart/common.go structToMap.
fn metadata(m: &Metadata, is_root: bool) -> Value {
    let text = |value: &str| Value::str(value);
    let annotations = if m.annotations.is_empty() {
        Map::nil(MapType::Strings)
    } else {
        Map::new(MapType::Strings, m.annotations.iter().map(|(k, v)| entry(k, text(v))).collect())
    };
    let maintainers = m.maintainers.iter().map(|one| Value::map([entry("Name", text(&one.name)), entry("Email", text(&one.email)), entry("URL", text(&one.url))]));
    let dependencies = m.dependencies.iter().map(|one| {
        Value::map([
            entry("Name", text(&one.name)),
            entry("Version", text(&one.version)),
            entry("Repository", text(&one.repository)),
            entry("Condition", text(&one.condition)),
            entry("Tags", texts(&one.tags)),
            entry("Enabled", Value::Bool(one.enabled)),
            entry("ImportValues", Value::List(List::new(Elem::Any, one.import_values.iter().map(from_json).collect()))),
            entry("Alias", text(&one.alias)),
        ])
    });
    Value::map([
        entry("Name", text(&m.name)),
        entry("Home", text(&m.home)),
        entry("Sources", texts(&m.sources)),
        entry("Version", text(&m.version)),
        entry("Description", text(&m.description)),
        entry("Keywords", texts(&m.keywords)),
        entry("Maintainers", Value::list(maintainers.collect())),
        entry("Icon", text(&m.icon)),
        entry("APIVersion", text(&m.api_version)),
        entry("Condition", text(&m.condition)),
        entry("Tags", text(&m.tags)),
        entry("AppVersion", text(&m.app_version)),
        entry("Deprecated", Value::Bool(m.deprecated)),
        entry("Annotations", Value::Map(annotations)),
        entry("KubeVersion", text(&m.kube_version)),
        entry("Dependencies", Value::list(dependencies.collect())),
        entry("Type", text(&m.kind)),
        entry("IsRoot", Value::Bool(is_root)),
    ])
}
