//! When a run of answers settles a result. Pure. Upstream: pkg/kubelet/prober/worker.go.

use k8s_openapi::api::core::v1::Probe;
use pod_lifecycle::ProbeResult;

/// Counts answers of one kind in a row.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    success_threshold: i32,
    failure_threshold: i32,
    last: Option<ProbeResult>,
    run: i32,
}

impl Tally {
    pub fn new(probe: &Probe) -> Self {
        Self { success_threshold: probe.success_threshold.unwrap_or(1).max(1), failure_threshold: probe.failure_threshold.unwrap_or(3).max(1), last: None, run: 0 }
    }

    /// The settled result, once there are enough answers of one kind.
    pub fn add(&mut self, answer: ProbeResult) -> Option<ProbeResult> {
        if self.last == Some(answer) {
            self.run = self.run.saturating_add(1);
        } else {
            (self.last, self.run) = (Some(answer), 1);
        }
        let needed = match answer {
            ProbeResult::Success => self.success_threshold,
            ProbeResult::Failure => self.failure_threshold,
        };
        (self.run >= needed).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProbeResult::{Failure, Success};

    #[test]
    fn settles_at_the_thresholds() {
        let mut tally = Tally::new(&Probe { failure_threshold: Some(2), success_threshold: Some(2), ..Probe::default() });
        let answers = [Success, Success, Failure, Success, Failure, Failure, Success];
        let settled: Vec<_> = answers.into_iter().map(|a| tally.add(a)).collect();
        assert_eq!(settled, [None, Some(Success), None, None, None, Some(Failure), None]);
    }
}
