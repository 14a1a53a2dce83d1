//! The manifests and commands the product exists for, as they stand, with upstream's kubectl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use e2e::{Cluster, Image, shell_image};

/// `/`, `/health`, `/ready` on 8000, `/healthz`, `/readyz` on 8080; ends cleanly on SIGTERM; tells its version.
fn myapp(version: &str) -> Image {
    let script = "trap 'kill $a $b; exit 0' TERM\necho started; echo LOG_LEVEL=$LOG_LEVEL\nhttpd -f -p 8000 -h /www & a=$!\nhttpd -f -p 8080 -h /admin & b=$!\nwait";
    let page = format!("myapp {version}\n");
    let files = [("www/index.html", page.as_str()), ("www/health", "ok\n"), ("www/ready", "ok\n"), ("admin/healthz", "ok\n"), ("admin/readyz", "ok\n")];
    shell_image(&format!("docker.io/library/myapp:{version}"), script, &files)
}

/// Reads what a plain HTTP server answers.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}

#[test]
fn the_application_runs_as_it_stands() {
    let Some(cluster) = Cluster::of_environment() else { return };
    application(&cluster);
}

#[test]
fn the_application_runs_through_our_kubectl() {
    let Some(cluster) = Cluster::of_environment() else { return };
    application(&cluster.with_own_kubectl());
}

fn application(cluster: &Cluster) {
    for version in ["1.4.2", "1.5.0", "1.6.0"] {
        cluster.import(&myapp(version));
    }
    let _production = cluster.namespace("production");
    for file in ["04-config.yaml", "05-storage.yaml", "02-deployment.yaml", "03-service.yaml", "01-pod.yaml"] {
        cluster.kubectl(&format!("apply -f {}", cluster.seed(file))).ok();
    }
    cluster.kubectl("rollout status deployment/my-app -n production --timeout=120s").ok();
    cluster.kubectl("wait pod/my-pod --for=condition=Ready --timeout=60s").ok();
    looks_right(cluster);
    logs_and_shells(cluster);
    services(cluster);
    rollouts(cluster);
    cluster.kubectl(&format!("delete -f {}", cluster.seed("01-pod.yaml"))).ok();
    cluster.kubectl(&format!("delete -f {}", cluster.seed("02-deployment.yaml"))).ok();
    cluster.kubectl("wait pod -n production -l app=my-app --for=delete --timeout=90s").ok();
    cluster.kubectl("delete storageclass standard-ssd").ok();
}

fn looks_right(cluster: &Cluster) {
    let wide = cluster.kubectl("get pods -n production -o wide").ok();
    let head: Vec<&str> = wide.lines().next().unwrap_or_default().split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert_eq!(head, ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"]);
    assert_eq!(wide.lines().filter(|l| l.contains("1/1") && l.contains("Running")).count(), 3, "{wide}");
    let all = cluster.kubectl("get all -n production").ok();
    for part in ["pod/my-app-", "service/my-app-svc", "service/my-app-nodeport", "deployment.apps/my-app", "replicaset.apps/my-app-", "LoadBalancer", "ExternalName"] {
        assert!(all.contains(part), "no {part} in\n{all}");
    }
    let described = cluster.kubectl("describe pod my-pod").ok();
    for part in ["Successfully assigned default/my-pod to", "already present on machine", "Created container", "Started container main", "QoS Class:", "Burstable"] {
        assert!(described.contains(part), "no {part:?} in\n{described}");
    }
    let claim = cluster.kubectl("get pvc model-storage -n production").ok();
    assert!(claim.contains("Bound") && claim.contains("50Gi") && claim.contains("standard-ssd"), "{claim}");
    cluster.kubectl("config get-contexts").ok();
}

fn logs_and_shells(cluster: &Cluster) {
    let log = cluster.kubectl("logs my-pod --tail=100").ok();
    assert!(log.starts_with("started"), "{log}");
    let all = cluster.kubectl("logs -n production -l app=my-app --all-containers").ok();
    assert_eq!(all.matches("LOG_LEVEL=INFO").count(), 3, "{all}");
    let mut follow = cluster.start("logs my-pod -f --tail=100");
    follow.until("started");
    drop(follow);
    let env = cluster.kubectl("exec -n production deploy/my-app -- /bin/sh -c 'echo $MAX_WORKERS $DATABASE_URL; ls -d /models'").ok();
    assert_eq!(env, "4 postgresql://user:pass@db:5432/mydb\n/models\n");
    let failed = cluster.kubectl("exec my-pod -- /bin/sh -c 'exit 7'");
    assert_eq!(failed.code, Some(7), "{failed:?}");
    // A real terminal on both sides: `script` gives kubectl one, and the shell says what it has.
    let mut command = Command::new("script");
    command.args(["-qec", "kubectl exec -it my-pod -- /bin/sh -c 'tty && stty size'", "/dev/null"]).env("KUBECONFIG", &cluster.kubeconfig).stdin(Stdio::null());
    let seen = e2e::run(&mut command, "").ok();
    assert!(seen.contains("/dev/pts/"), "{seen}");
}

fn services(cluster: &Cluster) {
    let service = |name: &str| cluster.object(&format!("get service {name} -n production"));
    let address = service("my-app-svc")["spec"]["clusterIP"].as_str().expect("an address").to_owned();
    assert!(get(&format!("{address}:80"), "/").contains("myapp 1.4.2"));
    let node = cluster.object("get nodes")["items"][0]["status"]["addresses"][0]["address"].as_str().expect("an address").to_owned();
    let port = service("my-app-nodeport")["spec"]["ports"][0]["nodePort"].as_u64().expect("a port");
    assert!(get(&format!("{node}:{port}"), "/health").contains("ok"));
    let balanced = service("my-app-lb")["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().expect("the balancer has an address").to_owned();
    assert!(get(&format!("{balanced}:80"), "/ready").contains("ok"));
    let within = cluster.kubectl("exec my-pod -- wget -qO- http://my-app-svc.production/").ok();
    assert!(within.contains("myapp 1.4.2"), "{within}");
    let outside = cluster.kubectl("exec my-pod -- nslookup -type=cname outside.production.svc.cluster.local");
    assert!(outside.out.contains("db.example.com"), "{outside:?}");
    let mut forward = cluster.start("port-forward -n production svc/my-app-svc :80");
    let line = forward.until("Forwarding from 127.0.0.1:");
    let local = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port").to_owned();
    assert!(get(&format!("127.0.0.1:{local}"), "/").contains("myapp 1.4.2"));
}

fn rollouts(cluster: &Cluster) {
    let image = || cluster.kubectl("get deployment my-app -n production -o jsonpath={.spec.template.spec.containers[0].image}").ok();
    let settled = || cluster.kubectl("rollout status deployment/my-app -n production --timeout=150s").ok();
    for version in ["1.5.0", "1.6.0"] {
        cluster.kubectl(&format!("set image deployment/my-app main=myapp:{version} -n production")).ok();
        settled();
    }
    let history = cluster.kubectl("rollout history deployment/my-app -n production").ok();
    assert_eq!(history.lines().filter(|l| l.starts_with(['1', '2', '3'])).count(), 3, "{history}");
    cluster.kubectl("rollout undo deployment/my-app -n production").ok();
    settled();
    assert_eq!(image(), "myapp:1.5.0");
    cluster.kubectl("rollout undo deployment/my-app --to-revision=1 -n production").ok();
    settled();
    assert_eq!(image(), "myapp:1.4.2");
    cluster.kubectl("scale deployment my-app --replicas=5 -n production").ok();
    settled();
    let pods = cluster.object("get pods -n production -l app=my-app");
    let running = pods["items"].as_array().expect("a list").iter().filter(|p| p["metadata"].get("deletionTimestamp").is_none()).count();
    assert_eq!(running, 5);
}

#[test]
fn what_waits_for_more_is_accepted_and_reads_back_equal() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let _production = cluster.namespace("production");
    for (file, object) in [("06-hpa.yaml", "hpa my-app-hpa -n production"), ("07-ingress.yaml", "ingress my-app-ingress -n production"), ("08-gpu-pod.yaml", "pod gpu-pod"), ("10-model-server.yaml", "deployment model-server")] {
        let path = cluster.seed(file);
        cluster.kubectl(&format!("apply -f {path}")).ok();
        // Nothing differs between the file and what is stored: client-side diff, then the server's own view of an apply.
        cluster.kubectl(&format!("diff -f {path}")).ok();
        cluster.kubectl(&format!("get {object}")).ok();
        // The same manifest again changes nothing: `1.5Gi` makes kubectl send a patch, but the object stays what it was.
        let spec = || cluster.object(&format!("get {object}"))["spec"].clone();
        let before = spec();
        cluster.kubectl(&format!("apply -f {path}")).ok();
        assert_eq!(spec(), before);
    }
    let waiting = cluster.kubectl("wait pod/gpu-pod --for=condition=PodScheduled=False --timeout=30s");
    waiting.ok();
    let events = cluster.kubectl("get events --field-selector involvedObject.name=gpu-pod").ok();
    assert!(events.contains("0/1 nodes are available"), "{events}");
    for file in ["08-gpu-pod.yaml", "10-model-server.yaml"] {
        cluster.kubectl(&format!("delete -f {}", cluster.seed(file))).ok();
    }
}

#[test]
fn a_training_job_runs_to_its_end() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let python = "#!/bin/sh\necho \"python $*\"; ls -d /datasets /checkpoints; touch /datasets/x 2>/dev/null && exit 1; echo done > /checkpoints/model; cat /checkpoints/model\n";
    cluster.import(&shell_image("docker.io/library/mytrainer:git-a3f8c12", "true", &[("usr/bin/python", python), ("configs/resnet50.yaml", "")]));
    let _namespace = cluster.namespace("training");
    let claims = ["imagenet-pvc", "checkpoints-pvc"].map(|name| {
        format!("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}\n---\n")
    });
    cluster.kubectl_with("apply -n training -f -", &claims.concat()).ok();
    let manifest = std::fs::read_to_string(cluster.seed("09-training-job.yaml")).expect("the seed is readable");
    let manifest = manifest.replace("limits:\n              nvidia.com/gpu: \"4\"", "requests:\n              cpu: \"100m\"");
    assert!(!manifest.contains("gpu"), "{manifest}");
    cluster.kubectl_with("apply -n training -f -", &manifest).ok();
    cluster.kubectl("wait job/train-resnet50-run42 -n training --for=condition=Complete --timeout=90s").ok();
    let log = cluster.kubectl("logs -n training job/train-resnet50-run42").ok();
    assert!(log.contains("python train.py --config configs/resnet50.yaml") && log.trim_end().ends_with("done"), "{log}");
    let row = cluster.kubectl("get job train-resnet50-run42 -n training").ok();
    assert!(row.contains("Complete") && row.contains("1/1"), "{row}");
}
