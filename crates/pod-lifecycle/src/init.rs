//! How far a pod's init containers are: one after another, sidecars staying alive beside what follows.
//!
//! Keeps true: nothing that ran to its end runs again in the same sandbox; a sidecar that ended is started again while the pod lives.

use crate::observed::{Observed, ProbeResult, RunState};
use crate::plan::{Plan, keep};
use crate::restart::restarts;
use crate::spec::{Kind, SpecContainer};

pub(crate) enum Stage<'a> {
    /// An init container failed for good: the pod fails.
    Over,
    /// Not through yet; these are to be started.
    At(Vec<&'a SpecContainer>),
    /// Through; these sidecars are to be started again.
    Done(Vec<&'a SpecContainer>),
}

/// Upstream: computeInitContainerActions. Init containers of an older sandbox do not count: a new sandbox starts from the first.
pub(crate) fn stage<'a>(o: &Observed<'_>, wanted: &'a [SpecContainer], sandbox: &str, plan: &mut Plan) -> Stage<'a> {
    let here = |name: &str| o.runtime.latest(name).filter(|c| c.sandbox == sandbox);
    let inits: Vec<_> = wanted.iter().filter(|c| c.kind.is_init()).collect();
    let initialized = wanted.iter().any(|c| c.kind == Kind::Regular && here(c.name()).is_some());
    let furthest = if initialized { inits.len() } else { inits.iter().rposition(|c| here(c.name()).is_some()).unwrap_or(0) };
    let mut starts = Vec::new();
    for (index, &one) in inits.iter().enumerate() {
        let passed = index < furthest;
        let found = here(one.name());
        if one.kind == Kind::Sidecar {
            match found {
                Some(found) if found.state == RunState::Running => {
                    keep(o, one, found, plan);
                    if !passed && (!is_started(o, one, &found.id) || o.busy.starting.contains(one.name())) {
                        return Stage::At(starts);
                    }
                }
                _ => {
                    starts.push(one);
                    if !passed {
                        return Stage::At(starts);
                    }
                }
            }
            continue;
        }
        if passed {
            continue;
        }
        match found {
            Some(found) if found.state == RunState::Exited && found.exit_code == 0 => {}
            Some(found) if found.state == RunState::Running => return Stage::At(starts),
            Some(found) if !restarts(o.pod, one, found) => return Stage::Over,
            _ => {
                starts.push(one);
                return Stage::At(starts);
            }
        }
    }
    Stage::Done(starts)
}

/// A running container counts as started when its startup probe, if any, succeeded.
pub(crate) fn is_started(o: &Observed<'_>, one: &SpecContainer, id: &str) -> bool {
    one.startup().is_none() || o.probes.startup.get(id) == Some(&ProbeResult::Success)
}
