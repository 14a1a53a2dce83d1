//! What checks are made of: containers, words about who and what, settings that a pod gives its containers.

use std::collections::BTreeSet;

use catalog::walk;
use serde_json::Value;

use super::{Version, Violation};

/// A pod as the checks look at it.
pub struct Pod<'a> {
    pub pod: &'a Value,
    pub spec: &'a Value,
    pub version: Version,
    /// The stricter level asks for itself some of what baseline asks for.
    pub restricted: bool,
}

impl<'a> Pod<'a> {
    /// In upstream's order.
    pub fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(move |list| walk::list(spec, list))
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&'a String, &'a str)> + use<'a> {
        walk::map(self.pod, "metadata.annotations").into_iter().flatten().filter_map(|(key, value)| Some((key, value.as_str()?)))
    }

    pub fn is_windows(&self) -> bool {
        self.version.has(25) && walk::text(self.spec, "os.name") == "windows"
    }

    /// Users of its own make much of what the host's users could do harmless.
    pub fn has_own_users(&self) -> bool {
        self.version.has(35) && walk::at(self.spec, "hostUsers") == &Value::Bool(false)
    }

    /// The containers for which something holds, by name.
    pub fn names(&self, holds: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|c| holds(c)).map(|c| walk::text(c, "name")).collect()
    }
}

pub fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `"a", "b"`; quoted without escapes, as upstream does it.
pub fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<_> = items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect();
    all.join(", ")
}

/// `container "a"` or `containers "a", "b"`.
pub fn containers(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names))
}

/// Who did it: the pod itself, some of its containers, both.
pub fn setters(pod: bool, names: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    if pod {
        all.push("pod".to_owned());
    }
    if !names.is_empty() {
        all.push(containers(names));
    }
    all
}

pub fn found(list: &mut Vec<Violation>, reason: &str, detail: impl Into<String>) {
    list.push(Violation { reason: reason.to_owned(), detail: detail.into() });
}

/// A setting of the pod and its containers, of which only some values are allowed.
pub struct Setting<'a> {
    pub path: &'static str,
    pub allows: &'a dyn Fn(&Value) -> bool,
}

/// Who gives a setting a value that is not allowed, and which values.
pub struct Bad<'a> {
    pub pod: bool,
    pub names: Vec<&'a str>,
    pub values: BTreeSet<String>,
}

impl Setting<'_> {
    pub fn bad<'p>(&self, pod: &Pod<'p>) -> Bad<'p> {
        let mut values = BTreeSet::new();
        let mut is_bad = |of: &Value| {
            let value = walk::at(of, self.path);
            let bad = !value.is_null() && !(self.allows)(value);
            if bad {
                values.insert(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            bad
        };
        let whole = is_bad(pod.spec);
        let names = pod.containers().filter(|c| is_bad(c)).map(|c| walk::text(c, "name")).collect();
        Bad { pod: whole, names, values }
    }
}

impl Bad<'_> {
    pub fn is_none(&self) -> bool {
        !self.pod && self.names.is_empty()
    }

    pub fn who(&self) -> String {
        setters(self.pod, &self.names).join(" and ")
    }
}
