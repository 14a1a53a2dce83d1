//! How a pod shows in a table.
//!
//! Upstream: `printPod` in `pkg/printers/internalversion/printers.go`.

use jiff::Timestamp;
use serde_json::Value;

use crate::columns::{age, age_of, columns, name, or_none};
use crate::resource::Column;
use crate::walk;

pub fn pod_columns() -> Vec<Column> {
    columns(&["Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"])
}

pub fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let restarts = match summary.last_restart {
        Some(at) if summary.restarts > 0 => format!("{} ({} ago)", summary.restarts, age_of(at, now)),
        _ => summary.restarts.to_string(),
    };
    vec![
        name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(pod, now),
        or_none(walk::list(pod, "status.podIPs").first().map(|ip| walk::text(ip, "ip")).unwrap_or_else(|| walk::text(pod, "status.podIP"))),
        or_none(walk::text(pod, "spec.nodeName")),
        or_none(walk::text(pod, "status.nominatedNodeName")),
        readiness_gates(pod),
    ]
}

struct Summary<'a> {
    ready: i64,
    total: usize,
    restarts: i64,
    last_restart: Option<&'a str>,
    reason: String,
}

fn is_sidecar(pod: &Value, container: &str) -> bool {
    walk::list(pod, "spec.initContainers").iter().any(|c| walk::text(c, "name") == container && walk::text(c, "restartPolicy") == "Always")
}

/// The words of a container's end: its reason, or its signal, or its exit code.
fn ended(terminated: &Value, prefix: &str) -> String {
    match (walk::text(terminated, "reason"), walk::int(terminated, "signal")) {
        ("", 0) => format!("{prefix}ExitCode:{}", walk::int(terminated, "exitCode")),
        ("", signal) => format!("{prefix}Signal:{signal}"),
        (reason, _) => format!("{prefix}{reason}"),
    }
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Self {
        let sidecars = walk::list(pod, "spec.initContainers").iter().filter(|c| walk::text(c, "restartPolicy") == "Always").count();
        let reason = [walk::text(pod, "status.reason"), walk::text(pod, "status.phase")].into_iter().find(|r| !r.is_empty()).unwrap_or_default();
        let mut summary = Self { ready: 0, total: walk::list(pod, "spec.containers").len() + sidecars, restarts: 0, last_restart: None, reason: reason.to_owned() };
        let scheduled = walk::list(pod, "status.conditions").iter().find(|c| walk::text(c, "type") == "PodScheduled");
        if scheduled.is_some_and(|c| walk::text(c, "reason") == "SchedulingGated") {
            summary.reason = "SchedulingGated".into();
        }
        let initializing = summary.init_containers(pod);
        let initialized = walk::list(pod, "status.conditions").iter().any(|c| walk::text(c, "type") == "Initialized" && walk::text(c, "status") == "True");
        if !initializing || initialized {
            summary.containers(pod);
        }
        summary.deletion(pod);
        summary
    }

    fn note_restart(&mut self, status: &'a Value) {
        let at = walk::text(status, "lastState.terminated.finishedAt");
        if !at.is_empty() && self.last_restart.is_none_or(|last| last < at) {
            self.last_restart = Some(at);
        }
    }

    fn init_containers(&mut self, pod: &'a Value) -> bool {
        let mut sidecar_restarts = 0;
        for (i, status) in walk::list(pod, "status.initContainerStatuses").iter().enumerate() {
            self.restarts += walk::int(status, "restartCount");
            self.note_restart(status);
            let sidecar = is_sidecar(pod, walk::text(status, "name"));
            if sidecar {
                sidecar_restarts += walk::int(status, "restartCount");
            }
            let terminated = walk::at(status, "state.terminated");
            let waiting = walk::text(status, "state.waiting.reason");
            if terminated.is_object() && walk::int(terminated, "exitCode") == 0 {
                continue;
            }
            if sidecar && walk::flag(status, "started") {
                self.ready += i64::from(walk::flag(status, "ready"));
                continue;
            }
            self.reason = if terminated.is_object() {
                ended(terminated, "Init:")
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{i}/{}", walk::list(pod, "spec.initContainers").len())
            };
            return true;
        }
        // Upstream: once initialised, only restarts of sidecars and containers count.
        self.restarts = sidecar_restarts;
        false
    }

    fn containers(&mut self, pod: &'a Value) {
        let mut running = false;
        for status in walk::list(pod, "status.containerStatuses").iter().rev() {
            self.restarts += walk::int(status, "restartCount");
            self.note_restart(status);
            let terminated = walk::at(status, "state.terminated");
            let waiting = walk::text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if terminated.is_object() {
                self.reason = ended(terminated, "");
            } else if walk::flag(status, "ready") && walk::at(status, "state.running").is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = walk::list(pod, "status.conditions").iter().any(|c| walk::text(c, "type") == "Ready" && walk::text(c, "status") == "True");
            self.reason = if ready { "Running" } else { "NotReady" }.into();
        }
    }

    fn deletion(&mut self, pod: &Value) {
        if !api::meta::is_deleting(pod) {
            return;
        }
        let phase = walk::text(pod, "status.phase");
        if walk::text(pod, "status.reason") == "NodeLost" {
            self.reason = "Unknown".into();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            self.reason = "Terminating".into();
        }
    }
}

fn readiness_gates(pod: &Value) -> Value {
    let gates = walk::list(pod, "spec.readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let holds = |gate: &&Value| {
        let kind = walk::text(gate, "conditionType");
        walk::list(pod, "status.conditions").iter().any(|c| walk::text(c, "type") == kind && walk::text(c, "status") == "True")
    };
    format!("{}/{}", gates.iter().filter(holds).count(), gates.len()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn shows_a_pod_as_upstream_does() {
        let pod = json!({
            "metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"containers": [{"name": "x"}, {"name": "y"}], "nodeName": "n"},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
                {"name": "x", "ready": true, "restartCount": 0, "state": {"running": {}}},
                {"name": "y", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": "1970-01-01T00:01:00Z"}}}]}
        });
        let cells = super::cells(&pod, jiff::Timestamp::from_second(90).unwrap());
        assert_eq!(cells, [json!("a"), json!("1/2"), json!("CrashLoopBackOff"), json!("3 (30s ago)"), json!("90s"), json!("10.0.0.1"), json!("n"), json!("<none>"), json!("<none>")]);
    }
}
