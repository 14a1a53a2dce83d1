//! Kustomizations: resources and bases gathered, generated, patched, renamed; a subset of kustomize that most repositories need.
//!
//! Runs no plugins and no program but `git`, and of resources reads nothing above the root but bases that a kustomization names.
// Upstream: kubernetes-sigs/kustomize api/internal/target (order of the steps), api/types/kustomization.go (fields).
// Differs: helmCharts, transformers, generators by plugins, crds, vars and openapi are refused with their name.

mod generate;
mod names;
mod patches;
mod remote;
mod resources;
mod transform;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use crate::failure::{Failure, Outcome, fail};

const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Fields that are known; those with `false` are refused.
const FIELDS: [(&str, bool); 31] = [
    ("apiVersion", true),
    ("kind", true),
    ("metadata", true),
    ("resources", true),
    ("bases", true),
    ("components", true),
    ("namespace", true),
    ("namePrefix", true),
    ("nameSuffix", true),
    ("commonLabels", true),
    ("labels", true),
    ("commonAnnotations", true),
    ("images", true),
    ("replicas", true),
    ("configMapGenerator", true),
    ("secretGenerator", true),
    ("generatorOptions", true),
    ("patches", true),
    ("patchesStrategicMerge", true),
    ("patchesJson6902", true),
    ("replacements", true),
    ("sortOptions", true),
    ("buildMetadata", true),
    ("helmCharts", false),
    ("helmChartInflationGenerator", false),
    ("transformers", false),
    ("generators", false),
    ("validators", false),
    ("crds", false),
    ("vars", false),
    ("openapi", false),
];

/// A kustomization's folder, and those that lead to it.
pub struct Root {
    folder: PathBuf,
    visited: Vec<PathBuf>,
    is_restricted: bool,
    /// The clones that the folder lies in, and those that led to it; the last is the nearest.
    clones: Vec<Rc<remote::Clone>>,
}

/// One object, the names it had, and whether its name gets a hash of its content.
#[derive(Debug, Clone)]
pub struct Item {
    pub object: Value,
    pub before: Vec<String>,
    pub hashed: bool,
}

impl Item {
    fn new(object: Value) -> Self {
        Self { object, before: Vec::new(), hashed: false }
    }

    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        api::meta::name(&self.object)
    }

    pub fn rename(&mut self, name: String) {
        let old = self.name().to_owned();
        if old != name {
            self.before.push(old);
            self.object["metadata"]["name"] = name.into();
        }
    }
}

/// The objects of the kustomization in a folder.
///
/// Resources are files in or below the folder of their kustomization where they are restricted to it.
pub fn build(folder: &Path, is_restricted: bool) -> Outcome<Vec<Value>> {
    if let Some(spec) = remote::Spec::parse(&folder.to_string_lossy()) {
        return finish(&Root::cloned(&spec, Vec::new(), Vec::new())?);
    }
    if !folder.exists() {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let absent = resources::absent(&absolute).unwrap_or(absolute);
        return fail(format!("must build at directory: not a valid directory: evalsymlink failure on '{}' : lstat {}: no such file or directory", folder.display(), absent.display()));
    }
    finish(&Root::of(folder, is_restricted)?)
}

fn finish(root: &Root) -> Outcome<Vec<Value>> {
    let mut items = load(root)?;
    names::add_hashes(&mut items);
    names::fix_references(&mut items);
    items.sort_by_key(order);
    Ok(items.into_iter().map(|i| i.object).collect())
}

/// Kinds that others need come first, webhooks that could be in the way last.
// Upstream: kustomize api/resmap ReorderOptionLegacy, kyaml/resid/gvk.go.
const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

fn order(item: &Item) -> (usize, String, String, String) {
    let kind = item.kind();
    let place = FIRST.iter().position(|k| *k == kind).or_else(|| LAST.iter().position(|k| *k == kind).map(|i| FIRST.len() + 1 + i)).unwrap_or(FIRST.len());
    let version = item.object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let original = item.before.first().cloned().unwrap_or_else(|| item.name().to_owned());
    (place, format!("{}_{version}_{kind}", if group.is_empty() { "[noGrp]" } else { group }), api::meta::namespace(&item.object).to_owned(), original)
}

fn read(folder: &Path) -> Outcome<Value> {
    let found: Vec<PathBuf> = FILES.iter().map(|f| folder.join(f)).filter(|f| f.is_file()).collect();
    let shown = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let file = match &found[..] {
        [] => return fail(format!("unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'", shown.display())),
        [one] => one,
        _ => return fail(format!("Found multiple kustomization files: {}", shown.display())),
    };
    let text = std::fs::read_to_string(file)?;
    if text.trim().is_empty() {
        return fail("kustomization.yaml is empty");
    }
    let value = goyaml::from_yaml(&text).map_err(|e| Failure::Text(format!("invalid Kustomization: {}: {e}", file.display())))?;
    for (key, what) in value.as_object().into_iter().flatten() {
        match FIELDS.iter().find(|(f, _)| f == key) {
            Some((_, true)) => {}
            Some((_, false)) => return Err(refusal(folder, file, key, what)),
            None => return fail(format!("invalid Kustomization: json: unknown field {key:?}")),
        }
    }
    for (old, new) in [("bases", "resources"), ("commonLabels", "labels"), ("patchesJson6902", "patches"), ("patchesStrategicMerge", "patches")] {
        if !value[old].is_null() {
            crate::complain!("# Warning: '{old}' is deprecated. Please use '{new}' instead. Run 'kustomize edit fix' to update your Kustomization automatically.");
        }
    }
    Ok(value)
}

/// Charts and plugins, refused as upstream refuses them where they are not enabled.
fn refusal(folder: &Path, file: &Path, key: &str, what: &Value) -> Failure {
    let first = &what[0];
    if key == "helmCharts" || key == "helmChartInflationGenerator" {
        return Failure::Text(format!("trouble configuring builtin HelmChartInflationGenerator with config: `\n{}`: must specify --enable-helm", crate::print::yaml(first)));
    }
    let named = first.as_str().map(|name| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|_| name.to_owned()));
    let plugin = named.and_then(|text| goyaml::from_yaml(&text).ok()).filter(|p| p["kind"].is_string() && p["apiVersion"] != "builtin");
    let disabled = plugin.map(|p| format!("external plugins disabled; unable to load external plugin '{}'", p["kind"].as_str().unwrap_or_default()));
    Failure::Text(match (key, disabled) {
        ("generators", Some(disabled)) => format!("loading generator plugins: failed to load generator: {disabled}"),
        ("transformers" | "validators", Some(disabled)) => disabled,
        _ => format!("{}: the field {key:?} is not supported here", file.display()),
    })
}

fn load(root: &Root) -> Outcome<Vec<Item>> {
    let mut items = Vec::new();
    let kustomization = read(&root.folder)?;
    apply(root, &kustomization, &mut items)?;
    Ok(items)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// All steps of one kustomization over what is there (components) and what it brings.
fn apply(root: &Root, kustomization: &Value, items: &mut Vec<Item>) -> Outcome {
    let folder = root.folder.as_path();
    for name in strings(&kustomization["resources"]).into_iter().chain(strings(&kustomization["bases"])) {
        resources::add(root, &name, items)?;
    }
    for name in strings(&kustomization["components"]) {
        let (inner, component) = resources::component(root, &name)?;
        apply(&inner, &component, items)?;
    }
    generate::run(folder, kustomization, items)?;
    patches::run(folder, kustomization, items)?;
    transform::run(kustomization, items)?;
    patches::run_json(folder, kustomization, items)?;
    transform::run_last(kustomization, items)?;
    names::fix_references(items);
    transform::replacements(folder, kustomization, items)
}

fn read_objects(path: &Path) -> Outcome<Vec<Item>> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::Text(crate::failure::path_error("open", &shown, &e)))?;
    objects(&shown, &text)
}

/// The objects of a text.
fn objects(shown: &str, text: &str) -> Outcome<Vec<Item>> {
    let mut out = Vec::new();
    for document in crate::files::decode(shown, text) {
        let object = document?.object;
        if let Some(items) = object["items"].as_array().filter(|_| object["kind"].as_str().is_some_and(|k| k.ends_with("List"))) {
            out.extend(items.iter().cloned().map(Item::new));
            continue;
        }
        if object["kind"].is_null() || api::meta::name(&object).is_empty() {
            return fail(format!("accumulating resources: {shown}: missing metadata.name or kind in object {{{}}}", crate::print::compact(&object)));
        }
        out.push(Item::new(object));
    }
    Ok(out)
}
