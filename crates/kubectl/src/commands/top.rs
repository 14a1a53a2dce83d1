//! `kubectl top node` and `top pod`: what is used now, by the metrics API.
// Upstream: kubectl pkg/cmd/top, pkg/metricsutil/metrics_printer.go.

use quantity::Quantity;
use serde_json::Value;

use crate::call::{Call, out};
use crate::client::with_query;
use crate::command::{Command, EMPTY};
use crate::complain;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, text, yes_no};
use crate::tabs::Tabs;
use crate::{global, run};

pub const COMMAND: Command = Command {
    name: "top",
    about: "Show what nodes and pods use of CPU and memory.\n\nThe cluster needs the metrics API.",
    subs: &[&NODE, &POD],
    ..EMPTY
};

const SHARED: &[Flag] = &[
    text("sort-by", "", "cpu or memory: the largest first."),
    yes_no("no-headers", "No header line."),
    yes_no("use-protocol-buffers", "Taken for compatibility.").default("true"),
    yes_no("show-swap", "With swap."),
    global::SELECTOR,
];

const NODE: Command = Command { name: "node", aliases: &["nodes", "no"], usage: "[NAME | -l label]", about: "Show what nodes use.", flags: &[SHARED, &[yes_no("show-capacity", "Percentages of all, not of what pods may have.")]], run: run!(node), ..EMPTY };
const POD: Command = Command {
    name: "pod",
    aliases: &["pods", "po"],
    usage: "[NAME | -l label]",
    about: "Show what pods use.",
    flags: &[SHARED, &[yes_no("containers", "Each container by itself."), yes_no("sum", "With the sum of all."), global::ALL_NAMESPACES, global::FIELD_SELECTOR]],
    run: run!(pod),
    ..EMPTY
};

async fn metrics(call: &Call, path: &str, name: &str) -> Outcome<Vec<Value>> {
    let sort = call.flags.text("sort-by");
    if !["", "cpu", "memory", "swap"].contains(&sort) {
        return fail("--sort-by accepts only cpu or memory");
    }
    if !name.is_empty() && !call.flags.text("selector").is_empty() {
        return fail("only one of NAME or --selector can be provided");
    }
    let known = |s: &crate::discovery::Served| s.versions.iter().any(|(g, _)| g == "metrics.k8s.io");
    if !known(&*call.served().await?) && !known(&*call.served_now().await?) {
        return fail("Metrics API not available");
    }
    let api = call.api().await?;
    if !name.is_empty() {
        return Ok(vec![api.get(&format!("{path}/{}", crate::client::escape(name))).await?]);
    }
    let mut pairs = Vec::new();
    for (flag, parameter) in [("selector", "labelSelector"), ("field-selector", "fieldSelector")] {
        if !call.flags.text(flag).is_empty() {
            pairs.push((parameter, call.flags.text(flag)));
        }
    }
    Ok(api.get(&with_query(path, &pairs)).await?["items"].as_array().cloned().unwrap_or_default())
}

#[derive(Clone, Copy, Default)]
struct Use {
    cpu: i64,
    memory: i64,
}

impl Use {
    fn of(usage: &Value) -> Self {
        let amount = |key: &str| usage[key].as_str().and_then(|t| t.parse::<Quantity>().ok());
        Self { cpu: amount("cpu").map_or(0, |q| q.milli_value()), memory: amount("memory").map_or(0, |q| q.value()) }
    }

    fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }

    fn cpu_text(self) -> String {
        format!("{}m", self.cpu)
    }

    fn memory_text(self) -> String {
        format!("{}Mi", self.memory / (1024 * 1024))
    }
}

/// The largest first where asked for, else by name.
fn sort<T>(call: &Call, rows: &mut [(T, Use)], name: impl Fn(&T) -> String) {
    match call.flags.text("sort-by") {
        "cpu" => rows.sort_by_key(|(_, u)| std::cmp::Reverse(u.cpu)),
        "memory" => rows.sort_by_key(|(_, u)| std::cmp::Reverse(u.memory)),
        _ => rows.sort_by_key(|(row, _)| name(row)),
    }
}

async fn node(call: &Call) -> Outcome {
    let name = call.args().first().cloned().unwrap_or_default();
    if call.args().len() > 1 {
        return Err(call.usage(&format!("expected one argument, got {}", call.args().len())));
    }
    let metrics = metrics(call, "/apis/metrics.k8s.io/v1beta1/nodes", &name).await?;
    if metrics.is_empty() {
        return fail("metrics not available yet");
    }
    let nodes = call.api().await?.get("/api/v1/nodes").await?;
    let mut rows: Vec<(String, Use)> = metrics.iter().map(|m| (api::meta::name(m).to_owned(), Use::of(&m["usage"]))).collect();
    sort(call, &mut rows, String::clone);
    let mut tabs = Tabs::table();
    if !call.flags.yes("no-headers") {
        tabs.push("NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\n");
    }
    let field = if call.flags.yes("show-capacity") { "capacity" } else { "allocatable" };
    for (name, used) in rows {
        let node = nodes["items"].as_array().into_iter().flatten().find(|n| api::meta::name(n) == name);
        let all = node.map(|n| Use::of(&n["status"][field])).unwrap_or_default();
        let percent = |part: i64, whole: i64| if whole == 0 { "<unknown>".to_owned() } else { format!("{}%", part * 100 / whole) };
        tabs.row(&[name, used.cpu_text(), percent(used.cpu, all.cpu), used.memory_text(), percent(used.memory, all.memory)]);
    }
    out(&tabs.flush());
    Ok(())
}

async fn pod(call: &Call) -> Outcome {
    let (flags, name) = (&call.flags, call.args().first().cloned().unwrap_or_default());
    if call.args().len() > 1 {
        return Err(call.usage(&format!("expected one argument, got {}", call.args().len())));
    }
    let all = flags.yes("all-namespaces");
    let namespace = call.namespace()?.name;
    let path = if all { "/apis/metrics.k8s.io/v1beta1/pods".to_owned() } else { format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods") };
    let metrics = metrics(call, &path, &name).await?;
    if metrics.is_empty() {
        let list = call.api().await?.get(&if all { "/api/v1/pods".to_owned() } else { format!("/api/v1/namespaces/{namespace}/pods") }).await?;
        if list["items"].as_array().is_none_or(Vec::is_empty) {
            if all {
                complain!("No resources found");
            } else {
                complain!("No resources found in {namespace} namespace.");
            }
            return Ok(());
        }
        return Err(Failure::Text("metrics not available yet".into()));
    }
    let usage = |m: &Value| m["containers"].as_array().into_iter().flatten().map(|c| Use::of(&c["usage"])).fold(Use::default(), Use::plus);
    let mut rows: Vec<(&Value, Use)> = metrics.iter().map(|m| (m, usage(m))).collect();
    sort(call, &mut rows, |m| format!("{}/{}", api::meta::namespace(m), api::meta::name(m)));
    table(call, &rows);
    Ok(())
}

fn table(call: &Call, rows: &[(&Value, Use)]) {
    let flags = &call.flags;
    let (all, containers) = (flags.yes("all-namespaces"), flags.yes("containers"));
    let mut tabs = Tabs::table();
    if !flags.yes("no-headers") {
        tabs.push(&format!("{}{}CPU(cores)\tMEMORY(bytes)\n", if all { "NAMESPACE\t" } else { "" }, if containers { "POD\tNAME\t" } else { "NAME\t" }));
    }
    let mut sum = Use::default();
    for (metric, used) in rows {
        let place = if all { format!("{}\t", api::meta::namespace(metric)) } else { String::new() };
        let name = api::meta::name(metric);
        sum = sum.plus(*used);
        if !containers {
            tabs.push(&format!("{place}{name}\t{}\t{}\n", used.cpu_text(), used.memory_text()));
            continue;
        }
        for container in metric["containers"].as_array().into_iter().flatten() {
            let own = Use::of(&container["usage"]);
            tabs.push(&format!("{place}{name}\t{}\t{}\t{}\n", container["name"].as_str().unwrap_or_default(), own.cpu_text(), own.memory_text()));
        }
    }
    if flags.yes("sum") {
        let blanks = "\t".repeat(usize::from(all) + usize::from(containers) + 1);
        tabs.push(&format!("{blanks}________\t________\n{blanks}{}\t{}\n", sum.cpu_text(), sum.memory_text()));
    }
    out(&tabs.flush());
}
