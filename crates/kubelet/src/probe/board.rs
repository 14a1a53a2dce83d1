//! The results of all probes, and the workers that put the questions.
//!
//! Keeps true: a running container has exactly one worker for each of its probes; results of a container vanish with it.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Probe};
use parking_lot::Mutex;
use pod_lifecycle::{ProbeResult, Probes, RunState, Runtime, SpecContainer, containers};
use tokio::sync::watch;

use super::worker::{Question, run};
use crate::agent::Agent;
use crate::pod::registry::PodHandle;
use crate::probe::http::AbortOnDrop;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// One running container's workers.
struct Watched {
    uid: String,
    results: HashMap<ProbeKind, ProbeResult>,
    workers: HashMap<ProbeKind, AbortOnDrop>,
    /// The startup probe succeeded, or there is none: the others may ask.
    started: watch::Sender<bool>,
}

#[derive(Default)]
pub struct ProbeBoard {
    watched: Mutex<HashMap<String, Watched>>,
}

impl ProbeBoard {
    /// Starts workers for what runs and ends those of what does not. While a pod stops only readiness is asked about.
    pub fn sync(&self, agent: &Arc<Agent>, handle: &Arc<PodHandle>, pod: &Arc<Pod>, runtime: &Runtime, stopping: bool) {
        let mut watched = self.watched.lock();
        let running = |id: &str| runtime.containers.iter().any(|c| c.id == id && c.state == RunState::Running);
        watched.retain(|id, w| w.uid != handle.uid || running(id));
        let pod_ip = pod_ip(agent, pod, runtime);
        for spec in containers(pod).iter().filter(|s| probes(s).next().is_some()) {
            let Some(found) = runtime.latest(spec.name()).filter(|c| c.state == RunState::Running) else { continue };
            let entry = watched.entry(found.id.clone()).or_insert_with(|| Watched { uid: handle.uid.clone(), results: HashMap::new(), workers: HashMap::new(), started: watch::Sender::new(spec.startup().is_none()) });
            for (kind, probe) in probes(spec) {
                if stopping && kind != ProbeKind::Readiness {
                    entry.workers.remove(&kind);
                    continue;
                }
                if entry.workers.contains_key(&kind) {
                    continue;
                }
                let question = Question { kind, probe: probe.clone(), spec: spec.clone(), pod: pod.clone(), container_id: found.id.clone(), started_at: found.started_at, pod_ip: pod_ip.clone(), started: entry.started.subscribe() };
                let (agent, handle) = (agent.clone(), handle.clone());
                entry.workers.insert(kind, AbortOnDrop(tokio::spawn(run(agent, handle, question))));
            }
        }
    }

    /// Records a settled result. True when it is news.
    pub fn set(&self, id: &str, kind: ProbeKind, result: ProbeResult) -> bool {
        let mut watched = self.watched.lock();
        let Some(entry) = watched.get_mut(id) else { return false };
        if kind == ProbeKind::Startup && result == ProbeResult::Success {
            entry.started.send_replace(true);
        }
        entry.results.insert(kind, result) != Some(result)
    }

    pub fn results(&self, uid: &str) -> Probes {
        let mut out = Probes::default();
        for (id, entry) in self.watched.lock().iter().filter(|(_, w)| w.uid == uid) {
            for (kind, result) in &entry.results {
                let map = match kind {
                    ProbeKind::Startup => &mut out.startup,
                    ProbeKind::Liveness => &mut out.liveness,
                    ProbeKind::Readiness => &mut out.readiness,
                };
                map.insert(id.clone(), *result);
            }
        }
        out
    }

    /// After a restart of this agent a pod that was ready stays so until a probe says otherwise.
    pub fn assume(&self, id: &str, kind: ProbeKind, result: ProbeResult) {
        if let Some(entry) = self.watched.lock().get_mut(id) {
            entry.results.entry(kind).or_insert(result);
        }
        if kind == ProbeKind::Startup {
            self.set(id, kind, result);
        }
    }

    pub fn release(&self, uid: &str) {
        self.watched.lock().retain(|_, w| w.uid != uid);
    }
}

fn probes(spec: &SpecContainer) -> impl Iterator<Item = (ProbeKind, &Probe)> {
    let c = &spec.container;
    [(ProbeKind::Startup, &c.startup_probe), (ProbeKind::Liveness, &c.liveness_probe), (ProbeKind::Readiness, &c.readiness_probe)].into_iter().filter_map(|(kind, probe)| Some((kind, probe.as_ref()?)))
}

fn pod_ip(agent: &Agent, pod: &Pod, runtime: &Runtime) -> String {
    if pod_lifecycle::is_host_network(pod) {
        return agent.config.node_ip.to_string();
    }
    runtime.current().and_then(|s| s.ips.first().cloned()).unwrap_or_default()
}
