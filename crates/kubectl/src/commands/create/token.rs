//! `create token`: a token of a service account.
// Upstream: kubectl pkg/cmd/create/create_token.go.

use serde_json::json;

use super::name;
use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{array, duration, text};
use crate::print::{BASIC, Printer};
use crate::{global, run};

pub const TOKEN: Command = Command {
    name: "token",
    usage: "SERVICE_ACCOUNT_NAME",
    about: "Ask for a token of a service account.",
    examples: "kubectl create token myapp --duration 10m",
    flags: &[
        &[
            array("audience", "Who the token is for; may be given several times."),
            duration("duration", "0s", "How long it shall be good."),
            text("bound-object-kind", "", "The kind of an object that the token lives with: Pod, Secret, Node."),
            text("bound-object-name", "", "The object's name."),
            text("bound-object-uid", "", "The object's uid."),
        ],
        global::PRINT,
    ],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let (flags, name) = (&call.flags, name(call)?);
    let seconds = flags.seconds("duration");
    if seconds < 0.0 {
        return fail("--duration must be greater than or equal to 0");
    }
    if seconds % 1.0 != 0.0 {
        return fail("--duration cannot be expressed in units less than seconds");
    }
    let (kind, object, uid) = (flags.text("bound-object-kind"), flags.text("bound-object-name"), flags.text("bound-object-uid"));
    let mut spec = json!({"audiences": flags.list("audience")});
    if flags.list("audience").is_empty() {
        spec = json!({});
    }
    if seconds > 0.0 {
        spec["expirationSeconds"] = (seconds as i64).into();
    }
    if kind.is_empty() {
        if !object.is_empty() {
            return fail("--bound-object-name can only be set if --bound-object-kind is provided");
        }
        if !uid.is_empty() {
            return fail("--bound-object-uid can only be set if --bound-object-kind is provided");
        }
    } else {
        if !["Pod", "Secret", "Node"].contains(&kind) {
            return fail("supported --bound-object-kind values are Node, Pod, Secret");
        }
        if object.is_empty() {
            return fail("--bound-object-name is required if --bound-object-kind is provided");
        }
        spec["boundObjectRef"] = json!({"kind": kind, "apiVersion": "v1", "name": object, "uid": uid});
    }
    let namespace = call.namespace()?.name;
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
    let answer = call.api().await?.post(&path, &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec})).await;
    let made = answer.map_err(|e| Failure::Text(format!("failed to create token: {}", e.message())))?;
    let token = made["status"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Failure::Text("failed to create token: no token in server response".into()));
    }
    match Printer::of_flags(call, BASIC)?.map(Printer::typed) {
        Some(mut printer) => out(&printer.print(&made)?),
        None => crate::say!("{token}"),
    }
    Ok(())
}
