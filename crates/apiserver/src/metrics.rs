//! What the server counts, under upstream's names.
//!
//! Upstream: `staging/src/k8s.io/apiserver/pkg/endpoints/metrics`. Labels take values of the registry and of fixed sets
//! alone: what a client invents names no series (CVE-2020-8552).

pub mod access;
pub mod flows;
mod requests;
pub mod slis;
pub mod watches;

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::admission::extension::{ConditionCounts, HookCounts, PolicyCounts};
use crate::admission::turns::AdmissionCounts;
use crate::auth::counts::Judged;
use crate::config::Features;
use crate::health;
use api::request::Info;
use crate::reload::counts::Reloads;
use crate::server::Server;
use access::Access;
use flows::FlowCounts;
use requests::Answers;
use slis::Slis;
use watches::Watches;

pub const MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8";

const REQUEST: [&str; 9] = ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"];
const DURATION: [&str; 8] = ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"];
const LONG: [&str; 7] = ["verb", "group", "version", "resource", "subresource", "scope", "component"];
const BUCKETS: [f64; 23] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0];

/// The counters; clones would share them.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    inflight: IntGaugeVec,
    long: IntGaugeVec,
    objects: IntGaugeVec,
    resource_objects: IntGaugeVec,
    deprecated: IntGaugeVec,
    pub judged: Judged,
    pub conditions: ConditionCounts,
    pub hooks: HookCounts,
    pub policies: PolicyCounts,
    pub admission: AdmissionCounts,
    pub answers: Answers,
    pub access: Access,
    pub watches: Watches,
    pub flows: FlowCounts,
    pub slis: Slis,
    pub reloads: Reloads,
    process: Process,
}

struct Process {
    cpu: prometheus::Gauge,
    resident: IntGauge,
    mapped: IntGauge,
    descriptors: IntGauge,
    most_descriptors: IntGauge,
    start: prometheus::Gauge,
}

/// One request's labels.
pub struct Labels {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
}

impl Labels {
    /// Names that nothing is registered under stay out.
    pub fn of(server: &Server, info: &Info, dry_run: bool) -> Self {
        let dry_run = if dry_run { "All" } else { "" };
        let verb = verb(info);
        let registry = server.registry();
        let known = registry.find(&info.group, &info.version, &info.resource).filter(|_| info.is_resource);
        let Some(served) = known else {
            return Self { verb, dry_run, group: String::new(), version: String::new(), resource: String::new(), subresource: String::new(), scope: "" };
        };
        let subresource = served.resource.subresource(&info.subresource).map(|s| s.name.to_string()).unwrap_or_default();
        // Upstream: `CleanScope`; what is created is one object.
        let scope = match (info.name.is_empty() && info.verb != "create", info.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        };
        Self { verb, dry_run, group: info.group.clone(), version: info.version.clone(), resource: info.resource.clone(), subresource, scope }
    }

    /// A patch of that type is an apply. Upstream: `CleanVerb`.
    pub fn applies(&mut self) {
        if self.verb == "PATCH" {
            self.verb = "APPLY";
        }
    }

    fn base(&self) -> [&str; 8] {
        [self.verb, self.dry_run, &self.group, &self.version, &self.resource, &self.subresource, self.scope, "apiserver"]
    }

    fn long(&self) -> [&str; 7] {
        [self.verb, &self.group, &self.version, &self.resource, &self.subresource, self.scope, "apiserver"]
    }
}

/// Upstream: `CanonicalVerb` and `CleanVerb`; methods of no meaning are one label.
fn verb(info: &Info) -> &'static str {
    match info.verb {
        _ if info.is_resource && matches!(info.subresource.as_str(), "log" | "exec" | "portforward" | "attach" | "proxy") => "CONNECT",
        "get" | "head" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" | "post" => "POST",
        "update" | "put" => "PUT",
        "patch" => "PATCH",
        "delete" => "DELETE",
        "deletecollection" => "DELETECOLLECTION",
        _ => "other",
    }
}

/// A request that is being served; counted until dropped.
pub struct Running(IntGauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub fn new(features: &Features) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            registered(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let requests = registered(&registry, IntCounterVec::new(Opts::new("apiserver_request_total", "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code."), &REQUEST))?;
        let options = HistogramOpts::new("apiserver_request_duration_seconds", "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.").buckets(BUCKETS.into());
        let durations = registered(&registry, HistogramVec::new(options, &DURATION))?;
        let build = gauges("kubernetes_build_info", "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, platform, and compiler.", &["major", "minor", "git_version", "git_commit", "platform", "compiler"])?;
        build.with_label_values(&[health::MAJOR, health::MINOR, &health::git_version(), health::COMMIT, &health::platform(), "rustc"]).set(1);
        let enabled = gauges("kubernetes_feature_enabled", "[BETA] This metric records the data about the stage and enablement of a k8s feature.", &["name", "stage"])?;
        features.all().into_iter().for_each(|(name, stage, on)| enabled.with_label_values(&[name, stage.label()]).set(on.into()));
        Ok(Self {
            requests,
            durations,
            inflight: gauges("apiserver_current_inflight_requests", "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last second.", &["request_kind"])?,
            long: gauges("apiserver_longrunning_requests", "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.", &LONG)?,
            objects: gauges(
                "apiserver_storage_objects",
                "[STABLE] [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
                &["resource"],
            )?,
            resource_objects: gauges("apiserver_resource_objects", "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.", &["group", "resource"])?,
            deprecated: gauges(
                "apiserver_requested_deprecated_apis",
                "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.",
                &["group", "version", "resource", "subresource", "removed_release"],
            )?,
            judged: Judged::new(&registry)?,
            conditions: ConditionCounts::new(&registry)?,
            hooks: HookCounts::new(&registry)?,
            policies: PolicyCounts::new(&registry)?,
            admission: AdmissionCounts::new(&registry)?,
            answers: Answers::new(&registry)?,
            access: Access::new(&registry)?,
            watches: Watches::new(&registry)?,
            flows: FlowCounts::new(&registry)?,
            slis: Slis::new()?,
            reloads: Reloads::new(&registry)?,
            process: Process::new(&registry)?,
            registry,
        })
    }

    /// A request was answered, after so long, of which it waited for webhooks and queues so long.
    pub fn answered(&self, labels: &Labels, code: u16, took: Duration, waited: Duration) {
        let base = labels.base();
        let code = code.to_string();
        let mut all = [""; 9];
        all[..8].copy_from_slice(&base);
        all[8] = &code;
        self.requests.with_label_values(&all).inc();
        if labels.verb != "WATCH" && labels.verb != "CONNECT" {
            self.durations.with_label_values(&base).observe(took.as_secs_f64());
            self.answers.took(labels, took.saturating_sub(waited));
        }
    }

    /// Somebody asked for what is served no longer than it must. No kind of a release that is named is among them.
    pub fn asked_deprecated(&self, resource: &catalog::Resource, part: &str) {
        self.deprecated.with_label_values(&[&*resource.group, &*resource.version, &*resource.plural, part, ""]).set(1);
    }

    pub fn running(&self, mutating: bool) -> Running {
        let gauge = self.inflight.with_label_values(&[if mutating { "mutating" } else { "readOnly" }]);
        gauge.inc();
        Running(gauge)
    }

    pub fn open(&self, labels: &Labels) -> Running {
        let gauge = self.long.with_label_values(&labels.long());
        gauge.inc();
        Running(gauge)
    }

    /// Everything as text; what is no count of events is read now.
    pub fn text(&self, server: &Server) -> Vec<u8> {
        let view = server.store.view();
        for served in server.registry().all.iter().filter(|s| s.resource.verbs.list) {
            let group = &served.resource.group;
            let name = if group.is_empty() { served.resource.plural.to_string() } else { format!("{}.{group}", served.resource.plural) };
            let count = view.table(served.table).len() as i64;
            self.objects.with_label_values(&[&name]).set(count);
            self.resource_objects.with_label_values(&[&**group, &*served.resource.plural]).set(count);
        }
        server.flow.tell_limits(&server.store);
        self.process.read();
        text_of(&self.registry)
    }
}

/// What was made, and is told from now on.
pub fn registered<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> prometheus::Result<C> {
    let made = made?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

fn text_of(registry: &Registry) -> Vec<u8> {
    let mut text = Vec::with_capacity(64 << 10);
    if let Err(error) = TextEncoder::new().encode(&registry.gather(), &mut text) {
        tracing::warn!(%error, "metrics could not be written");
    }
    text
}

impl Process {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let cpu = registered(registry, prometheus::Gauge::new("process_cpu_seconds_total", "Processor seconds used, in user and kernel mode."))?;
        let resident = registered(registry, IntGauge::new("process_resident_memory_bytes", "Memory that is resident."))?;
        let descriptors = registered(registry, IntGauge::new("process_open_fds", "Open file descriptors."))?;
        let mapped = registered(registry, IntGauge::new("process_virtual_memory_bytes", "Memory that is mapped."))?;
        let most_descriptors = registered(registry, IntGauge::new("process_max_fds", "File descriptors that may be open at once."))?;
        let start = registered(registry, prometheus::Gauge::new("process_start_time_seconds", "When the process began, in seconds since 1970."))?;
        start.set(jiff::Timestamp::now().as_millisecond() as f64 / 1000.0);
        Ok(Self { cpu, resident, mapped, descriptors, most_descriptors, start })
    }

    /// From `/proc`; what cannot be read stays as it was.
    fn read(&self) {
        const TICKS: f64 = 100.0;
        if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
            && let Some((_, fields)) = stat.rsplit_once(") ")
        {
            let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
            self.cpu.set(ticks as f64 / TICKS);
        }
        if let Ok(statm) = std::fs::read_to_string("/proc/self/statm") {
            let pages = statm.split(' ').filter_map(|p| p.parse::<i64>().ok());
            [&self.mapped, &self.resident].into_iter().zip(pages).for_each(|(gauge, pages)| gauge.set(pages << 12));
        }
        if let Ok(limits) = std::fs::read_to_string("/proc/self/limits")
            && let Some(most) = limits.lines().find_map(|l| l.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
        {
            self.most_descriptors.set(most);
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            self.descriptors.set(open.count() as i64);
        }
        let _ = &self.start;
    }
}
