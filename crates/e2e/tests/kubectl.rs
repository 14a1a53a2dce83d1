//! A day's work with upstream's kubectl: the commands people type, and that they fail cleanly where they must.

use e2e::{Cluster, Ran, run, shell_image};
use serde_json::json;

const SHELL: &str = "docker.io/library/e2e-kubectl:1";

fn shell(cluster: &Cluster) {
    cluster.import(&shell_image(SHELL, "echo awake; trap 'exit 0' TERM; sleep 100000 & wait", &[]));
}

/// A deployment that waits to be worked on.
fn web(replicas: u32) -> String {
    let container = json!({"name": "main", "image": SHELL, "imagePullPolicy": "Never", "ports": [{"containerPort": 8080}]});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}}})
    .to_string()
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[track_caller]
fn fails_with(ran: Ran, wanted: &str) {
    says(&ran.fails(), &[wanted]);
}

#[test]
fn the_server_is_looked_over() {
    let Some(cluster) = Cluster::of_environment() else { return };
    says(&cluster.kubectl("cluster-info").ok(), &["Kubernetes control plane", "is running at"]);
    says(&cluster.kubectl("api-versions").ok(), &["apps/v1\n", "apiextensions.k8s.io/v1\n", "\nv1\n"]);
    says(&cluster.kubectl("api-resources --namespaced=true -o name").ok(), &["deployments.apps\n", "pods\n"]);
    says(&cluster.kubectl("api-resources --verbs=list --categories=all").ok(), &["horizontalpodautoscalers", "daemonsets"]);
    says(&cluster.kubectl("explain deployment.spec.strategy").ok(), &["GROUP:      apps", "FIELD: strategy <DeploymentStrategy>", "rollingUpdate"]);
    says(&cluster.kubectl("explain pod.spec.containers --recursive").ok(), &["livenessProbe\t<Probe>"]);
    fails_with(cluster.kubectl("explain pod.spec.absent"), "field \"absent\" does not exist");
    assert_eq!(cluster.kubectl("auth can-i '*' '*' --all-namespaces").ok(), "yes\n");
    let nobody = cluster.kubectl("auth can-i list pods --as=nobody");
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), "no\n"), "{nobody:?}");
    says(&cluster.kubectl("auth can-i --list --as=nobody --as-group=system:authenticated").ok(), &["selfsubjectaccessreviews.authorization.k8s.io", "[/healthz]"]);
    says(&cluster.kubectl("auth whoami").ok(), &["Username"]);
    // Either there is a source of metrics, or kubectl says plainly that there is none.
    let top = cluster.kubectl("top nodes");
    assert!(top.code == Some(0) || top.err.contains("Metrics API not available"), "{top:?}");
}

#[test]
fn preferences_are_obeyed() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let ours = |line: &str| {
        let mut command = std::process::Command::new(std::env::var("KNARR_BIN").expect("KNARR_BIN is set"));
        command.arg("kubectl").args(line.split_whitespace()).env("HOME", home.path()).env("KUBECONFIG", &cluster.kubeconfig).env_remove("KUBERC").env_remove("KUBECTL_KUBERC");
        run(&mut command, "")
    };
    says(&ours("kuberc set --section aliases --name getns --command get --prependarg namespaces --option output=name").ok(), &["Updated "]);
    ours("kuberc set --section defaults --command get --option output=name").ok();
    assert_eq!(ours("getns default").ok(), "namespace/default\n");
    assert_eq!(ours("get namespace default").ok(), "namespace/default\n");
    says(&ours("get namespace default -o wide").ok(), &["STATUS"]);
    fails_with(ours("kuberc set --section defaults --command get --option nope=1"), "defaults for command \"get\" already exist, use --overwrite to replace");
    ours("kuberc set --section defaults --command get --option nope=1 --overwrite").ok();
    fails_with(ours("get namespaces"), "error occurred while applying preferences invalid flag nope for command get");
    ours("kuberc set --section credentialplugin --policy DenyAll").ok();
    says(&ours("kuberc view").ok(), &["credentialPluginPolicy: DenyAll"]);
}

#[test]
fn a_deployment_is_worked_on() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-kubectl");
    let name = &space.name;
    let on = |line: &str| cluster.kubectl(&format!("-n {name} {line}"));
    let with = |line: &str, manifest: &str| cluster.kubectl_with(&format!("-n {name} {line}"), manifest);
    assert_eq!(with("apply -f -", &web(1)).ok(), "deployment.apps/web created\n");
    assert_eq!(with("apply -f -", &web(1)).ok(), "deployment.apps/web unchanged\n");
    let differs = with("diff -f -", &web(2));
    assert_eq!(differs.code, Some(1), "{differs:?}");
    says(&differs.out, &["-  replicas: 1", "+  replicas: 2"]);
    on("wait deployment/web --for=condition=Available --timeout=60s").ok();
    let mut edit = cluster.kubectl_command(&format!("-n {name} edit deployment web"));
    assert_eq!(run(edit.env("KUBE_EDITOR", "sed -i 's/revisionHistoryLimit:.*/revisionHistoryLimit: 4/'"), "").ok(), "deployment.apps/web edited\n");
    assert_eq!(on("get deployment web -o jsonpath={.spec.revisionHistoryLimit}").ok(), "4");
    let mut same = cluster.kubectl_command(&format!("-n {name} edit deployment web"));
    says(&run(same.env("KUBE_EDITOR", "true"), "").err, &["Edit cancelled, no changes made"]);
    patches(&on);
    settings(&on);
    assert_eq!(on("expose deployment web --port=80 --target-port=8080").ok(), "service/web exposed\n");
    assert_eq!(on("get service web -o jsonpath={.spec.selector.app}:{.spec.ports[0].targetPort}").ok(), "web:8080");
    on("autoscale deployment web --min=1 --max=3 --cpu-percent=80").ok();
    says(&on("get hpa web").ok(), &["Deployment/web"]);
    says(&on("describe deployment web").ok(), &["NewReplicaSet:", "ScalingReplicaSet"]);
    says(&on("get all").ok(), &["service/web", "replicaset.apps/web-", "horizontalpodautoscaler.autoscaling/web"]);
    says(&on("delete deployment,service,hpa web").ok(), &["\"web\" deleted"]);
}

fn patches(on: &dyn Fn(&str) -> Ran) {
    on("label deployment web tier=front").ok();
    fails_with(on("label deployment web tier=back"), "already has a value");
    on("label deployment web tier=back --overwrite").ok();
    on("annotate deployment web 'note=of the day'").ok();
    on("patch deployment web --type=json -p '[{\"op\":\"test\",\"path\":\"/metadata/labels/tier\",\"value\":\"back\"},{\"op\":\"remove\",\"path\":\"/metadata/labels/tier\"}]'").ok();
    on("patch deployment web --type=merge -p '{\"metadata\":{\"annotations\":{\"note\":null}}}'").ok();
    on("patch deployment web -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"main\",\"tty\":false}]}}}}'").ok();
    assert_eq!(on("get deployment web -o jsonpath={.metadata.labels.tier}{.metadata.annotations.note}").ok(), "");
    fails_with(on("patch deployment web --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/absent\"}]'"), "the server rejected our request due to an error in our request");
    fails_with(on("patch deployment web -p '{\"spec\":{\"replicas\":-1}}'"), "spec.replicas: Invalid value: -1: must be greater than or equal to 0");
}

fn settings(on: &dyn Fn(&str) -> Ran) {
    on("set env deployment/web COLOUR=blue").ok();
    on("set resources deployment/web --requests=cpu=10m,memory=8Mi --limits=memory=64Mi").ok();
    on(&format!("set image deployment/web main={SHELL}")).ok();
    says(&on("set env deployment/web --list").ok(), &["COLOUR=blue"]);
    on("rollout status deployment/web --timeout=60s").ok();
    says(&on("rollout history deployment/web").ok(), &["REVISION"]);
    assert_eq!(on("exec deployment/web -- sh -c 'echo $COLOUR'").ok(), "blue\n");
    assert_eq!(on("get deployment web -o jsonpath={.spec.template.spec.containers[0].resources.limits.memory}").ok(), "64Mi");
}

#[test]
fn pods_are_looked_into_and_the_node_is_emptied() {
    let Some(cluster) = Cluster::of_environment() else { return };
    shell(&cluster);
    let space = cluster.namespace("e2e-kubectl-pods");
    let name = &space.name;
    let on = |line: &str| cluster.kubectl(&format!("-n {name} {line}"));
    cluster.kubectl_with(&format!("-n {name} apply -f -"), &web(1)).ok();
    on("rollout status deployment/web --timeout=60s").ok();
    let pod = on("get pods -l app=web -o jsonpath={.items[0].metadata.name}").ok();
    let folder = tempfile::tempdir().expect("a folder");
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    std::fs::write(&there, "carried\n").expect("a file");
    on(&format!("cp {} {pod}:/tmp/file", there.display())).ok();
    on(&format!("cp {pod}:/tmp/file {}", back.display())).ok();
    assert_eq!(std::fs::read_to_string(&back).expect("it came back"), "carried\n");
    assert_eq!(on(&format!("logs {pod} --tail=1")).ok(), "awake\n");
    on(&format!("debug {pod} --image={SHELL} --image-pull-policy=Never --container=look --target=main -- sh -c 'echo looking'")).ok();
    on(&format!("wait pod/{pod} --for=jsonpath={{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}}=0 --timeout=60s")).ok();
    assert_eq!(on(&format!("logs {pod} -c look")).ok(), "looking\n");
    let node = on(&format!("get pod {pod} -o jsonpath={{.spec.nodeName}}")).ok();
    empties(&cluster, name, &node, &pod);
}

/// Only what this test runs is driven out: the node has the pods of everybody else too.
fn empties(cluster: &Cluster, namespace: &str, node: &str, pod: &str) {
    assert_eq!(cluster.kubectl(&format!("cordon {node}")).ok(), format!("node/{node} cordoned\n"));
    says(&cluster.kubectl(&format!("get node {node}")).ok(), &["Ready,SchedulingDisabled"]);
    says(&cluster.kubectl(&format!("drain {node} --pod-selector=app=web --timeout=60s")).ok(), &["evicting pod", &format!("pod/{pod} evicted"), "drained"]);
    let waiting = cluster.kubectl(&format!("wait pod -n {namespace} -l app=web --for=condition=PodScheduled=False --timeout=30s"));
    assert_eq!(cluster.kubectl(&format!("uncordon {node}")).ok(), format!("node/{node} uncordoned\n"));
    waiting.ok();
    cluster.kubectl(&format!("rollout status deployment/web -n {namespace} --timeout=60s")).ok();
}

#[test]
fn what_runs_shortly_is_heard_whole() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let cluster = cluster.with_own_kubectl();
    shell(&cluster);
    let space = cluster.namespace("e2e-kubectl-run");
    let run_pod = |line: &str, input: &str| cluster.kubectl_with(&format!("-n {} run --image={SHELL} --image-pull-policy=Never --restart=Never --rm {line}", space.name), input);
    for name in ["short-a", "short-b", "short-c"] {
        let said = run_pod(&format!("{name} --attach --command -- sh -c 'seq 3'"), "");
        // Where the process ends between the log and the attaching, the log is told once more, as upstream tells it.
        assert!(said.code == Some(0) && said.out.starts_with("1\n2\n3\n") && said.out.ends_with(&format!("1\n2\n3\npod \"{name}\" deleted from {} namespace\n", space.name)), "{said:?}");
    }
    let said = run_pod("reads -i -q --command -- sh -c 'cat; exit 4'", "through\n");
    assert!(said.code == Some(4) && said.out == "through\n" && said.err.ends_with("pod e2e-kubectl-run/reads terminated (Error)\n"), "{said:?}");
    // A log that is followed is waited for.
    let waits = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "waits"}, "spec": {"containers": [{"name": "c", "image": "e2e.invalid/absent:1", "imagePullPolicy": "Never"}]}});
    cluster.kubectl_with(&format!("-n {} create -f -", space.name), &waits.to_string()).ok();
    cluster.kubectl(&format!("wait pod/waits -n {} --for=jsonpath={{.status.containerStatuses[0].state.waiting.reason}}=ErrImageNeverPull --timeout=60s", space.name)).ok();
    let why = "container \"c\" in pod \"waits\" is waiting to start: ErrImageNeverPull";
    let mut command = cluster.kubectl_command(&format!("-n {} logs -f waits", space.name));
    let mut follows = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().expect("kubectl starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(follows.stderr.take().expect("piped")));
    for _ in 0..2 {
        assert_eq!(lines.next().and_then(Result::ok).as_deref(), Some(why));
    }
    follows.kill().expect("it goes on");
    let _ = follows.wait();
    // Since 1.37 no longer than pods are waited for, and what is not ignored.
    let on = |line: &str| cluster.kubectl(&format!("-n {} logs -f waits {line}", space.name));
    let said = on("--pod-running-timeout=100ms");
    assert_eq!((said.code, said.err), (Some(1), format!("{why}\nerror: context deadline exceeded\n")));
    let said = on("--ignore-errors");
    assert_eq!((said.code, said.out), (Some(0), format!("error: {why}\n")));
    assert_eq!(on("--pod-running-timeout=0").fails(), "error: --pod-running-timeout must be higher than zero\n");
    fails_with(cluster.kubectl(&format!("-n {} logs waits", space.name)), &format!("Error from server (BadRequest): {why}"));
    // Of a pod that no node has there is no log, and that is no fault. Upstream: `LogLocation` in pkg/registry/core/pod/strategy.go.
    let nowhere = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nowhere"}, "spec": {"nodeSelector": {"no": "where"}, "containers": [{"name": "c", "image": SHELL}]}});
    cluster.kubectl_with(&format!("-n {} create -f -", space.name), &nowhere.to_string()).ok();
    assert_eq!(cluster.kubectl(&format!("-n {} logs nowhere", space.name)).ok(), "");
}
