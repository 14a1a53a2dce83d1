//! Helm in the same binary: the seed's chart installed, upgraded, rolled back, compared, tested, uninstalled; and what an operation
//! that was interrupted leaves.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Cluster, Ran, Running, run, shell_image};

/// Helm with places of its own.
struct Helm<'a> {
    cluster: &'a Cluster,
    home: tempfile::TempDir,
    namespace: &'a str,
}

impl<'a> Helm<'a> {
    fn new(cluster: &'a Cluster, namespace: &'a str) -> Self {
        Helm { cluster, home: tempfile::tempdir().expect("a folder"), namespace }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(std::env::var_os("KNARR_BIN").expect("KNARR_BIN is set"));
        command.arg("helm").args(line.split_whitespace()).args(["-n", self.namespace]).env("KUBECONFIG", &self.cluster.kubeconfig).env("HOME", self.home.path());
        command
    }

    fn run(&self, line: &str) -> Ran {
        run(&mut self.command(line), "")
    }

    /// The seed's chart with a test beside it.
    fn chart(&self) -> PathBuf {
        let chart = self.home.path().join("my-chart");
        copy(Path::new(&self.cluster.seed("my-chart")), &chart);
        let test = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}-reach\n  annotations: {helm.sh/hook: test, helm.sh/hook-delete-policy: before-hook-creation}\nspec:\n  restartPolicy: Never\n  containers:\n    - name: reach\n      image: docker.io/library/myapp:1.4.2\n      command: [sh, -c, \"wget -q -O- http://{{ .Release.Name }}-my-chart/health\"]\n";
        std::fs::create_dir_all(chart.join("templates/tests")).expect("a folder");
        std::fs::write(chart.join("templates/tests/reach.yaml"), test).expect("the test is written");
        chart
    }

    fn image(&self) -> String {
        self.cluster.kubectl(&format!("get deployment web-my-chart -n {} -o jsonpath={{.spec.template.spec.containers[0].image}}", self.namespace)).ok()
    }

    /// Revision, status and description of each revision.
    fn history(&self) -> Vec<(u64, String, String)> {
        let text = self.run("history web -o json").ok();
        let all: serde_json::Value = serde_json::from_str(&text).expect("the history is JSON");
        let word = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        all.as_array().expect("a list").iter().map(|r| (r["revision"].as_u64().unwrap_or_default(), word(&r["status"]), word(&r["description"]))).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the chart is there").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).expect("a file")).expect("a copy");
        }
    }
}

fn import(cluster: &Cluster) {
    for version in ["1.4.2", "1.5.0"] {
        let script = "trap 'kill $a; exit 0' TERM\nhttpd -f -p 8000 -h /www & a=$!\nwait";
        cluster.import(&shell_image(&format!("docker.io/library/myapp:{version}"), script, &[("www/health", "ok\n")]));
    }
}

#[test]
fn the_chart_lives_its_life() {
    let Some(cluster) = Cluster::of_environment() else { return };
    import(&cluster);
    let namespace = cluster.namespace("helm-life");
    let helm = Helm::new(&cluster, &namespace.name);
    let chart = helm.chart().display().to_string();
    installs(&helm, &chart);
    upgrades(&helm, &chart);
    goes_back(&helm);
    let tested = helm.run("test web --logs --timeout 90s").ok();
    assert!(tested.contains("TEST SUITE:     web-reach") && tested.contains("Phase:          Succeeded") && tested.contains("POD LOGS: web-reach\nok"), "{tested}");
    let gone = helm.run("uninstall web --wait --timeout 90s").ok();
    assert_eq!(gone, "release \"web\" uninstalled\n");
    let left = cluster.kubectl(&format!("get deployments,services,secrets -n {} -o name", namespace.name)).ok();
    assert_eq!(left, "", "what the release had is gone, its records too");
    assert_eq!(helm.run("status web").fails(), "Error: release: not found\n");
}

fn installs(helm: &Helm<'_>, chart: &str) {
    let rendered = helm.run(&format!("template web {chart}")).ok();
    assert!(rendered.starts_with("---\n# Source: my-chart/templates/service.yaml\napiVersion: v1\n"), "{rendered}");
    let made = helm.run(&format!("install web {chart} --wait --timeout 90s")).ok();
    assert!(made.contains("STATUS: deployed\nREVISION: 1\nDESCRIPTION: Install complete\n"), "{made}");
    assert_eq!(helm.image(), "myapp:1.4.2");
    let ready = helm.cluster.kubectl(&format!("get deployment web-my-chart -n {} -o jsonpath={{.status.availableReplicas}}", helm.namespace)).ok();
    assert_eq!(ready, "2", "--wait waited");
    let owner = helm.cluster.object(&format!("get service web-my-chart -n {}", helm.namespace));
    assert_eq!(owner["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    assert_eq!(owner["metadata"]["annotations"]["meta.helm.sh/release-name"], "web");
    let record = helm.cluster.object(&format!("get secret sh.helm.release.v1.web.v1 -n {}", helm.namespace));
    assert_eq!((&record["type"], &record["metadata"]["labels"]["status"]), (&"helm.sh/release.v1".into(), &"deployed".into()));
    let again = helm.run(&format!("install web {chart}")).fails();
    assert!(again.contains("cannot reuse a name that is still in use"), "{again}");
    let listed = helm.run("list --short").ok();
    assert_eq!(listed, "web\n");
}

fn upgrades(helm: &Helm<'_>, chart: &str) {
    let compared = helm.run(&format!("diff upgrade web {chart} --set image.tag=1.5.0 --context 1")).ok();
    let expected = "web-my-chart, Deployment (apps) has changed:\n...\n          - name: main\n-           image: \"myapp:1.4.2\"\n+           image: \"myapp:1.5.0\"\n            ports:\n...\n";
    assert_eq!(compared, format!("{}, {expected}", helm.namespace));
    let good = helm.run(&format!("upgrade web {chart} --atomic --set image.tag=1.5.0 --timeout 90s")).ok();
    assert!(good.starts_with("Release \"web\" has been upgraded. Happy Helming!\n") && good.contains("REVISION: 2\n"), "{good}");
    assert_eq!(helm.image(), "myapp:1.5.0");
    assert_eq!(helm.run("get values web").ok(), "USER-SUPPLIED VALUES:\nimage:\n  tag: 1.5.0\n");
    let bad = helm.run(&format!("upgrade web {chart} --atomic --set image.tag=nowhere --timeout 8s")).fails();
    assert!(bad.contains("Flag --atomic has been deprecated, use --rollback-on-failure instead"), "{bad}");
    assert!(bad.contains("Error: UPGRADE FAILED: release web failed, and has been rolled back due to rollback-on-failure being set: resource Deployment/"), "{bad}");
    assert_eq!(helm.image(), "myapp:1.5.0");
    let history = helm.history();
    let states: Vec<(u64, &str)> = history.iter().map(|(r, s, _)| (*r, s.as_str())).collect();
    assert_eq!(states, [(1, "superseded"), (2, "superseded"), (3, "failed"), (4, "deployed")]);
    assert_eq!(history[3].2, "Rollback to 2");
}

fn goes_back(helm: &Helm<'_>) {
    assert_eq!(helm.run("rollback web 1 --wait --timeout 90s").ok(), "Rollback was a success! Happy Helming!\n");
    assert_eq!(helm.image(), "myapp:1.4.2");
    assert_eq!(helm.history().last().map(|(r, s, d)| (*r, s.as_str(), d.as_str())), Some((5, "deployed", "Rollback to 1")));
    let compared = helm.run("diff revision web 1 2 --context 0").ok();
    assert!(compared.contains("-           image: \"myapp:1.4.2\"\n+           image: \"myapp:1.5.0\"\n"), "{compared}");
    assert_eq!(helm.run("diff revision web 1 5").ok(), "");
    let differs = helm.run("diff rollback web 2 --detailed-exitcode");
    assert_eq!(differs.code, Some(2), "{differs:?}");
    let status = helm.run("status web").ok();
    assert!(status.contains("==> v1/Deployment\nNAME           READY   UP-TO-DATE   AVAILABLE   AGE\nweb-my-chart   2/2     2            2"), "{status}");
}

#[test]
fn an_interrupted_operation_locks_nothing() {
    let Some(cluster) = Cluster::of_environment() else { return };
    import(&cluster);
    let namespace = cluster.namespace("helm-lock");
    let helm = Helm::new(&cluster, &namespace.name);
    let chart = helm.chart().display().to_string();
    helm.run(&format!("install web {chart} --wait --timeout 90s")).ok();
    // An upgrade that waits for what never comes, killed as a machine that fails would kill it.
    let mut watch = Running::start(&mut cluster.kubectl_command(&format!("get secrets -n {} --watch -o name", namespace.name)));
    let mut upgrade = Running::start(&mut helm.command(&format!("upgrade web {chart} --wait --timeout 120s --set image.tag=nowhere")));
    watch.until("sh.helm.release.v1.web.v2");
    upgrade.end();
    assert_eq!(helm.history().last().map(|(r, s, _)| (*r, s.clone())), Some((2, "pending-upgrade".into())));
    let held = helm.run(&format!("upgrade web {chart}")).fails();
    assert_eq!(held, "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n");
    cluster.kubectl(&format!("annotate secret sh.helm.release.v1.web.v2 -n {} --overwrite helm.knarr.dev/lease-until=2020-01-01T00:00:00Z", namespace.name)).ok();
    let taken = helm.run(&format!("upgrade web {chart} --wait --timeout 90s"));
    assert!(taken.err.contains("was left pending-upgrade by an operation that was interrupted: its lease has run out, this command takes over"), "{taken:?}");
    assert!(taken.ok().contains("REVISION: 3\n"));
    let states: Vec<(u64, String)> = helm.history().into_iter().map(|(r, s, _)| (r, s)).collect();
    assert_eq!(states, [(1, "superseded".into()), (2, "failed".into()), (3, "deployed".into())]);
    helm.run("uninstall web").ok();
}

#[test]
fn links_are_the_tools() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let links = folder.path().display().to_string();
    for _ in 0..2 {
        let told = cluster.knarr(&["install-links", &links]).ok();
        assert!(told.contains("/helm -> "), "{told}");
    }
    let told = run(Command::new(folder.path().join("helm")).args(["version", "--short"]), "").ok();
    assert!(told.starts_with("v4."), "{told}");
}
