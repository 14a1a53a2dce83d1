//! Plans as data: the first object given is the one planned for, the rest is what its controller sees.

use std::sync::Arc;

use client::Plan;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use serde::de::DeserializeOwned;
use serde_json::Value;

const NOW: &str = "2026-01-01T00:10:00Z";

/// Objects without uid, namespace and resourceVersion get plain ones.
fn parse(given: &str) -> Vec<Value> {
    let documents = given.split("\n---\n").map(|document| {
        let mut value: Value = serde_saphyr::from_str(document).expect("case is YAML");
        let meta = &mut value["metadata"];
        let name = meta["name"].clone();
        for (key, default) in [("uid", name), ("namespace", "ns".into()), ("resourceVersion", "1".into())] {
            if meta[key].is_null() {
                meta[key] = default;
            }
        }
        value
    });
    documents.collect()
}

fn all<K: kube::Resource<DynamicType = ()> + DeserializeOwned>(values: &[Value]) -> Vec<Arc<K>> {
    let of_kind = values.iter().filter(|v| v["kind"] == K::kind(&()).as_ref());
    of_kind.map(|v| Arc::new(serde_json::from_value(v.clone()).expect("object of its kind"))).collect()
}

fn first<K: kube::Resource<DynamicType = ()> + DeserializeOwned>(values: &[Value]) -> Arc<K> {
    all::<K>(values).remove(0)
}

fn plan(values: &[Value], now: Timestamp) -> Plan {
    match values[0]["kind"].as_str().expect("a kind") {
        "Deployment" => {
            let observed = crate::deployment::Observed { deployment: first::<Deployment>(values), sets: all::<ReplicaSet>(values), may_adopt: true, sets_with_pods: Vec::new() };
            crate::deployment::plan(observed, now)
        }
        "ReplicaSet" => {
            let observed = crate::replicaset::Observed { set: first::<ReplicaSet>(values), pods: all::<Pod>(values), crowd: Default::default(), may_adopt: true };
            crate::replicaset::plan(observed, now)
        }
        "Job" => crate::job::plan(&crate::job::Known { job: first::<Job>(values), pods: all::<Pod>(values), may_adopt: true }, now),
        "CronJob" => crate::cronjob::plan(&crate::cronjob::Observed { cron: first::<CronJob>(values), jobs: all::<Job>(values) }, now),
        "DaemonSet" => {
            let observed = crate::daemonset::Observed { set: first::<DaemonSet>(values), pods: all::<Pod>(values), nodes: all::<Node>(values), revisions: all::<ControllerRevision>(values), may_adopt: true };
            crate::daemonset::plan(&observed, now)
        }
        "StatefulSet" => {
            let claims = all::<PersistentVolumeClaim>(values).into_iter().map(|c| (c.metadata.name.clone().unwrap_or_default(), c)).collect();
            let observed = crate::statefulset::Observed { set: first::<StatefulSet>(values), pods: all::<Pod>(values), revisions: all::<ControllerRevision>(values), claims, may_adopt: true };
            crate::statefulset::plan(&observed, now)
        }
        other => panic!("no plan for {other}"),
    }
}

#[test]
fn cases() {
    let now: Timestamp = NOW.parse().expect("a time");
    casefile::run("cases", |given| plan(&parse(given), now).to_text());
}
