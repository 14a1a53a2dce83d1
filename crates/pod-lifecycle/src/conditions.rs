//! The conditions of a pod that its node owns. Upstream: pkg/kubelet/status/generate.go.
//!
//! Never touches a condition of another owner. Keeps true: a transition time changes only when the status does.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::observed::Observed;
use crate::spec::{Kind, SpecContainer, is_host_network};
use crate::status::whole_seconds;

struct Verdict {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn yes() -> Self {
        Self { status: "True", reason: "", message: String::new() }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self { status: "False", reason, message }
    }
}

pub(crate) fn conditions(o: &Observed<'_>, wanted: &[SpecContainer], statuses: &[ContainerStatus], phase: &str) -> Vec<PodCondition> {
    let ready_containers = containers_ready(wanted, statuses, phase);
    let ready = pod_ready(o, &ready_containers);
    let owned = [
        ("PodReadyToStartContainers", ready_to_start(o)),
        ("Initialized", initialized(o, wanted, statuses, phase)),
        ("Ready", ready),
        ("ContainersReady", ready_containers),
        ("PodScheduled", Verdict::yes()),
    ];
    let old = o.pod.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let mut all: Vec<PodCondition> = old.iter().filter(|c| owned.iter().all(|(name, _)| c.type_ != *name)).cloned().collect();
    for (name, verdict) in owned {
        let before = old.iter().find(|c| c.type_ == name);
        let kept = before.filter(|c| c.status == verdict.status).and_then(|c| c.last_transition_time.clone());
        let text = |t: &str| Some(t.to_owned()).filter(|t| !t.is_empty());
        all.push(PodCondition {
            type_: name.into(),
            status: verdict.status.into(),
            reason: text(verdict.reason),
            message: text(&verdict.message),
            last_probe_time: None,
            last_transition_time: kept.or_else(|| Some(Time(whole_seconds(o.now)))),
            observed_generation: o.pod.metadata.generation,
        });
    }
    all
}

fn ready_to_start(o: &Observed<'_>) -> Verdict {
    let networked = |ips: &[String]| is_host_network(o.pod) || !ips.is_empty();
    match o.runtime.current() {
        Some(sandbox) if networked(&sandbox.ips) => Verdict::yes(),
        _ => Verdict::no("", String::new()),
    }
}

fn initialized(o: &Observed<'_>, wanted: &[SpecContainer], statuses: &[ContainerStatus], phase: &str) -> Verdict {
    let init: Vec<_> = wanted.iter().filter(|c| c.kind.is_init()).collect();
    if init.is_empty() {
        return Verdict::yes();
    }
    if phase == "Succeeded" {
        return Verdict { reason: "PodCompleted", ..Verdict::yes() };
    }
    // Upstream: once a regular container existed in the sandbox, later failures of sidecars do not undo this.
    let has_run = wanted.iter().any(|c| c.kind == Kind::Regular && o.runtime.latest(c.name()).is_some());
    let incomplete: Vec<&str> = init
        .iter()
        .filter(|c| {
            let status = statuses.iter().find(|s| s.name == c.name());
            !status.is_some_and(|s| if c.kind == Kind::Sidecar { s.started == Some(true) } else { s.ready })
        })
        .map(|c| c.name())
        .collect();
    if has_run || incomplete.is_empty() {
        return Verdict::yes();
    }
    Verdict::no("ContainersNotInitialized", format!("containers with incomplete status: [{}]", incomplete.join(" ")))
}

fn containers_ready(wanted: &[SpecContainer], statuses: &[ContainerStatus], phase: &str) -> Verdict {
    match phase {
        "Succeeded" => return Verdict::no("PodCompleted", String::new()),
        "Failed" => return Verdict::no("PodFailed", String::new()),
        _ => {}
    }
    let unready: Vec<&str> = wanted
        .iter()
        .filter(|c| matches!(c.kind, Kind::Sidecar | Kind::Regular))
        .filter(|c| !statuses.iter().any(|s| s.name == c.name() && s.ready))
        .map(SpecContainer::name)
        .collect();
    if unready.is_empty() {
        return Verdict::yes();
    }
    Verdict::no("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
}

fn pod_ready(o: &Observed<'_>, containers: &Verdict) -> Verdict {
    if containers.status != "True" {
        return Verdict::no(containers.reason, containers.message.clone());
    }
    let gates = o.pod.spec.as_ref().and_then(|s| s.readiness_gates.as_deref()).unwrap_or_default();
    let conditions = o.pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let mut closed = Vec::new();
    for gate in gates {
        let name = &gate.condition_type;
        match conditions.iter().find(|c| c.type_ == *name) {
            None => closed.push(format!("corresponding condition of pod readiness gate {name:?} does not exist.")),
            Some(c) if c.status != "True" => closed.push(format!("the status of pod readiness gate {name:?} is not \"True\", but {}", c.status)),
            Some(_) => {}
        }
    }
    if closed.is_empty() {
        return Verdict::yes();
    }
    // Upstream joins these as one aggregate error does.
    let message = if closed.len() == 1 { closed.remove(0) } else { format!("[{}]", closed.join(", ")) };
    Verdict::no("ReadinessGatesNotReady", message)
}
