//! The Rust client, unmodified: a controller over a definition of its own, a watcher that streams its first list, and two
//! candidates for one Lease.

use std::sync::Arc;
use std::time::Duration;

use e2e::Cluster;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, ResourceExt};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
const FINALIZER: &str = "rust.knarr.example/cleanup";

async fn client(cluster: &Cluster) -> Client {
    let file = Kubeconfig::read_from(&cluster.kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("settings");
    Client::try_from(config).expect("a client")
}

/// Runs a test's work on a runtime of its own; nothing takes longer than the limit.
fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(LIMIT, work).await.expect("it took too long") })
}

fn definition() -> CustomResourceDefinition {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}, "status": {"type": "object", "properties": {"size": {"type": "integer"}}}}}});
    let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": schema});
    let names = json!({"plural": "gears", "singular": "gear", "kind": "Gear"});
    serde_json::from_value(json!({"metadata": {"name": "gears.rust.knarr.example"}, "spec": {"group": "rust.knarr.example", "scope": "Namespaced", "names": names, "versions": [version]}})).expect("a definition")
}

fn gear() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("rust.knarr.example", "v1", "Gear"))
}

/// What the controller does for one gear: a ConfigMap that it owns, the size in its status; a record when it goes.
async fn reconcile(object: Arc<DynamicObject>, client: Arc<Client>) -> Result<Action, kube::runtime::finalizer::Error<kube::Error>> {
    let space = object.namespace().unwrap_or_default();
    let gears: Api<DynamicObject> = Api::namespaced_with((*client).clone(), &space, &gear());
    let maps: Api<ConfigMap> = Api::namespaced((*client).clone(), &space);
    let api = gears.clone();
    let work = |event: Event<DynamicObject>| async move {
        let params = PatchParams::apply("gear-controller").force();
        match event {
            Event::Apply(gear_now) => {
                let (name, size) = (gear_now.name_any(), gear_now.data["spec"]["size"].clone());
                let owner = json!({"apiVersion": "rust.knarr.example/v1", "kind": "Gear", "name": name, "uid": gear_now.uid(), "controller": true});
                let child = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": [owner]}, "data": {"size": size.to_string()}});
                maps.patch(&name, &params, &Patch::Apply(child)).await?;
                let status = json!({"apiVersion": "rust.knarr.example/v1", "kind": "Gear", "status": {"size": size}});
                api.patch_status(&name, &params, &Patch::Apply(status)).await?;
            }
            Event::Cleanup(gone) => {
                let record = ConfigMap { metadata: ObjectMeta { name: Some(format!("{}-was", gone.name_any())), ..ObjectMeta::default() }, ..ConfigMap::default() };
                maps.create(&PostParams::default(), &record).await?;
            }
        }
        Ok(Action::await_change())
    };
    finalizer(&gears, FINALIZER, object, work).await
}

async fn controls(client: Client, space: String) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = "gears.rust.knarr.example";
    definitions.create(&PostParams::default(), &definition()).await.expect("a definition");
    await_condition(definitions.clone(), name, conditions::is_crd_established()).await.expect("it is established");
    let gears: Api<DynamicObject> = Api::namespaced_with(client.clone(), &space, &gear());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &space);
    let controller = Controller::new_with(gears.clone(), watcher::Config::default().streaming_lists(), gear()).owns(maps.clone(), watcher::Config::default());
    let running = tokio::spawn(controller.run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new(client)).for_each(|done| async move { if let Err(error) = done { println!("controller: {error:?}") } }));
    let mut one = DynamicObject::new("one", &gear());
    one.data = json!({"spec": {"size": 1}});
    gears.create(&PostParams::default(), &one).await.expect("a gear");
    for size in [1, 2] {
        gears.patch("one", &PatchParams::default(), &Patch::Merge(json!({"spec": {"size": size}}))).await.expect("a patch");
        await_condition(gears.clone(), "one", move |o: Option<&DynamicObject>| o.is_some_and(|o| o.data["status"]["size"] == size)).await.expect("its status follows");
    }
    // What was taken away comes back: the controller watches what it owns.
    let uid = maps.get("one").await.expect("a child").uid().expect("a uid");
    maps.delete("one", &DeleteParams::default()).await.expect("deleted");
    await_condition(maps.clone(), "one", move |m: Option<&ConfigMap>| m.is_some_and(|m| m.uid().is_some_and(|u| u != uid))).await.expect("it is back");
    gears.delete("one", &DeleteParams::default()).await.expect("deleted");
    await_condition(gears, "one", |o: Option<&DynamicObject>| o.is_none()).await.expect("it is gone");
    maps.get("one-was").await.expect("the record of its end");
    running.abort();
    definitions.delete(name, &DeleteParams::default()).await.expect("the definition goes");
}

#[test]
fn a_controller_reconciles_its_own_kind() {
    let Some(cluster) = Cluster::of_environment() else { return };
    cluster.kubectl("delete crd gears.rust.knarr.example --ignore-not-found --timeout=60s").ok();
    let space = cluster.namespace("e2e-kube-rs");
    block_on(async { controls(client(&cluster).await, space.name.clone()).await });
}

#[test]
fn a_watcher_streams_its_first_list() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-kube-rs-watch");
    block_on(async {
        let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, &space.name);
        let named = |name: &str| ConfigMap { metadata: ObjectMeta { name: Some(name.into()), labels: Some([("watched".to_owned(), "yes".to_owned())].into()), ..ObjectMeta::default() }, ..ConfigMap::default() };
        for name in ["a", "b"] {
            maps.create(&PostParams::default(), &named(name)).await.expect("created");
        }
        let mut events = Box::pin(watcher(maps.clone(), watcher::Config::default().labels("watched=yes").streaming_lists()));
        let mut heard = Vec::new();
        while heard.last().map(String::as_str) != Some("ready") {
            heard.push(shown(events.try_next().await.expect("no error").expect("an event")));
        }
        assert_eq!(heard, ["init", "init a", "init b", "ready"]);
        maps.create(&PostParams::default(), &named("c")).await.expect("created");
        maps.delete("a", &DeleteParams::default()).await.expect("deleted");
        let later: Vec<String> = events.take(2).map(|e| shown(e.expect("no error"))).collect().await;
        assert_eq!(later, ["applied c", "deleted a"]);
        let touched = watcher(maps, watcher::Config::default().labels("watched=yes").streaming_lists()).applied_objects().take(2).map(|m| m.expect("no error").name_any()).collect::<Vec<_>>().await;
        assert_eq!(touched, ["b", "c"]);
    });
}

fn shown(event: watcher::Event<ConfigMap>) -> String {
    match event {
        watcher::Event::Init => "init".into(),
        watcher::Event::InitApply(map) => format!("init {}", map.name_any()),
        watcher::Event::InitDone => "ready".into(),
        watcher::Event::Apply(map) => format!("applied {}", map.name_any()),
        watcher::Event::Delete(map) => format!("deleted {}", map.name_any()),
    }
}

/// One round of a candidate: writes itself into the lease as it was read; a write by another in between is a conflict.
async fn candidate(leases: Api<Lease>, seen: Lease, identity: &str) -> Result<Lease, kube::Error> {
    let mut mine = seen;
    let terms = mine.spec.as_ref().and_then(|s| s.lease_transitions).unwrap_or_default();
    mine.spec = Some(LeaseSpec { holder_identity: Some(identity.into()), lease_duration_seconds: Some(15), lease_transitions: Some(terms + 1), ..LeaseSpec::default() });
    leases.replace("leader", &PostParams::default(), &mine).await
}

#[test]
fn one_of_two_candidates_leads() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-kube-rs-lease");
    block_on(async {
        let leases: Api<Lease> = Api::namespaced(client(&cluster).await, &space.name);
        let free = Lease { metadata: ObjectMeta { name: Some("leader".into()), ..ObjectMeta::default() }, spec: Some(LeaseSpec { lease_transitions: Some(0), ..LeaseSpec::default() }) };
        leases.create(&PostParams::default(), &free).await.expect("a lease");
        for term in 1..=20 {
            let seen = leases.get("leader").await.expect("the lease");
            let (one, other) = tokio::join!(candidate(leases.clone(), seen.clone(), "one"), candidate(leases.clone(), seen, "other"));
            assert!(one.is_ok() != other.is_ok(), "term {term}: {one:?} {other:?}");
            let lost = [&one, &other].into_iter().find_map(|r| r.as_ref().err()).expect("one lost");
            assert!(matches!(lost, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"), "{lost:?}");
            let now = leases.get("leader").await.expect("the lease").spec.expect("its terms");
            let leader = one.or(other).expect("one won").spec.expect("its terms");
            assert_eq!((now.holder_identity, now.lease_transitions), (leader.holder_identity, Some(term)));
        }
    });
}
