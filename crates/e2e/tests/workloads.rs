//! What the controllers of workloads promise beyond running pods: jobs by index and by policy, cron jobs, budgets, revisions.

use e2e::{Cluster, shell_image};
use serde_json::{Value, json};

const SHELL: &str = "docker.io/library/e2e-shell:1";

fn shell(cluster: &Cluster) {
    cluster.import(&shell_image(SHELL, "trap 'exit 0' TERM; sleep 100000 & wait", &[]));
}

fn job(name: &str, script: &str, extra: Value) -> Value {
    let container = json!({"name": "c", "image": SHELL, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script]});
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {
        "template": {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}}}});
    for (key, value) in extra.as_object().into_iter().flatten() {
        job["spec"][key] = value.clone();
    }
    job
}

#[test]
fn an_indexed_job_numbers_its_pods() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-indexed");
    let manifest = job("numbered", "echo index=$JOB_COMPLETION_INDEX host=$(hostname)", json!({"completionMode": "Indexed", "completions": 3, "parallelism": 2}));
    cluster.kubectl_with(&format!("create -n {} -f -", space.name), &manifest.to_string()).ok();
    cluster.kubectl(&format!("wait job/numbered -n {} --for=condition=Complete --timeout=90s", space.name)).ok();
    let job = cluster.object(&format!("get job numbered -n {}", space.name));
    assert_eq!((&job["status"]["completedIndexes"], &job["status"]["succeeded"]), (&json!("0-2"), &json!(3)));
    for index in 0..3 {
        let pods = cluster.object(&format!("get pods -n {} -l batch.kubernetes.io/job-completion-index={index}", space.name));
        let pod = &pods["items"][0];
        assert_eq!(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"], index.to_string());
        assert_eq!(pod["spec"]["hostname"], format!("numbered-{index}"));
        let name = pod["metadata"]["name"].as_str().expect("a name");
        assert_eq!(cluster.kubectl(&format!("logs {name} -n {}", space.name)).ok(), format!("index={index} host=numbered-{index}\n"));
    }
}

#[test]
fn a_failure_policy_decides_what_a_failure_means() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-policy");
    let on_exit = json!({"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}]});
    let manifest = job("ends", "exit 42", json!({"backoffLimit": 6, "completions": 4, "parallelism": 2, "podFailurePolicy": on_exit}));
    cluster.kubectl_with(&format!("create -n {} -f -", space.name), &manifest.to_string()).ok();
    cluster.kubectl(&format!("wait job/ends -n {} --for=condition=Failed --timeout=60s", space.name)).ok();
    let failed = cluster.object(&format!("get job ends -n {}", space.name));
    let condition = failed["status"]["conditions"].as_array().expect("conditions").iter().find(|c| c["type"] == "Failed").expect("it failed").clone();
    assert_eq!(condition["reason"], "PodFailurePolicy", "{condition}");
    assert!(condition["message"].as_str().is_some_and(|m| m.contains("failed with exit code 42 matching FailJob rule at index 0")), "{condition}");
    // A pod that is driven out does not count against the limit.
    let ignored = json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]});
    let mut manifest = job("goes-on", "test -e /told/end && exit 0; trap 'exit 1' TERM; sleep 1000 & wait", json!({"backoffLimit": 0, "podFailurePolicy": ignored}));
    let pod = &mut manifest["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "told", "configMap": {"name": "told", "optional": true}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "told", "mountPath": "/told"}]);
    cluster.kubectl_with(&format!("create -n {} -f -", space.name), &manifest.to_string()).ok();
    cluster.kubectl(&format!("wait job/goes-on -n {} --for=jsonpath={{.status.ready}}=1 --timeout=60s", space.name)).ok();
    cluster.kubectl(&format!("create configmap told -n {} --from-literal=end=now", space.name)).ok();
    let pod = cluster.kubectl(&format!("get pods -n {} -l batch.kubernetes.io/job-name=goes-on -o jsonpath={{.items[0].metadata.name}}", space.name)).ok();
    evict(&cluster, &space.name, &pod).ok();
    cluster.kubectl(&format!("wait job/goes-on -n {} --for=condition=Complete --timeout=90s", space.name)).ok();
}

fn evict(cluster: &Cluster, namespace: &str, pod: &str) -> e2e::Ran {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}});
    cluster.kubectl_with(&format!("create --raw /api/v1/namespaces/{namespace}/pods/{pod}/eviction -f -"), &eviction.to_string())
}

#[test]
fn a_budget_blocks_an_eviction_until_it_allows_one() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-budget");
    let name = &space.name;
    cluster.kubectl(&format!("create deployment guarded --image={SHELL} --replicas=2 -n {name}")).ok();
    cluster.kubectl(&format!("rollout status deployment/guarded -n {name} --timeout=60s")).ok();
    cluster.kubectl(&format!("create pdb guard --selector=app=guarded --min-available=2 -n {name}")).ok();
    cluster.kubectl(&format!("wait pdb/guard -n {name} --for=jsonpath={{.status.currentHealthy}}=2 --timeout=30s")).ok();
    let pod = cluster.kubectl(&format!("get pods -n {name} -l app=guarded -o jsonpath={{.items[0].metadata.name}}")).ok();
    let refused = evict(&cluster, name, &pod).fails();
    assert!(refused.contains("Cannot evict pod as it would violate the pod's disruption budget"), "{refused}");
    cluster.kubectl(&format!("patch pdb guard -n {name} -p '{{\"spec\":{{\"minAvailable\":1}}}}'")).ok();
    cluster.kubectl(&format!("wait pdb/guard -n {name} --for=jsonpath={{.status.disruptionsAllowed}}=1 --timeout=30s")).ok();
    evict(&cluster, name, &pod).ok();
    cluster.kubectl(&format!("wait pod/{pod} -n {name} --for=delete --timeout=90s")).ok();
}

#[test]
fn revisions_of_a_daemon_set_are_kept() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-revisions");
    let name = &space.name;
    let manifest = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "daily"}, "spec": {"selector": {"matchLabels": {"app": "daily"}},
        "template": {"metadata": {"labels": {"app": "daily"}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": SHELL, "imagePullPolicy": "Never"}]}}}});
    cluster.kubectl_with(&format!("create -n {name} -f -"), &manifest.to_string()).ok();
    cluster.kubectl(&format!("rollout status ds/daily -n {name} --timeout=60s")).ok();
    cluster.kubectl(&format!("set env ds/daily STEP=2 -n {name}")).ok();
    cluster.kubectl(&format!("rollout status ds/daily -n {name} --timeout=60s")).ok();
    let revisions = || cluster.kubectl(&format!("get controllerrevisions -n {name} -l app=daily -o jsonpath={{.items[*].revision}}")).ok();
    let mut now: Vec<String> = revisions().split(' ').map(str::to_owned).collect();
    now.sort();
    assert_eq!(now, ["1", "2"]);
    cluster.kubectl(&format!("rollout undo ds/daily --to-revision=1 -n {name}")).ok();
    cluster.kubectl(&format!("rollout status ds/daily -n {name} --timeout=60s")).ok();
    let mut now: Vec<String> = revisions().split(' ').map(str::to_owned).collect();
    now.sort();
    assert_eq!(now, ["2", "3"], "the old template is the newest revision again");
}

/// One cron job for each policy, over two full minutes at once.
#[test]
fn cron_jobs_keep_their_policies() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-cron");
    let name = &space.name;
    for (cron, policy, suspend) in [("allows", "Allow", false), ("forbids", "Forbid", false), ("replaces", "Replace", false), ("sleeps", "Allow", true)] {
        let template = job("x", "sleep 1000", json!({}))["spec"].clone();
        let manifest = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": cron}, "spec": {"schedule": "* * * * *", "concurrencyPolicy": policy, "suspend": suspend, "jobTemplate": {"spec": template}}});
        cluster.kubectl_with(&format!("create -n {name} -f -"), &manifest.to_string()).ok();
    }
    // A second job where that is allowed: two minutes have passed for all.
    let mut jobs = cluster.start(&format!("get jobs -n {name} --watch -o name"));
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        seen.insert(jobs.until("/allows-"));
    }
    cluster.kubectl(&format!("wait cronjob/replaces -n {name} --for=jsonpath={{.status.active[0].kind}}=Job --timeout=30s")).ok();
    let mut replaced = cluster.start(&format!("get events -n {name} --watch --field-selector involvedObject.name=replaces,reason=SuccessfulDelete -o name"));
    replaced.until("event");
    let active = |cron: &str| cluster.object(&format!("get cronjob {cron} -n {name}"))["status"]["active"].as_array().map_or(0, Vec::len);
    assert_eq!((active("forbids"), active("sleeps"), active("allows")), (1, 0, 2));
    let skipped = cluster.kubectl(&format!("get events -n {name} --field-selector involvedObject.name=forbids")).ok();
    assert!(skipped.contains("JobAlreadyActive"), "{skipped}");
    assert_eq!(active("replaces"), 1);
    let replaced = cluster.kubectl(&format!("get events -n {name} --field-selector involvedObject.name=replaces")).ok();
    assert!(replaced.contains("SuccessfulCreate") && replaced.contains("SuccessfulDelete"), "{replaced}");
    assert!(!cluster.kubectl(&format!("get jobs -n {name}")).ok().contains("sleeps-"));
}

#[test]
fn a_preempted_pod_says_so() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-preempt");
    let name = &space.name;
    let node = cluster.kubectl("get nodes -o jsonpath={.items[0].metadata.name}").ok();
    let declare = |value: &str| cluster.kubectl(&format!("patch node {node} --subresource=status --type=merge -p '{{\"status\":{{\"capacity\":{{\"example.com/seat\":{value}}}}}}}'")).ok();
    declare("\"1\"");
    cluster.kubectl(&format!("wait node/{node} --for=jsonpath={{.status.allocatable.example\\.com/seat}}=1 --timeout=30s")).ok();
    for (class, value) in [("e2e-low", 1), ("e2e-high", 1000)] {
        cluster.kubectl(&format!("delete priorityclass {class} --ignore-not-found")).ok();
        cluster.kubectl(&format!("create priorityclass {class} --value={value}")).ok();
    }
    let pod = |pod: &str, class: &str, finalizers: Value| {
        let amounts = json!({"example.com/seat": "1"});
        let container = json!({"name": "c", "image": SHELL, "imagePullPolicy": "Never", "resources": {"requests": amounts, "limits": amounts}});
        let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "finalizers": finalizers}, "spec": {"priorityClassName": class, "terminationGracePeriodSeconds": 1, "containers": [container]}});
        cluster.kubectl_with(&format!("create -n {name} -f -"), &manifest.to_string()).ok();
    };
    pod("victim", "e2e-low", json!(["example.com/watched"]));
    cluster.kubectl(&format!("wait pod/victim -n {name} --for=condition=Ready --timeout=60s")).ok();
    pod("winner", "e2e-high", json!([]));
    cluster.kubectl(&format!("wait pod/victim -n {name} --for=condition=DisruptionTarget --timeout=60s")).ok();
    let victim = cluster.object(&format!("get pod victim -n {name}"));
    let condition = victim["status"]["conditions"].as_array().expect("conditions").iter().find(|c| c["type"] == "DisruptionTarget").expect("it is there");
    assert_eq!(condition["reason"], "PreemptionByScheduler", "{condition}");
    cluster.kubectl(&format!("patch pod victim -n {name} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'")).ok();
    cluster.kubectl(&format!("wait pod/winner -n {name} --for=condition=Ready --timeout=60s")).ok();
    declare("null");
    cluster.kubectl("delete priorityclass e2e-low e2e-high").ok();
}
