//! What is counted of priority and fairness: who waits, who runs, who is refused, and how many seats each level has.
//!
//! Upstream: apiserver `pkg/util/flowcontrol/metrics/metrics.go`; where each is counted: `apf_controller.go` and
//! `fairqueuing/queueset/queueset.go` beside it. Labels are names of levels and schemas that are stored.

use std::time::Instant;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::registered;

const FLOW: [&str; 2] = ["priority_level", "flow_schema"];
const SECONDS: [f64; 13] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
const LENGTHS: [f64; 8] = [0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
const WIDTHS: [f64; 4] = [1.0, 2.0, 4.0, 10.0];

/// The counters; clones share them.
#[derive(Clone)]
pub struct FlowCounts {
    waiting: IntGaugeVec,
    waiting_seats: IntGaugeVec,
    executing: IntGaugeVec,
    executing_seats: IntGaugeVec,
    dispatched: IntCounterVec,
    rejected: IntCounterVec,
    waited: HistogramVec,
    executed: HistogramVec,
    lengths: HistogramVec,
    widths: HistogramVec,
    limits: Limits,
}

#[derive(Clone)]
struct Limits {
    nominal: IntGaugeVec,
    lower: IntGaugeVec,
    upper: IntGaugeVec,
    current: IntGaugeVec,
}

/// The seats of one level at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seats {
    pub level: String,
    pub nominal: u32,
    /// What is left when all that may be lent is.
    pub lower: u32,
    /// With all that may be borrowed.
    pub upper: u32,
    /// With what may be borrowed now.
    pub current: u32,
}

/// Why a request was refused, in upstream's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// All seats are taken, and the level has no queues.
    NoSeat,
    QueueFull,
    TimeOut,
    /// Who asked is gone.
    Cancelled,
}

impl Why {
    fn label(self) -> &'static str {
        match self {
            Self::NoSeat => "concurrency-limit",
            Self::QueueFull => "queue-full",
            Self::TimeOut => "time-out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A flow, as labels tell it.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    pub level: &'a str,
    pub schema: &'a str,
}

/// Counted in gauges until dropped.
struct Counted {
    requests: IntGauge,
    seats: IntGauge,
    width: i64,
}

impl Counted {
    fn new(requests: IntGauge, seats: IntGauge, width: u32) -> Self {
        let counted = Self { requests, seats, width: width.into() };
        counted.requests.inc();
        counted.seats.add(counted.width);
        counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.requests.dec();
        self.seats.sub(self.width);
    }
}

/// A request of a limited level that asks for seats. Unless told otherwise, who asked went away.
pub struct Asking<'a> {
    counts: &'a FlowCounts,
    of: Of<'a>,
    since: Instant,
    queued: Option<Counted>,
    why: Option<Why>,
}

impl<'a> Asking<'a> {
    /// It stands in a queue of this length, itself included.
    pub fn queued(&mut self, width: u32, length: usize) {
        let labels = [self.of.level, self.of.schema];
        self.counts.lengths.with_label_values(&labels).observe(length as f64);
        self.queued = Some(Counted::new(self.counts.waiting.with_label_values(&labels), self.counts.waiting_seats.with_label_values(&labels), width));
    }

    pub fn refused(mut self, why: Why) {
        self.why = Some(why);
    }

    pub fn runs(mut self) {
        self.why = None;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.queued = None;
        let execute = if self.why.is_some() { "false" } else { "true" };
        self.counts.waited.with_label_values(&[self.of.level, self.of.schema, execute]).observe(self.since.elapsed().as_secs_f64());
        if let Some(why) = self.why {
            self.counts.rejected.with_label_values(&[self.of.level, self.of.schema, why.label()]).inc();
        }
    }
}

/// A request that runs, until dropped.
pub struct Executing {
    _counted: Counted,
    took: prometheus::Histogram,
    since: Instant,
}

impl Drop for Executing {
    fn drop(&mut self) {
        self.took.observe(self.since.elapsed().as_secs_f64());
    }
}

impl FlowCounts {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            registered(registry, IntGaugeVec::new(Opts::new(format!("apiserver_flowcontrol_{name}"), help), labels))
        };
        let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            registered(registry, IntCounterVec::new(Opts::new(format!("apiserver_flowcontrol_{name}"), help), labels))
        };
        let histogram = |name: &str, help: &str, buckets: &[f64], labels: &[&str]| -> prometheus::Result<HistogramVec> {
            registered(registry, HistogramVec::new(HistogramOpts::new(format!("apiserver_flowcontrol_{name}"), help).buckets(buckets.into()), labels))
        };
        let level = &FLOW[..1];
        Ok(Self {
            waiting: gauge("current_inqueue_requests", "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem", &FLOW)?,
            waiting_seats: gauge("current_inqueue_seats", "[ALPHA] Number of seats currently pending in queues of the API Priority and Fairness subsystem", &FLOW)?,
            executing: gauge("current_executing_requests", "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem", &FLOW)?,
            executing_seats: gauge("current_executing_seats", "[BETA] Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem", &FLOW)?,
            dispatched: counter("dispatched_requests_total", "[BETA] Number of requests executed by API Priority and Fairness subsystem", &FLOW)?,
            rejected: counter("rejected_requests_total", "[BETA] Number of requests rejected by API Priority and Fairness subsystem", &["priority_level", "flow_schema", "reason"])?,
            waited: histogram("request_wait_duration_seconds", "[BETA] Length of time a request spent waiting in its queue", &SECONDS, &["priority_level", "flow_schema", "execute"])?,
            executed: histogram("request_execution_seconds", "[ALPHA] Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem", &SECONDS, &["priority_level", "flow_schema", "type"])?,
            lengths: histogram("request_queue_length_after_enqueue", "[ALPHA] Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued", &LENGTHS, &FLOW)?,
            widths: histogram("work_estimated_seats", "[ALPHA] Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness", &WIDTHS, &FLOW)?,
            limits: Limits {
                nominal: gauge("nominal_limit_seats", "[BETA] Nominal number of execution seats configured for each priority level", level)?,
                lower: gauge("lower_limit_seats", "[ALPHA] Configured lower bound on number of execution seats available to each priority level", level)?,
                upper: gauge("upper_limit_seats", "[ALPHA] Configured upper bound on number of execution seats available to each priority level", level)?,
                current: gauge("current_limit_seats", "[ALPHA] current derived number of execution seats available to each priority level", level)?,
            },
        })
    }

    /// A request of a limited level asks for seats.
    pub fn asks<'a>(&'a self, of: Of<'a>) -> Asking<'a> {
        Asking { counts: self, of, since: Instant::now(), queued: None, why: Some(Why::Cancelled) }
    }

    /// A request runs from now on; `kind` is `watch` or `regular`.
    pub fn runs(&self, of: Of<'_>, width: u32, kind: &str) -> Executing {
        let labels = [of.level, of.schema];
        self.dispatched.with_label_values(&labels).inc();
        self.widths.with_label_values(&labels).observe(width.into());
        let counted = Counted::new(self.executing.with_label_values(&labels), self.executing_seats.with_label_values(&labels), width);
        Executing { _counted: counted, took: self.executed.with_label_values(&[of.level, of.schema, kind]), since: Instant::now() }
    }

    /// The levels as they are now; those that are gone go from here too.
    pub fn limited(&self, levels: &[Seats]) {
        let Limits { nominal, lower, upper, current } = &self.limits;
        [nominal, lower, upper, current].into_iter().for_each(IntGaugeVec::reset);
        for of in levels {
            for (gauge, seats) in [(nominal, of.nominal), (lower, of.lower), (upper, of.upper), (current, of.current)] {
                gauge.with_label_values(&[&of.level]).set(seats.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_runs_or_goes_is_counted_once() {
        let registry = Registry::new();
        let counts = FlowCounts::new(&registry).expect("names are right");
        let of = Of { level: "low", schema: "s" };
        let mut asking = counts.asks(of);
        asking.queued(2, 3);
        assert_eq!((counts.waiting.with_label_values(&["low", "s"]).get(), counts.waiting_seats.with_label_values(&["low", "s"]).get()), (1, 2));
        asking.runs();
        let running = counts.runs(of, 2, "regular");
        assert_eq!((counts.waiting.with_label_values(&["low", "s"]).get(), counts.executing.with_label_values(&["low", "s"]).get(), counts.executing_seats.with_label_values(&["low", "s"]).get()), (0, 1, 2));
        drop(running);
        counts.asks(of).refused(Why::QueueFull);
        drop(counts.asks(of));
        let text = String::from_utf8(super::super::text_of(&registry)).expect("text");
        for line in [
            "apiserver_flowcontrol_current_executing_seats{flow_schema=\"s\",priority_level=\"low\"} 0\n",
            "apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"s\",priority_level=\"low\"} 1\n",
            "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"s\",priority_level=\"low\",reason=\"queue-full\"} 1\n",
            "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"s\",priority_level=\"low\",reason=\"cancelled\"} 1\n",
            "apiserver_flowcontrol_request_wait_duration_seconds_count{execute=\"false\",flow_schema=\"s\",priority_level=\"low\"} 2\n",
            "apiserver_flowcontrol_request_execution_seconds_count{flow_schema=\"s\",priority_level=\"low\",type=\"regular\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn levels_that_are_gone_are_not_told() {
        let registry = Registry::new();
        let counts = FlowCounts::new(&registry).expect("names are right");
        let seats = |level: &str| Seats { level: level.into(), nominal: 4, lower: 2, upper: 8, current: 6 };
        counts.limited(&[seats("a"), seats("b")]);
        counts.limited(&[seats("b")]);
        let text = String::from_utf8(super::super::text_of(&registry)).expect("text");
        assert!(!text.contains("priority_level=\"a\"") && text.contains("apiserver_flowcontrol_current_limit_seats{priority_level=\"b\"} 6\n"), "{text}");
    }
}
