//! Builds `crates/schema/data` from what others publish: k8s-openapi (JSON names, types, descriptions), k8s-pb (protobuf
//! numbers and Go markers), committed facts about Go's structs, and the wire fixtures for fields younger than k8s-pb.
//!
//! Never runs in the product's build: its output is committed. The same inputs give the same bytes.
//!
//! `gen-schema ORACLE OUT`       writes the table (ORACLE holds `wire/` and `merge/`)
//! `gen-schema facts SOURCE`     prints the Go struct facts of a Kubernetes source tree (committed as `facts/go.tsv`)

mod check;
mod emit;
mod facts;
mod fixtures;
mod model;
mod openapi_source;
mod overlay;
mod pb_source;

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["facts", source] => facts::print(Path::new(source)),
        [oracle, out] => generate(Path::new(oracle), Path::new(out)),
        _ => eprintln!("usage: gen-schema ORACLE OUT | gen-schema facts SOURCE"),
    }
}

fn generate(oracle: &Path, out: &Path) {
    let crates = crate_folders();
    let mut model = model::Model::default();
    openapi_source::read(&crates.0.join("src/v1_37"), &mut model);
    model.add_hand_written(include_str!("../facts/extra.json"));
    let pb = pb_source::read(&crates.1.join("src"));
    let go = facts::parse(include_str!("../facts/go.tsv"));
    let fixtures = fixtures::load(&oracle.join("wire"));
    overlay::apply(&mut model, &pb, &go, &fixtures);
    overlay::apply_young(&mut model, include_str!("../facts/young.tsv"));
    model.add_orders(include_str!("../facts/order.tsv"));
    fixtures::learn(&mut model, &fixtures);
    check::against(&model, &oracle.join("merge"));
    emit::write(&model, out);
}

/// Where cargo keeps the sources of k8s-openapi and k8s-pb.
fn crate_folders() -> (PathBuf, PathBuf) {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--all-features", "--manifest-path", manifest])
        .output()
        .expect("cargo metadata");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let folder = |name: &str| {
        let package = found["packages"].as_array().into_iter().flatten().find(|p| p["name"] == name);
        let manifest = package.and_then(|p| p["manifest_path"].as_str()).expect("source crate is a dependency");
        Path::new(manifest).parent().expect("manifest has a folder").to_owned()
    };
    (folder("k8s-openapi"), folder("k8s-pb"))
}
