//! `kubectl describe`: gathers what belongs to each object and hands it to its description.
// Upstream: kubectl pkg/cmd/describe/describe.go.

use serde_json::{Map, Value};

use crate::call::{Call, out};
use crate::client::{escape, with_query};
use crate::command::{Command, EMPTY};
use crate::describe::{Described, describe};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, yes_no};
use crate::select::{Info, Select};
use crate::{complain, global, run, workload};

const FLAGS: &[Flag] = &[yes_no("show-events", "With the events about each object.").default("true"), global::ALL_NAMESPACES, global::SELECTOR, global::CHUNK];

pub const COMMAND: Command = Command {
    name: "describe",
    usage: "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
    about: "Show the details of resources, with what belongs to them.\n\nWhere no object has the name, those that begin with it are shown.",
    examples: "kubectl describe nodes kubernetes-node-emt8.c.myproject.internal\n\n# Pods with a label\nkubectl describe pods -l name=myLabel",
    flags: &[FLAGS, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    if call.args().is_empty() && flags.list("filename").is_empty() && flags.text("kustomize").is_empty() {
        return fail("You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.\n".trim_end());
    }
    let selected = Select::of(call)?.with_all().by(call, call.args()).await?;
    let (mut infos, mut faults) = (Vec::new(), Vec::new());
    for item in selected.items {
        match item {
            Ok(info) => infos.push(info),
            Err(e) => faults.push(e),
        }
    }
    let mut by_beginning = false;
    if faults.len() == 1 && faults[0].is_not_found() && call.args().len() == 2 {
        infos = beginning(call).await.unwrap_or_default();
        if infos.is_empty() {
            // Upstream: who mistyped the namespace is told so; else the first fault is all there is to say.
            let namespace = call.api().await?.get(&format!("/api/v1/namespaces/{}", escape(&call.namespace()?.name))).await;
            return Err(namespace.err().filter(Failure::is_not_found).unwrap_or_else(|| faults.remove(0)));
        }
        faults.clear();
        by_beginning = true;
    }
    // Upstream: the events of several objects are shown to those only who ask for them.
    let with_events = flags.yes("show-events") && ((infos.len() == 1 && !by_beginning) || flags.given("show-events"));
    let mut first = true;
    for info in &infos {
        match one(call, info, with_events).await {
            Ok(text) => {
                // Upstream: names that begin alike each end with an empty line, others are parted by two.
                if !std::mem::take(&mut first) && !by_beginning {
                    out("\n\n");
                }
                out(&text);
                if by_beginning {
                    out("\n");
                }
            }
            Err(e) => faults.push(e),
        }
    }
    if infos.is_empty() && faults.is_empty() {
        if flags.yes("all-namespaces") {
            complain!("No resources found");
        } else {
            complain!("No resources found in {} namespace.", call.namespace()?.name);
        }
    }
    Failure::many(faults)
}

/// Objects whose names begin with what was asked for.
async fn beginning(call: &Call) -> Outcome<Vec<Info>> {
    let all = Select::of(call)?.with_all().by(call, &call.args()[..1]).await?.all()?;
    Ok(all.into_iter().filter(|i| i.name.starts_with(&call.args()[1])).collect())
}

async fn one(call: &Call, info: &Info, with_events: bool) -> Outcome<String> {
    let related = related(call, info).await;
    let events = if with_events && has_events(info) { events(call, info).await } else { None };
    Ok(describe(&Described { object: &info.object, events: events.as_deref(), related: &related }))
}

fn has_events(info: &Info) -> bool {
    !matches!(info.resource.kind.as_str(), "Secret" | "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" | "Namespace" | "ResourceQuota" | "LimitRange" | "NetworkPolicy")
}

async fn events(call: &Call, info: &Info) -> Option<Vec<Value>> {
    let uid = if info.resource.kind == "Node" { info.name.clone() } else { api::meta::uid(&info.object).to_owned() };
    let selector = format!("involvedObject.name={},involvedObject.namespace={},involvedObject.kind={}", info.name, info.namespace, info.resource.kind);
    let namespace = if info.namespace.is_empty() { "default" } else { &info.namespace };
    let mut all = Vec::new();
    let mut wanted = vec![format!("{selector},involvedObject.uid={uid}")];
    if info.resource.kind == "Node" {
        wanted.push(format!("{selector},involvedObject.uid={}", api::meta::uid(&info.object)));
    }
    let api = call.api().await.ok()?;
    for selector in wanted {
        let list = api.get(&with_query(&format!("/api/v1/namespaces/{namespace}/events"), &[("fieldSelector", &selector)])).await.ok()?;
        all.extend(list["items"].as_array().cloned().unwrap_or_default());
    }
    Some(all)
}

/// What belongs to an object of a kind; what may not be read is left out.
async fn related(call: &Call, info: &Info) -> Map<String, Value> {
    let mut out = Map::new();
    let (namespace, name) = (escape(&info.namespace), escape(&info.name));
    let mut wanted: Vec<(&str, String)> = Vec::new();
    let core = |list: &str| format!("/api/v1/namespaces/{namespace}/{list}");
    match info.resource.kind.as_str() {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController" => {
            let selector = workload::selector_text(&info.object).unwrap_or_default();
            wanted.push(("pods", with_query(&core("pods"), &[("labelSelector", &selector)])));
            if info.resource.kind == "Deployment" {
                wanted.push(("replicasets", with_query(&format!("/apis/apps/v1/namespaces/{namespace}/replicasets"), &[("labelSelector", &selector)])));
            }
        }
        "Service" => wanted.push(("slices", with_query(&format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"), &[("labelSelector", &format!("kubernetes.io/service-name={}", info.name))]))),
        "Ingress" => {
            wanted.push(("services", core("services")));
            wanted.push(("slices", format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")));
        }
        "Node" => {
            wanted.push(("pods", with_query("/api/v1/pods", &[("fieldSelector", &format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", info.name))])));
            wanted.push(("deviceslices", with_query("/apis/resource.k8s.io/v1/resourceslices", &[("fieldSelector", &format!("spec.nodeName={}", info.name))])));
            wanted.push(("lease", format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}")));
        }
        "PersistentVolumeClaim" => wanted.push(("pods", core("pods"))),
        "Namespace" => {
            wanted.push(("quotas", format!("/api/v1/namespaces/{name}/resourcequotas")));
            wanted.push(("limits", format!("/api/v1/namespaces/{name}/limitranges")));
        }
        _ => {}
    }
    let Ok(api) = call.api().await else { return out };
    for (what, path) in wanted {
        if let Ok(mut answer) = api.get(&path).await {
            let value = if what == "lease" { answer } else { answer["items"].take() };
            out.insert(what.to_owned(), value);
        }
    }
    out
}
