//! `kubectl apply view-last-applied`, `edit-last-applied`, `set-last-applied`.
// Upstream: kubectl pkg/cmd/apply/apply_view_last_applied.go, apply_set_last_applied.go.

use serde_json::{Value, json};

use super::last_applied;
use crate::call::{Call, out};
use crate::change::{self, Change, LAST_APPLIED};
use crate::client::MERGE_PATCH;
use crate::command::{Command, EMPTY};
use crate::commands::edit;
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, text, yes_no};
use crate::print::{self, DryRun, Printer};
use crate::select::{Info, Select};
use crate::{global, run, say};

const VIEW_FLAGS: &[Flag] = &[text("output", "yaml", "yaml or json.").short('o'), yes_no("all", "All objects of the type, in the namespace."), global::SELECTOR];

pub const VIEW: Command = Command {
    name: "view-last-applied",
    usage: "(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)",
    about: "Show what was applied to resources last.",
    flags: &[VIEW_FLAGS, global::FILES],
    run: run!(view),
    ..EMPTY
};

pub const SET: Command = Command {
    name: "set-last-applied",
    usage: "-f FILENAME",
    about: "Make what a file says the resources' last applied configuration, changing nothing else.",
    flags: &[&[yes_no("create-annotation", "Add the annotation where there is none."), global::DRY_RUN], global::PRINT, global::FILES],
    run: run!(set),
    ..EMPTY
};

pub const EDIT: Command = Command {
    name: "edit-last-applied",
    usage: "(RESOURCE/NAME | -f FILENAME)",
    about: "Edit the resources' last applied configuration.",
    flags: &[edit::FLAGS, global::PRINT, global::FILES],
    run: run!(edit_one),
    ..EMPTY
};

async fn view(call: &Call) -> Outcome {
    let output = call.flags.text("output");
    if output != "yaml" && output != "json" {
        return Err(call.usage(&format!("Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json")));
    }
    let mut select = Select::of(call)?.latest();
    select.empty_selects = call.flags.yes("all");
    select.all = false;
    let infos = select.by(call, call.args()).await?.all()?;
    let mut configurations = Vec::new();
    for info in &infos {
        match last_applied(&info.object) {
            Some(configuration) => configurations.push(configuration),
            None => return fail(format!("no last-applied-configuration annotation found on resource: {}", info.name)),
        }
    }
    for configuration in &configurations {
        out(&if output == "yaml" { print::yaml(configuration) } else { print::pretty_two(configuration) });
    }
    Ok(())
}

async fn set(call: &Call) -> Outcome {
    FileFlags::of(call).require()?;
    let change = Change::of(call)?;
    let mut printer = Printer::of_change(call, "configured")?;
    for item in Select::of(call)?.by(call, &[]).await?.items {
        let info = item?;
        let configuration = change::configuration(&info.object, false);
        let current = match call.api().await?.get(&info.path()).await {
            Ok(current) => current,
            Err(e) if e.is_not_found() => return Err(e),
            Err(e) => return Err(change::with_source(e, "retrieving current configuration of:\n%s\nfrom server for:", &info.source)),
        };
        if api::meta::annotation(&current, LAST_APPLIED).is_none() && !call.flags.yes("create-annotation") {
            return fail(format!("no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation", info.name));
        }
        let object = if change.dry == DryRun::Client { current } else { send(call, &change, &info, &configuration).await? };
        out(&printer.print(&object)?);
    }
    Ok(())
}

async fn send(call: &Call, change: &Change, info: &Info, configuration: &str) -> Outcome<Value> {
    change.patch(call, info, MERGE_PATCH, &json!({"metadata": {"annotations": {LAST_APPLIED: configuration}}})).await
}

async fn edit_one(call: &Call) -> Outcome {
    let infos = Select::of(call)?.latest().by(call, call.args()).await?.all()?;
    let change = Change::of(call)?;
    for info in infos {
        let Some(before) = last_applied(&info.object) else { return fail(format!("no last-applied-configuration annotation found on resource: {}", info.name)) };
        let text = print::yaml(&before);
        let edited = edit::in_editor(&text, ".yaml")?;
        if edited == text {
            say!("Edit cancelled, no changes made.");
            continue;
        }
        let value = goyaml::from_yaml(&edited).map_err(|e| Failure::Text(format!("The edited file had a syntax error: {e}")))?;
        let object = send(call, &change, &info, &(print::compact(&value) + "\n")).await?;
        let mut printer = Printer::of_change(call, "edited")?;
        out(&printer.print(&object)?);
    }
    Ok(())
}
