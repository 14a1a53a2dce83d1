//! `rollout status`: watches until the rollout is done.
// Upstream: kubectl pkg/polymorphichelpers/rollout_status.go (the sentences).

use serde_json::Value;

use super::{group_kind, infos};
use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::failure::{Outcome, fail};
use crate::flags::{Flag, duration, int, yes_no};
use crate::select::Info;
use crate::{commands::wait, global, run};

const FLAGS: &[Flag] = &[
    yes_no("watch", "Watch until it is done.").short('w').default("true"),
    int("revision", "0", "Wait for this revision only."),
    duration("timeout", "0s", "How long to watch; zero is as long as it takes."),
    global::SELECTOR,
];

pub const COMMAND: Command = Command { name: "status", usage: "(TYPE NAME | TYPE/NAME) [flags]", about: "Show how a rollout goes.", examples: "kubectl rollout status deployment/nginx", flags: &[FLAGS, global::FILES], run: run!(run), ..EMPTY };

async fn run(call: &Call) -> Outcome {
    let revision = call.flags.int("revision");
    if revision < 0 {
        return fail(format!("revision must be a positive integer: {revision}"));
    }
    let mut some = false;
    for item in infos(call).await? {
        let info = item?;
        some = true;
        if !["Deployment", "DaemonSet", "StatefulSet"].contains(&info.resource.kind.as_str()) {
            return fail(format!("no status viewer has been implemented for {}", group_kind(&info)));
        }
        one(call, &info, revision).await?;
    }
    if !some {
        crate::complain!("No resources found in {} namespace.", call.namespace()?.name);
    }
    Ok(())
}

async fn one(call: &Call, info: &Info, revision: i64) -> Outcome {
    if !call.flags.yes("watch") {
        let (text, _) = status(&info.object, revision)?;
        out(&text);
        return Ok(());
    }
    let mut said = String::new();
    let following = wait::follow(call, info, |object| {
        let Some(object) = object else { return fail("object has been deleted") };
        let (text, done) = status(object, revision)?;
        if text != said {
            out(&text);
            said = text;
        }
        Ok(done)
    });
    let limit = call.flags.seconds("timeout");
    if limit <= 0.0 {
        return following.await.map(drop);
    }
    match tokio::time::timeout(call.flags.duration("timeout"), following).await {
        Ok(result) => result.map(drop),
        Err(_) => fail("timed out waiting for the condition"),
    }
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// What there is to say, and whether it is done.
fn status(object: &Value, revision: i64) -> Outcome<(String, bool)> {
    match object["kind"].as_str() {
        Some("Deployment") => deployment(object, revision),
        Some("DaemonSet") => daemon_set(object),
        _ => stateful_set(object),
    }
}

fn deployment(object: &Value, revision: i64) -> Outcome<(String, bool)> {
    let (name, spec, status) = (api::meta::name(object), &object["spec"], &object["status"]);
    if revision > 0 {
        let now: i64 = api::meta::annotation(object, "deployment.kubernetes.io/revision").and_then(|r| r.parse().ok()).unwrap_or(0);
        if now != revision {
            return fail(format!("desired revision ({revision}) is different from the running revision ({now})"));
        }
    }
    if api::meta::generation(object) > number(&status["observedGeneration"]) {
        return Ok(("Waiting for deployment spec update to be observed...\n".into(), false));
    }
    let late = status["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded"));
    if late {
        return fail(format!("deployment {name:?} exceeded its progress deadline"));
    }
    let (wanted, all, updated, available) = (number(&spec["replicas"]), number(&status["replicas"]), number(&status["updatedReplicas"]), number(&status["availableReplicas"]));
    Ok(if updated < wanted {
        (format!("Waiting for deployment {name:?} rollout to finish: {updated} out of {wanted} new replicas have been updated...\n"), false)
    } else if all > updated {
        (format!("Waiting for deployment {name:?} rollout to finish: {} old replicas are pending termination...\n", all - updated), false)
    } else if available < updated {
        (format!("Waiting for deployment {name:?} rollout to finish: {available} of {updated} updated replicas are available...\n"), false)
    } else {
        (format!("deployment {name:?} successfully rolled out\n"), true)
    })
}

fn daemon_set(object: &Value) -> Outcome<(String, bool)> {
    let (name, status) = (api::meta::name(object), &object["status"]);
    if object["spec"]["updateStrategy"]["type"] != "RollingUpdate" {
        return fail("rollout status is only available for RollingUpdate strategy type");
    }
    if api::meta::generation(object) > number(&status["observedGeneration"]) {
        return Ok(("Waiting for daemon set spec update to be observed...\n".into(), false));
    }
    let (wanted, updated, available) = (number(&status["desiredNumberScheduled"]), number(&status["updatedNumberScheduled"]), number(&status["numberAvailable"]));
    Ok(if updated < wanted {
        (format!("Waiting for daemon set {name:?} rollout to finish: {updated} out of {wanted} new pods have been updated...\n"), false)
    } else if available < wanted {
        (format!("Waiting for daemon set {name:?} rollout to finish: {available} of {wanted} updated pods are available...\n"), false)
    } else {
        (format!("daemon set {name:?} successfully rolled out\n"), true)
    })
}

fn stateful_set(object: &Value) -> Outcome<(String, bool)> {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["updateStrategy"]["type"] != "RollingUpdate" {
        return fail("rollout status is only available for RollingUpdate strategy type");
    }
    let observed = number(&status["observedGeneration"]);
    if observed == 0 || api::meta::generation(object) > observed {
        return Ok(("Waiting for statefulset spec update to be observed...\n".into(), false));
    }
    let (wanted, ready, updated) = (number(&spec["replicas"]), number(&status["readyReplicas"]), number(&status["updatedReplicas"]));
    if ready < wanted {
        return Ok((format!("Waiting for {} pods to be ready...\n", wanted - ready), false));
    }
    let partition = number(&spec["updateStrategy"]["rollingUpdate"]["partition"]);
    if spec["updateStrategy"]["rollingUpdate"].is_object() && partition > 0 {
        return Ok(if updated < wanted - partition {
            (format!("Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...\n", wanted - partition), false)
        } else {
            (format!("partitioned roll out complete: {updated} new pods have been updated...\n"), true)
        });
    }
    let revision = status["updateRevision"].as_str().unwrap_or_default();
    if status["updateRevision"] != status["currentRevision"] {
        return Ok((format!("waiting for statefulset rolling update to complete {updated} pods at revision {revision}...\n"), false));
    }
    Ok((format!("statefulset rolling update complete {} pods at revision {}...\n", number(&status["currentReplicas"]), status["currentRevision"].as_str().unwrap_or_default()), true))
}
