//! Unmodified clients of other languages do a day's work: their own libraries, from their own registries, against the cluster.
//!
//! The scripts stand in `clients/`; what they need is installed once, beside cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Cluster, Running, run, shell_image};

const SHELL: &str = "docker.io/library/e2e-clients:1";

fn shell(cluster: &Cluster) {
    cluster.import(&shell_image(SHELL, "trap 'exit 0' TERM; sleep 100000 & wait", &[]));
}

fn scripts(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(language)
}

/// Where a language's packages are installed; survives until the target folder goes.
fn installed(language: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(language)
}

/// Installs what a pinned list names, once for each state of the list.
fn install(language: &str, list: &str, install: impl Fn(&Path) -> Vec<Command>) -> PathBuf {
    let folder = installed(language);
    let wanted = std::fs::read_to_string(scripts(language).join(list)).expect("the list of packages");
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return folder;
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for packages");
    for mut command in install(&folder) {
        let ran = run(&mut command, "");
        assert!(ran.code == Some(0), "the {language} client could not be installed (this test needs the network, or a mirror, of its package registry):\n`{}`\n{}\n{}", ran.shown, ran.out, ran.err);
    }
    std::fs::write(stamp, wanted).expect("a stamp");
    folder
}

/// Python with the packages of `clients/python/requirements.txt`.
fn python() -> PathBuf {
    let folder = install("python", "requirements.txt", |folder| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(folder);
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(scripts("python").join("requirements.txt"));
        vec![venv, pip]
    });
    folder.join("bin/python")
}

#[test]
fn python_does_a_days_work() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-python");
    let mut day = Command::new(python());
    day.arg(scripts("python").join("day.py")).args([&space.name, SHELL]).env("KUBECONFIG", &cluster.kubeconfig);
    assert!(run(&mut day, "").ok().contains("python: done"));
}

#[test]
fn a_kopf_operator_runs_outside_the_cluster() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-kopf");
    let name = &space.name;
    let definition = scripts("python").join("example-crd.yaml").display().to_string();
    cluster.kubectl(&format!("apply -f {definition}")).ok();
    let python = python();
    let mut kopf = Command::new(python.with_file_name("kopf"));
    kopf.args(["run", "--quiet", "--standalone", "--namespace", name]).arg(scripts("python").join("operator_day.py")).env("KUBECONFIG", &cluster.kubeconfig);
    let _operator = Running::start(&mut kopf);
    let example = |size: u32| format!("{{\"apiVersion\":\"kopf.knarr.example/v1\",\"kind\":\"KopfExample\",\"metadata\":{{\"name\":\"one\"}},\"spec\":{{\"size\":{size}}}}}");
    for size in [1, 2] {
        cluster.kubectl_with(&format!("apply -n {name} -f -"), &example(size)).ok();
        cluster.kubectl(&format!("wait example/one -n {name} --for=jsonpath={{.status.size}}={size} --timeout=60s")).ok();
        cluster.kubectl(&format!("wait configmap/one-child -n {name} --for=jsonpath={{.data.size}}={size} --timeout=20s")).ok();
    }
    let object = cluster.object(&format!("get example one -n {name}"));
    assert_eq!(object["metadata"]["finalizers"], serde_json::json!(["kopf.knarr.example/finalizer"]));
    let child = cluster.object(&format!("get configmap one-child -n {name}"));
    assert_eq!(child["metadata"]["ownerReferences"][0]["uid"], object["metadata"]["uid"]);
    cluster.kubectl(&format!("delete example one -n {name} --timeout=60s")).ok();
    cluster.kubectl(&format!("get configmap one-was-deleted -n {name}")).ok();
    // The operator lets go after it has cleaned up; what it owned goes with the object.
    cluster.kubectl(&format!("wait configmap/one-child -n {name} --for=delete --timeout=30s")).ok();
    let events = cluster.object(&format!("get events -n {name}"));
    let reasons: Vec<&str> = events["items"].as_array().into_iter().flatten().filter_map(|e| e["reason"].as_str()).collect();
    assert!(["Made", "Resized"].iter().all(|r| reasons.contains(r)), "{reasons:?}");
    cluster.kubectl(&format!("delete -f {definition} --timeout=60s")).ok();
}

/// A folder with the script and the packages of `clients/node/package-lock.json`.
fn node() -> PathBuf {
    let folder = install("node", "package-lock.json", |folder| {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(scripts("node").join(file), folder.join(file)).expect("the list of packages is copied");
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--omit=dev", "--no-audit", "--no-fund"]).current_dir(folder);
        vec![npm]
    });
    // Modules are looked for beside the script.
    std::fs::copy(scripts("node").join("day.mjs"), folder.join("day.mjs")).expect("the script is copied");
    folder
}

#[test]
fn javascript_does_a_days_work() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-node");
    cluster.kubectl("delete crd samples.node.knarr.example --ignore-not-found --timeout=60s").ok();
    let mut day = Command::new("node");
    day.arg(node().join("day.mjs")).args([&space.name, SHELL]).env("KUBECONFIG", &cluster.kubeconfig);
    assert!(run(&mut day, "").ok().contains("node: done"));
}
