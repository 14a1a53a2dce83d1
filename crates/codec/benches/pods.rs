//! The hot paths of the wire: a pod from JSON, YAML and protobuf, and back.

use std::hint::black_box;

use codec::{Strictness, decode_json, decode_proto, decode_yaml, encode_proto};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

fn pod() -> Value {
    let env: Vec<Value> = (0..8).map(|k| json!({"name": format!("VAR_{k}"), "value": format!("value-{k}")})).collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d", "labels": {"app": "a", "tier": "backend"}, "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {"containers": [{"name": "main", "image": "myapp:1.4.2", "ports": [{"containerPort": 8000, "protocol": "TCP"}], "env": env,
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}, "volumeMounts": [{"name": "models", "mountPath": "/models"}]}], "volumes": [{"name": "models", "emptyDir": {}}]}})
}

fn benches(c: &mut Criterion) {
    let of = schema::by_kind("", "v1", "Pod").expect("pods are known");
    let text = pod().to_string();
    for (name, strictness) in [("ignore", Strictness::Ignore), ("strict", Strictness::Collect)] {
        c.bench_function(&format!("decode/json/{name}"), |b| b.iter(|| decode_json(black_box(text.as_bytes()), of, strictness).expect("a pod")));
    }
    c.bench_function("decode/yaml", |b| b.iter(|| decode_yaml(black_box(&text), Strictness::Ignore).expect("a pod")));
    let object = pod();
    let proto = encode_proto(&object, of).expect("a pod");
    c.bench_function("decode/protobuf", |b| b.iter(|| decode_proto(black_box(&proto)).expect("a pod")));
    c.bench_function("encode/protobuf", |b| b.iter(|| encode_proto(black_box(&object), of).expect("a pod")));
    c.bench_function("encode/json", |b| b.iter(|| serde_json::to_vec(black_box(&object)).expect("a pod")));
}

criterion_group!(pods, benches);
criterion_main!(pods);
