//! `kubectl logs`.
// Upstream: kubectl pkg/cmd/logs/logs.go, pkg/polymorphichelpers/logsforobject.go.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use crate::call::{Call, out_bytes};
use crate::client::{JSON, request, with_query};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, int, text, yes_no};
use crate::select::Info;
use crate::watch::{self, Lines};
use crate::{complain, global, pods, run, say, workload};

const FLAGS: &[Flag] = &[
    yes_no("all-containers", "Of all containers of the pods."),
    yes_no("all-pods", "Of all pods of the object; says which with each line."),
    yes_no("follow", "Go on with what comes.").short('f'),
    yes_no("timestamps", "With the time of each line."),
    int("limit-bytes", "0", "At most so many bytes."),
    yes_no("previous", "Of the container's run before this one.").short('p'),
    int("tail", "-1", "Only so many lines from the end; with a selector 10 unless said."),
    text("since-time", "", "Only after this time (RFC 3339)."),
    duration("since", "0s", "Only of the last 5s, 2m, 3h."),
    text("container", "", "The container.").short('c'),
    yes_no("insecure-skip-tls-verify-backend", "Let the API server skip the check of the kubelet's certificate."),
    yes_no("ignore-errors", "Go on with the others when one fails."),
    yes_no("prefix", "Say with each line where it is from."),
    int("max-log-requests", "5", "How many logs to follow at once, with a selector."),
    duration("pod-running-timeout", "20s", "How long to wait for a pod."),
    global::SELECTOR,
];

pub const COMMAND: Command = Command {
    name: "logs",
    aliases: &["log"],
    usage: "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
    about: "Show what a container of a pod or another object says.",
    examples: "kubectl logs nginx\n\n# As it comes\nkubectl logs -f -c ruby web-1\n\n# Of all containers of pods with a label\nkubectl logs -l app=nginx --all-containers",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

const USAGE: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command";

/// One container's log.
struct Source {
    namespace: String,
    pod: String,
    container: String,
}

fn check(call: &Call) -> Outcome {
    let flags = &call.flags;
    let selector = flags.text("selector");
    if call.args().is_empty() && selector.is_empty() {
        return Err(call.usage(USAGE));
    }
    if call.args().len() == 1 && !selector.is_empty() {
        return Err(call.usage("only a selector (-l) or a POD name is allowed"));
    }
    if call.args().len() > 2 {
        return Err(call.usage(USAGE));
    }
    Ok(())
}

/// What is looked at once the pods are known, as upstream does.
fn check_range(call: &Call) -> Outcome {
    let flags = &call.flags;
    if flags.given("tail") && flags.int("tail") < -1 {
        return fail("--tail must be greater than or equal to -1");
    }
    if flags.given("limit-bytes") && flags.int("limit-bytes") < 1 {
        return fail("--limit-bytes must be greater than 0");
    }
    if flags.seconds("since") < 0.0 {
        return fail("--since must be greater than 0");
    }
    if !flags.text("since-time").is_empty() && flags.seconds("since") != 0.0 {
        return fail("at most one of `sinceTime` or `sinceSeconds` may be specified");
    }
    if flags.yes("all-containers") && !flags.text("container").is_empty() {
        return fail("--all-containers=true should not be specified with container name");
    }
    if !flags.text("since-time").is_empty() && crate::time::parse(flags.text("since-time")).is_none() {
        return fail(format!("parsing time {0:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {0:?} as \"2006\"", flags.text("since-time")));
    }
    Ok(())
}

async fn run(call: &Call) -> Outcome {
    check(call)?;
    pods::running_timeout(call)?;
    let flags = &call.flags;
    let sources = sources(call).await?;
    check_range(call)?;
    if flags.yes("follow") && sources.len() > 1 {
        let max = flags.int("max-log-requests");
        if sources.len() as i64 > max {
            return fail(format!("you are attempting to follow {} log streams, but maximum allowed concurrency is {max}, use --max-log-requests to increase the limit", sources.len()));
        }
        // The first fault ends all.
        futures::future::try_join_all(sources.iter().map(|s| forgiven(call, s))).await?;
        return Ok(());
    }
    for source in &sources {
        forgiven(call, source).await?;
    }
    Ok(())
}

/// One stream; with `--ignore-errors` its fault is told and forgotten.
async fn forgiven(call: &Call, source: &Source) -> Outcome {
    let flags = &call.flags;
    match (flags.yes("follow"), flags.yes("ignore-errors")) {
        (true, false) => followed(call, source).await,
        (_, true) => {
            if let Err(e) = stream(call, source).await {
                say!("error: {}", e.message());
            }
            Ok(())
        }
        (false, false) => stream(call, source).await,
    }
}

/// A stream that is followed is asked for each second until it is there, whatever the fault, for as long as pods are waited for.
async fn followed(call: &Call, source: &Source) -> Outcome {
    const PAUSE: Duration = Duration::from_secs(1);
    let mut next = Instant::now();
    let end = next + pods::running_timeout(call)?;
    while next <= end {
        tokio::time::sleep_until(next).await;
        match stream(call, source).await {
            Ok(()) => return Ok(()),
            Err(e) => complain!("{}", e.message()),
        }
        next = Instant::now().max(next + PAUSE);
    }
    tokio::time::sleep_until(end).await;
    fail("context deadline exceeded")
}

async fn sources(call: &Call) -> Outcome<Vec<Source>> {
    let flags = &call.flags;
    let namespace = call.namespace()?.name;
    if !flags.text("selector").is_empty() {
        let path = with_query(&format!("/api/v1/namespaces/{namespace}/pods"), &[("labelSelector", flags.text("selector"))]);
        let list = call.api().await?.get(&path).await?;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        if pods.is_empty() {
            complain!("No resources found in {namespace} namespace.");
        }
        return all_of(call, &pods);
    }
    let container = call.args().get(1).filter(|_| !call.args()[0].contains('/')).cloned();
    let info = pods::named(call, &call.args()[0]).await.map_err(|e| if e.is_not_found() { Failure::Text(format!("error from server (NotFound): {} in namespace {namespace:?}", e.message())) } else { e })?;
    if info.resource.kind == "Pod" {
        return of_pod(call, &info.object, container.as_deref());
    }
    if flags.yes("all-pods") {
        return all_of(call, &selected(call, &info).await?);
    }
    let mut found = selected(call, &info).await?;
    if found.is_empty() {
        found = vec![pods::of_object(call, &info, pods::running_timeout(call)?).await?];
    }
    found.sort_by_key(pods::rank);
    if found.len() > 1 {
        complain!("Found {} pods, using pod/{}", found.len(), api::meta::name(&found[0]));
    }
    of_pod(call, &found[0], None)
}

async fn selected(call: &Call, info: &Info) -> Outcome<Vec<Value>> {
    let Ok(selector) = workload::selector_text(&info.object) else {
        let r = &info.resource;
        return fail(format!("cannot get the logs from *{0}.{1}: selector for *{0}.{1} not implemented", r.version, r.kind));
    };
    let path = with_query(&format!("/api/v1/namespaces/{}/pods", info.namespace), &[("labelSelector", &selector)]);
    Ok(call.api().await?.get(&path).await?["items"].as_array().cloned().unwrap_or_default())
}

fn all_of(call: &Call, pods: &[Value]) -> Outcome<Vec<Source>> {
    let mut out = Vec::new();
    for pod in pods {
        out.extend(of_pod(call, pod, None)?);
    }
    Ok(out)
}

fn of_pod(call: &Call, pod: &Value, container: Option<&str>) -> Outcome<Vec<Source>> {
    let flags = &call.flags;
    let source = |container: &str| Source { namespace: api::meta::namespace(pod).to_owned(), pod: api::meta::name(pod).to_owned(), container: container.to_owned() };
    if flags.yes("all-containers") {
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        return Ok(lists.iter().flat_map(|l| pod["spec"][*l].as_array().into_iter().flatten()).map(|c| source(c["name"].as_str().unwrap_or_default())).collect());
    }
    let asked = container.unwrap_or(flags.text("container"));
    Ok(vec![source(&pods::container(pod, asked, false)?)])
}

fn path(call: &Call, source: &Source) -> String {
    let flags = &call.flags;
    let mut pairs: Vec<(&str, String)> = vec![("container", source.container.clone())];
    for (flag, parameter) in [("follow", "follow"), ("previous", "previous"), ("timestamps", "timestamps"), ("insecure-skip-tls-verify-backend", "insecureSkipTLSVerifyBackend")] {
        if flags.yes(flag) {
            pairs.push((parameter, "true".into()));
        }
    }
    if flags.seconds("since") > 0.0 {
        pairs.push(("sinceSeconds", (flags.seconds("since").round() as i64).to_string()));
    }
    if !flags.text("since-time").is_empty() {
        pairs.push(("sinceTime", flags.text("since-time").to_owned()));
    }
    let tail = if !flags.text("selector").is_empty() && !flags.given("tail") { 10 } else { flags.int("tail") };
    if tail >= 0 {
        pairs.push(("tailLines", tail.to_string()));
    }
    if flags.int("limit-bytes") > 0 {
        pairs.push(("limitBytes", flags.int("limit-bytes").to_string()));
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (*k, v.as_str())).collect();
    with_query(&format!("/api/v1/namespaces/{}/pods/{}/log", source.namespace, source.pod), &pairs)
}

async fn stream(call: &Call, source: &Source) -> Outcome {
    let response = call.api().await?.send(request(Method::GET, &path(call, source), JSON, None)).await?;
    if !call.flags.yes("prefix") && !call.flags.yes("all-pods") {
        return watch::copy(response, out_bytes).await;
    }
    let prefix = format!("[pod/{}/{}] ", source.pod, source.container);
    let mut lines = Lines::of(response);
    while let Some(line) = lines.next_line().await? {
        let mut shown = prefix.clone().into_bytes();
        shown.extend_from_slice(&line);
        out_bytes(&shown);
    }
    Ok(())
}
