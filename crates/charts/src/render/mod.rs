//! Rendering: the templates of a chart and of those below it, executed as Helm's engine does.
//!
//! Parses each template once and executes on a thread with a stack of its own; never does IO but through the given lookup.
//! Templates, values and files are taken as hostile: time, memory and depth are bounded. Upstream: helm pkg/engine/engine.go.

mod context;
mod error;
mod files;
mod functions;
mod json;
mod objects;
mod pattern;
mod toml;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use gotemplate::{Budget, Functions, Set, Value};
use serde_json::Map;

use crate::chart::Chart;

pub use error::RenderError;
pub use objects::{Capabilities, KubeVersion};

/// Room for the deepest nesting of templates that upstream allows.
const STACK: usize = 512 << 20;
/// What the set of all templates is called in messages.
const ROOT: &str = "gotpl";

/// What `.Release` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseInfo {
    pub name: String,
    pub namespace: String,
    pub revision: i64,
    pub is_install: bool,
    pub is_upgrade: bool,
}

pub use gotemplate::MissingKey;

/// Finds an object in the cluster by API version, kind, namespace and name, or a list when the name is empty; an empty map when
/// there is none.
pub type Lookup = dyn Fn(&str, &str, &str, &str) -> Result<Map<String, serde_json::Value>, String> + Send + Sync;

/// Takes a line for the user.
pub type Say = dyn Fn(crate::notice::Notice) + Send + Sync;

/// Gives an address of a host.
pub type Resolve = dyn Fn(&str) -> Option<String> + Send + Sync;

pub struct RenderInput<'a> {
    pub chart: &'a Chart,
    /// The values of the chart with those of the charts below under their names.
    pub values: &'a Map<String, serde_json::Value>,
    pub release: ReleaseInfo,
    pub capabilities: Capabilities,
    /// A key that a map lacks is an error.
    pub strict: bool,
    /// `required` and `fail` do not fail.
    pub lint: bool,
    /// Without one, `lookup` finds nothing.
    pub lookup: Option<Arc<Lookup>>,
    /// Takes what templates of a chart that is only looked at would have failed with.
    pub say: Option<Arc<Say>>,
    /// Without one, `getHostByName` gives nothing, as upstream unless DNS is enabled.
    pub resolve: Option<Arc<Resolve>>,
}

impl<'a> RenderInput<'a> {
    pub fn new(chart: &'a Chart, values: &'a Map<String, serde_json::Value>, release: ReleaseInfo) -> RenderInput<'a> {
        RenderInput { chart, values, release, capabilities: Capabilities::default(), strict: false, lint: false, lookup: None, say: None, resolve: None }
    }
}

/// A template as it is rendered: its source and the values it sees, which all templates of a chart share.
struct Renderable<'a> {
    source: &'a [u8],
    context: gotemplate::Map,
    base_path: String,
}

/// The rendered texts by template: `web/templates/service.yaml`. Partials (`_name`) give none.
pub fn render(input: &RenderInput<'_>) -> Result<BTreeMap<String, String>, RenderError> {
    match gotemplate::stack::deep(STACK, || render_here(input)) {
        Ok(result) => result,
        Err(error) => Err(RenderError(format!("rendering template failed: {error}"))),
    }
}

fn render_here(input: &RenderInput<'_>) -> Result<BTreeMap<String, String>, RenderError> {
    let templates = context::templates(input);
    let mut names: Vec<&String> = templates.keys().collect();
    // Upstream: those deepest in the tree first, else by name backwards: definitions higher up win.
    names.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.cmp(a)));
    let missing = if input.strict { MissingKey::Error } else { MissingKey::Zero };
    let mut functions = Functions::builtin();
    sprig::register(&mut functions);
    functions::register(&mut functions, input);
    let mut set = Set::new(ROOT, Rc::new(functions), missing);
    for name in &names {
        set.parse(name, templates[*name].source).map_err(|fault| error::parsing(name, &fault.0))?;
    }
    let set = Rc::new(set);
    let budget = Budget::default();
    let mut rendered = BTreeMap::new();
    let mut broken: Option<(&String, &str)> = None;
    for name in names.into_iter().filter(|name| !is_partial(name)) {
        let template = &templates[name];
        template.context.set("Template".into(), context::template(name, &template.base_path));
        let out = set.execute(name, Value::Map(template.context.clone()), &budget).map_err(|fault| error::executing(name, &fault))?;
        let text = functions::without_no_value(&out);
        if let Some(fault) = goyaml::utf8_fault(&text).filter(|_| !input.lint && !name.ends_with("NOTES.txt") && broken.as_ref().is_none_or(|(first, _)| name < first)) {
            broken = Some((name, fault));
        }
        rendered.insert(name.clone(), gotemplate::text::lossy(&text).into_owned());
    }
    match broken {
        // Upstream: such a text is read as YAML next, where it fails.
        Some((name, fault)) => Err(RenderError(format!("YAML parse error on {name}: error converting YAML to JSON: yaml: {fault}"))),
        None => Ok(rendered),
    }
}

/// Renders one text with Go's and Sprig's functions alone; whether a key that `data` lacks is an error is `missing`'s matter. Errors are Go's, whole.
pub fn line(name: &str, template: &str, data: &serde_json::Value, missing: MissingKey) -> Result<String, String> {
    let mut functions = Functions::builtin();
    sprig::register(&mut functions);
    let mut set = Set::new(name, Rc::new(functions), missing);
    set.parse(name, template.as_bytes()).map_err(|fault| fault.0)?;
    let out = Rc::new(set).execute(name, json::from_json(data), &Budget::default()).map_err(|fault| fault.to_string())?;
    Ok(gotemplate::text::lossy(&out).into_owned())
}

fn depth(name: &str) -> usize {
    name.bytes().filter(|b| *b == b'/').count()
}

fn is_partial(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|base| base.starts_with('_'))
}
