//! What registered servers serve, put into the documents of this server. Pure.

use std::cmp::Reverse;

use catalog::{api_registration, walk};
use serde_json::{Value, json};

use super::Found;
use super::registrations::Remote;

/// A registered group and version, and what its server said of it.
pub type Known<'a> = (&'a Remote, Option<&'a Found>);

/// Where a group stands: the highest priority any of its versions has.
fn of_group(group: &str, remotes: &[Known<'_>]) -> i64 {
    let registered = remotes.iter().filter(|(r, _)| r.group == group).map(|(r, _)| r.priority.0).max();
    registered.unwrap_or_else(|| api_registration::priority(group, "").0)
}

fn of_version(group: &str, version: &str, remotes: &[Known<'_>]) -> i64 {
    let registered = remotes.iter().find(|(r, _)| r.group == group && r.version == version).map(|(r, _)| r.priority.1);
    registered.unwrap_or_else(|| api_registration::priority(group, version).1)
}

/// Puts versions into groups; `groups` lists them, `name` and `version` read them, `entry` makes them.
fn insert(groups: &mut Vec<Value>, remotes: &[Known<'_>], name: fn(&Value) -> &str, make: fn(&str) -> Value, entry: impl Fn(&Known<'_>) -> Value) {
    for known in remotes {
        let (group, version) = (&known.0.group, &known.0.version);
        if !groups.iter().any(|g| name(g) == group) {
            groups.push(make(group));
        }
        let Some(versions) = groups.iter_mut().find(|g| name(g) == group).and_then(|g| g["versions"].as_array_mut()) else { continue };
        versions.retain(|v| v["version"] != version.as_str());
        versions.push(entry(known));
        versions.sort_by_key(|v| Reverse(of_version(group, walk::text(v, "version"), remotes)));
    }
    groups.sort_by_key(|g| Reverse(if name(g) == "apiregistration.k8s.io" { i64::MAX } else { of_group(name(g), remotes) }));
}

/// `APIGroupList`.
pub fn group_list(list: &mut Value, remotes: &[Known<'_>]) {
    let Some(groups) = list["groups"].as_array_mut() else { return };
    insert(groups, remotes, |g| walk::text(g, "name"), |name| json!({"name": name, "versions": []}), |(r, _)| version_of(r));
    for group in groups {
        group["preferredVersion"] = group["versions"].get(0).cloned().unwrap_or_default();
    }
}

fn version_of(remote: &Remote) -> Value {
    json!({"groupVersion": format!("{}/{}", remote.group, remote.version), "version": remote.version})
}

/// `APIGroupDiscoveryList`.
pub fn aggregated(list: &mut Value, remotes: &[Known<'_>]) {
    let Some(items) = list["items"].as_array_mut() else { return };
    let make = |name: &str| json!({"metadata": {"name": name, "creationTimestamp": null}, "versions": []});
    insert(items, remotes, |g| walk::text(g, "metadata.name"), make, |(remote, found)| {
        let freshness = if remote.available && found.is_some() { "Current" } else { "Stale" };
        let mut entry = json!({"version": remote.version, "freshness": freshness});
        let resources = found.map(|f| resources(&f.resources, remote)).unwrap_or_default();
        if !resources.is_empty() {
            entry["resources"] = resources.into();
        }
        entry
    });
}

/// An `APIResourceList` in the form of aggregated discovery.
fn resources(list: &Value, remote: &Remote) -> Vec<Value> {
    let all = walk::list(list, "resources");
    let kind = |entry: &Value| {
        let or = |key: &str, other: &str| if walk::text(entry, key).is_empty() { other.to_owned() } else { walk::text(entry, key).to_owned() };
        json!({"group": or("group", &remote.group), "version": or("version", &remote.version), "kind": entry["kind"]})
    };
    let own = |entry: &&Value| !walk::text(entry, "name").contains('/');
    let of = |entry: &Value| {
        let name = walk::text(entry, "name");
        let scope = if walk::flag(entry, "namespaced") { "Namespaced" } else { "Cluster" };
        let mut made = json!({"resource": name, "responseKind": kind(entry), "scope": scope, "singularResource": walk::text(entry, "singularName"), "verbs": entry["verbs"]});
        for key in ["shortNames", "categories"] {
            if !walk::list(entry, key).is_empty() {
                made[key] = entry[key].clone();
            }
        }
        let parts: Vec<Value> = all
            .iter()
            .filter_map(|sub| walk::text(sub, "name").strip_prefix(name)?.strip_prefix('/').map(|part| json!({"subresource": part, "responseKind": kind(sub), "verbs": sub["verbs"]})))
            .collect();
        if !parts.is_empty() {
            made["subresources"] = parts.into();
        }
        made
    };
    all.iter().filter(own).map(of).collect()
}

/// The index of OpenAPI v3.
pub fn openapi_index(index: &mut Value, remotes: &[Known<'_>], described_here: impl Fn(&Remote) -> Option<String>) {
    for (remote, found) in remotes {
        let url = found.and_then(|f| f.openapi.clone()).or_else(|| described_here(remote));
        if let (Some(url), Some(paths)) = (url, index["paths"].as_object_mut()) {
            paths.insert(remote.path().trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::ServicePort;

    #[test]
    fn registered_groups_stand_where_their_priority_puts_them() {
        let service = ServicePort { namespace: "n".into(), name: "s".into(), port: 443 };
        let remote = Remote { name: "v1.m".into(), group: "m".into(), version: "v1".into(), service, ca_bundle: Vec::new(), insecure: false, priority: (17450, 5), available: true };
        let found = Found { resources: json!({"resources": [{"name": "pods", "kind": "PodMetrics", "namespaced": true, "singularName": "pod", "verbs": ["get"]}, {"name": "pods/status", "kind": "X", "version": "v2", "verbs": ["get"]}]}), openapi: Some("/openapi/v3/apis/m/v1?hash=1".into()) };
        let known = [(&remote, Some(&found))];
        let mut list = json!({"groups": [{"name": "batch", "versions": [{"version": "v1"}]}, {"name": "apps", "versions": [{"version": "v1"}]}]});
        group_list(&mut list, &known);
        let names: Vec<&str> = walk::list(&list, "groups").iter().map(|g| walk::text(g, "name")).collect();
        assert_eq!(names, ["apps", "m", "batch"]);
        assert_eq!(list["groups"][1]["preferredVersion"], json!({"groupVersion": "m/v1", "version": "v1"}));
        let mut list = json!({"items": []});
        aggregated(&mut list, &known);
        assert_eq!(list["items"][0]["versions"][0], json!({"version": "v1", "freshness": "Current", "resources": [{"resource": "pods", "scope": "Namespaced", "singularResource": "pod", "verbs": ["get"],
            "responseKind": {"group": "m", "version": "v1", "kind": "PodMetrics"}, "subresources": [{"subresource": "status", "verbs": ["get"], "responseKind": {"group": "m", "version": "v2", "kind": "X"}}]}]}));
        let mut index = json!({"paths": {}});
        openapi_index(&mut index, &known, |_| None);
        assert_eq!(index["paths"]["apis/m/v1"]["serverRelativeURL"], "/openapi/v3/apis/m/v1?hash=1");
    }
}
