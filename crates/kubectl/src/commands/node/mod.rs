//! `kubectl cordon`, `uncordon`, `drain`, `taint`.
// Upstream: kubectl pkg/cmd/drain, pkg/drain, pkg/cmd/taint.

mod drain;
mod taint;

use serde_json::json;

use crate::call::{Call, out};
use crate::change::Change;
use crate::client::STRATEGIC_PATCH;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::print::{DryRun, Printer};
use crate::select::{Info, Select};
use crate::{complain, global, run};

pub use drain::COMMAND as DRAIN;
pub use taint::COMMAND as TAINT;

pub const CORDON: Command = Command { name: "cordon", usage: "NODE", about: "Mark a node as unschedulable.", examples: "kubectl cordon foo", flags: &[&[global::SELECTOR, global::DRY_RUN]], run: run!(cordon), ..EMPTY };
pub const UNCORDON: Command = Command { name: "uncordon", usage: "NODE", about: "Mark a node as schedulable.", examples: "kubectl uncordon foo", flags: &[&[global::SELECTOR, global::DRY_RUN]], run: run!(uncordon), ..EMPTY };

/// The nodes that a command line names.
pub async fn nodes(call: &Call, usage: &str) -> Outcome<Vec<Info>> {
    let selector = call.flags.text("selector");
    if call.args().is_empty() && selector.is_empty() {
        return Err(call.usage(&format!("USAGE: {usage} [flags]")));
    }
    if !call.args().is_empty() && !selector.is_empty() {
        return Err(call.usage("error: cannot specify both a node name and a --selector option"));
    }
    let mut select = Select::of(call)?.latest();
    select.files = Default::default();
    let mut words = vec!["nodes".to_owned()];
    if selector.is_empty() {
        words = call.args().iter().map(|name| if name.contains('/') { name.clone() } else { format!("nodes/{name}") }).collect();
    }
    let infos = select.by(call, &words).await?.all()?;
    if let Some(other) = infos.iter().find(|i| i.resource.kind != "Node") {
        return fail(format!("error: expected resource of type node, got {:?}", other.resource.go_text()));
    }
    Ok(infos)
}

/// Marks the nodes; says what was done, or that it was so already.
pub async fn mark(call: &Call, nodes: &[Info], unschedulable: bool) -> Outcome {
    let change = Change::of(call)?;
    let done = if unschedulable { "cordoned" } else { "uncordoned" };
    for info in nodes {
        if (info.object["spec"]["unschedulable"] == true) == unschedulable {
            out(&Printer::of_change(call, &format!("already {done}"))?.typed().print(&info.object)?);
            continue;
        }
        if change.dry != DryRun::Client {
            let wanted = if unschedulable { json!(true) } else { json!(null) };
            if let Err(e) = change.patch(call, info, STRATEGIC_PATCH, &json!({"spec": {"unschedulable": wanted}})).await {
                complain!("error: unable to {} node {:?}: {}", done.trim_end_matches("ed"), info.name, e.message());
                return Err(Failure::Exit(1));
            }
        }
        out(&Printer::of_change(call, done)?.typed().print(&info.object)?);
    }
    Ok(())
}

async fn cordon(call: &Call) -> Outcome {
    let nodes = nodes(call, "cordon NODE").await?;
    mark(call, &nodes, true).await
}

async fn uncordon(call: &Call) -> Outcome {
    let nodes = nodes(call, "uncordon NODE").await?;
    mark(call, &nodes, false).await
}
