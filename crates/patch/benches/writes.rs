//! The hot paths of a write: each way of changing a pod, and keeping track of who owns its fields.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use patch::{Write, apply, apply_json_patch, apply_merge_patch, apply_strategic, track_update};
use serde_json::{Value, json};

fn pod() -> Value {
    let env: Vec<Value> = (0..8).map(|k| json!({"name": format!("VAR_{k}"), "value": format!("value-{k}")})).collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d", "labels": {"app": "a", "tier": "backend"}, "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {"containers": [{"name": "main", "image": "myapp:1.4.2", "ports": [{"containerPort": 8000, "protocol": "TCP"}], "env": env,
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}, "volumeMounts": [{"name": "models", "mountPath": "/models"}]}], "volumes": [{"name": "models", "emptyDir": {}}]}})
}

fn benches(c: &mut Criterion) {
    let of = schema::by_kind("", "v1", "Pod").expect("pods are known");
    let write = Write { manager: "kubectl", api_version: "v1", subresource: "", now: "2026-01-01T00:00:00Z", of, reset: None };
    let mut live = pod();
    track_update(None, &mut live, &write);
    c.bench_function("track/create", |b| b.iter(|| {
        let mut new = pod();
        track_update(None, black_box(&mut new), &write);
        new
    }));
    c.bench_function("track/update", |b| b.iter(|| {
        let mut new = live.clone();
        new["metadata"]["labels"]["seq"] = "1".into();
        track_update(Some(black_box(&live)), &mut new, &write);
        new
    }));
    let applied = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d", "labels": {"seq": "1"}}});
    c.bench_function("apply/server-side", |b| b.iter(|| apply(Some(black_box(&live)), applied.clone(), false, &write).expect("it applies")));
    let strategic = json!({"metadata": {"labels": {"seq": "1"}}, "spec": {"containers": [{"name": "main", "image": "myapp:1.5"}]}});
    c.bench_function("apply/strategic", |b| b.iter(|| apply_strategic(black_box(&live), strategic.clone(), of).expect("it applies")));
    c.bench_function("apply/merge", |b| b.iter(|| {
        let mut target = live.clone();
        apply_merge_patch(black_box(&mut target), json!({"metadata": {"labels": {"seq": "1"}}}));
        target
    }));
    let operations = br#"[{"op": "add", "path": "/metadata/labels/seq", "value": "1"}]"#;
    c.bench_function("apply/json-patch", |b| b.iter(|| apply_json_patch(black_box(&live), operations).expect("it applies")));
}

criterion_group!(writes, benches);
criterion_main!(writes);
