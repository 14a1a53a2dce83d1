//! The hot paths: compiling a rule, evaluating it over an object.

use std::hint::black_box;
use std::sync::Arc;

use cel::{Decl, DeclKind, Env, PER_CALL_LIMIT, Value, Vars};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value as Json, json};

const RULES: [(&str, &str); 4] = [
    ("compare", "self.spec.replicas <= self.spec.max && self.spec.name.startsWith('web')"),
    ("regex", "self.spec.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"),
    ("loop", "self.spec.ports.all(p, p.number > 0 && p.number < 65536 && (!has(p.name) || size(p.name) <= 15))"),
    ("nested", "self.spec.ports.all(p, self.spec.ports.exists_one(q, q.number == p.number))"),
];

fn schema() -> Arc<Decl> {
    let field = |name: &str, kind: DeclKind| (name.to_owned(), Decl::new(kind));
    let port = Decl::object("selfType.spec.ports", [field("number", DeclKind::Int), field("name", DeclKind::String)]);
    let ports = ("ports".to_owned(), Decl::list(port).at_most(64));
    let spec = Decl::object("selfType.spec", [field("replicas", DeclKind::Int), field("max", DeclKind::Int), field("name", DeclKind::String), ports]);
    Arc::new(Decl::object("selfType", [("spec".to_owned(), spec)]))
}

fn object() -> Json {
    let ports: Vec<Json> = (1..=20).map(|i| json!({"number": 8000 + i, "name": format!("port-{i}")})).collect();
    json!({"spec": {"replicas": 3, "max": 10, "name": "web-frontend", "ports": ports}})
}

fn benches(c: &mut Criterion) {
    let (decl, json) = (schema(), object());
    let env = Env::kubernetes().declare("self", decl.clone());
    for (name, rule) in RULES {
        c.bench_function(&format!("compile/{name}"), |b| b.iter(|| env.compile(black_box(rule)).expect("compiles")));
        let program = env.compile(rule).expect("compiles");
        c.bench_function(&format!("evaluate/{name}"), |b| {
            b.iter(|| {
                let vars = Vars::new().with("self", Value::json(black_box(&json), &decl).expect("an object"));
                let outcome = program.evaluate(&vars, PER_CALL_LIMIT);
                assert_eq!(outcome.value.ok().and_then(|v| v.as_bool()), Some(true));
                outcome.cost
            });
        });
    }
    let untyped = Env::kubernetes().variable("object", cel::Type::Dyn);
    let policy = untyped.compile("object.spec.ports.all(p, p.number > 1024) && object.spec.?replicas.orValue(1) < 5").expect("compiles");
    c.bench_function("evaluate/policy", |b| {
        b.iter(|| {
            let vars = Vars::new().with("object", Value::json(black_box(&json), Decl::DYN).expect("an object"));
            policy.evaluate(&vars, PER_CALL_LIMIT).cost
        });
    });
}

criterion_group!(expressions, benches);
criterion_main!(expressions);
