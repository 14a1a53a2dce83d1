//! `kubectl certificate approve` and `deny`.
// Upstream: kubectl pkg/cmd/certificates/certificates.go.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, yes_no};
use crate::print::Printer;
use crate::select::{Info, Select};
use crate::{global, run, say};

const FLAGS: &[Flag] = &[yes_no("force", "Say it again where it was said already.")];

pub const COMMAND: Command = Command {
    name: "certificate",
    usage: "SUBCOMMAND",
    about: "Decide on requests for certificates.",
    subs: &[
        &Command { name: "approve", usage: "(-f FILENAME | NAME)", about: "Approve requests: their signer may sign them.", flags: &[FLAGS, global::PRINT, global::FILES], run: run!(approve), ..EMPTY },
        &Command { name: "deny", usage: "(-f FILENAME | NAME)", about: "Deny requests.", flags: &[FLAGS, global::PRINT, global::FILES], run: run!(deny), ..EMPTY },
    ],
    run: run!(help),
    ..EMPTY
};

async fn help(_call: &Call) -> Outcome {
    out(&crate::command::find(&crate::commands::ROOT, &["certificate".to_owned()])?.help());
    Ok(())
}

async fn approve(call: &Call) -> Outcome {
    decide(call, "Approved", "approved", "KubectlApprove", "This CSR was approved by kubectl certificate approve.").await
}

async fn deny(call: &Call) -> Outcome {
    decide(call, "Denied", "denied", "KubectlDeny", "This CSR was denied by kubectl certificate deny.").await
}

async fn decide(call: &Call, kind: &str, done: &str, reason: &str, message: &str) -> Outcome {
    if call.args().is_empty() && FileFlags::of(call).is_empty() {
        return fail("one or more CSRs must be specified as <name> or -f <filename>");
    }
    let words: Vec<String> = call.args().iter().map(|n| format!("certificatesigningrequests/{n}")).collect();
    let items = Select::of(call)?.latest().by(call, &words).await?.items;
    let mut printer = Printer::of_change(call, done)?.typed();
    let (mut some, mut faults) = (false, Vec::new());
    for item in items {
        some = true;
        let info = match item {
            Ok(info) => info,
            Err(e) => {
                faults.push(e);
                continue;
            }
        };
        if info.resource.kind != "CertificateSigningRequest" {
            return fail(format!("can only handle certificates.k8s.io/v1, Kind=CertificateSigningRequest objects, got {}", info.resource.kind));
        }
        let object = one(call, info, kind, reason, message).await?;
        out(&printer.print(&object)?);
    }
    if !some {
        say!("No resources found");
    }
    Failure::many(faults)
}

async fn one(call: &Call, mut info: Info, kind: &str, reason: &str, message: &str) -> Outcome<Value> {
    let mut tries = 0;
    loop {
        let conditions = info.object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let other = if kind == "Approved" { "Denied" } else { "Approved" };
        if conditions.iter().any(|c| c["type"] == other) {
            return fail(format!("certificate signing request {:?} is already {other}", info.name));
        }
        if conditions.iter().any(|c| c["type"] == kind) && !call.flags.yes("force") {
            return Ok(info.object);
        }
        let mut all: Vec<Value> = conditions.into_iter().filter(|c| c["type"] != kind).collect();
        let now = crate::time::rfc3339_now();
        all.push(json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now}));
        let mut object = info.object.clone();
        object["status"]["conditions"] = json!(all);
        match call.api().await?.put(&format!("{}/approval", info.path()), &object).await {
            Err(e) if e.is_conflict() && tries < 10 => {
                tries += 1;
                info.fetch(call).await?;
            }
            other => return other,
        }
    }
}
