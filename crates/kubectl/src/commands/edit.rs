//! `kubectl edit`: objects as text in the user's editor, and back.
// Upstream: kubectl pkg/cmd/util/editor (editor.go, editoptions.go).

use std::process::Command as Process;

use serde_json::Value;

use crate::call::{Call, out};
use crate::change::{Change, update_last_applied};
use crate::client::{MERGE_PATCH, STRATEGIC_PATCH};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, go_io};
use crate::flags::{Flag, text, yes_no};
use crate::print::{self, Printer};
use crate::select::{Info, Select};
use crate::{complain, global, openapi, run, say};

pub const FLAGS: &[Flag] = &[
    global::RECORD,
    yes_no("output-patch", "Show the patch that was sent."),
    text("subresource", "", "The subresource to edit: status, scale, resize."),
    yes_no("windows-line-endings", "Lines that end as Windows ends them."),
    global::SAVE_CONFIG,
    global::VALIDATE,
    global::field_manager("kubectl-edit"),
];

pub const COMMAND: Command = Command {
    name: "edit",
    usage: "(RESOURCE/NAME | -f FILENAME)",
    about: "Edit a resource on the server in the editor of KUBE_EDITOR, EDITOR or vi.\n\nThe object comes as YAML, with -o json as JSON. A text that is left as it was, or empty, changes nothing.",
    examples: "# A service\nkubectl edit svc/registry\n\n# With another editor\nKUBE_EDITOR=\"nano\" kubectl edit svc/registry",
    flags: &[FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

const HEAD: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";

async fn run(call: &Call) -> Outcome {
    let infos = Select::of(call)?.latest().by(call, call.args()).await?.all()?;
    if infos.is_empty() {
        return fail("edit cancelled, no objects found");
    }
    let json = call.flags.text("output") == "json";
    let shown: Vec<Value> = infos.iter().map(|i| if call.flags.yes("show-managed-fields") { i.object.clone() } else { print::without_managed_fields(&i.object).unwrap_or_else(|| i.object.clone()) }).collect();
    let whole = if shown.len() == 1 { shown[0].clone() } else { print::list(shown.clone()) };
    let body = if json { print::pretty(&whole) + "\n" } else { print::yaml(&whole) };
    let mut reasons = String::new();
    let mut before = format!("{HEAD}{body}");
    loop {
        let edited = in_editor(&before, if json { ".json" } else { ".yaml" })?;
        let stripped = strip(&edited);
        if edited == before && reasons.is_empty() || stripped == strip(&format!("{HEAD}{body}")) {
            complain!("Edit cancelled, no changes made.");
            return Ok(());
        }
        if stripped.trim().is_empty() {
            return fail("Edit cancelled, saved file was empty.");
        }
        if edited == before {
            let kept = keep(&edited)?;
            return Err(Failure::Said(format!("error: Edit cancelled, no valid changes were saved.\nA copy of your changes has been stored to {kept:?}")));
        }
        let result = match goyaml::from_yaml(&stripped) {
            Err(e) => Err(Failure::Text(format!("The edited file had a syntax error: error parsing edited-file: error converting YAML to JSON: {e}"))),
            Ok(value) => save(call, &infos, &shown, value).await,
        };
        let Err(failure) = result else { return Ok(()) };
        reasons = failure.shown().unwrap_or_default();
        complain!("{reasons}");
        let notes: String = reasons.lines().map(|l| format!("# {l}\n")).collect();
        before = format!("{HEAD}{notes}#\n{stripped}");
    }
}

fn strip(text: &str) -> String {
    text.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect()
}

fn keep(text: &str) -> Outcome<String> {
    let mut file = tempfile::Builder::new().prefix("kubectl-edit-").suffix(".yaml").tempfile()?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    let (_, path) = file.keep().map_err(|e| Failure::from(e.error))?;
    Ok(path.display().to_string())
}

async fn save(call: &Call, infos: &[Info], shown: &[Value], edited: Value) -> Outcome {
    let objects = match edited["items"].as_array() {
        Some(items) if infos.len() > 1 => items.clone(),
        _ => vec![edited],
    };
    for mut object in objects {
        let same = |info: &&Info| info.name == api::meta::name(&object) && info.resource.kind == object["kind"].as_str().unwrap_or_default();
        let Some(info) = infos.iter().find(same) else {
            return fail("At least one of apiVersion, kind and name was changed");
        };
        let at = infos.iter().position(|i| std::ptr::eq(i, info)).unwrap_or(0);
        if object == shown[at] {
            say!("{} skipped", info.resource.slashed(&info.name));
            continue;
        }
        update_last_applied(&mut object, call.flags.yes("save-config"));
        let patched = send(call, info, &shown[at], &object).await?;
        out(&Printer::of_change(call, "edited")?.print(&patched)?);
    }
    Ok(())
}

async fn send(call: &Call, info: &Info, before: &Value, after: &Value) -> Outcome<Value> {
    let text = |e: patch::DiffError| Failure::Text(e.to_string());
    let document = openapi::document(call, &info.resource.api_version()).await?;
    let strategic = document.as_ref().filter(|d| openapi::merges(d, &info.resource)).and_then(|d| Some((d, openapi::schema_of(d, &info.resource)?)));
    let (kind, patch) = match strategic {
        Some((document, schema)) => (STRATEGIC_PATCH, patch::diff_strategic(before, after, openapi::Place { document, schema: Some(schema) }).map_err(text)?),
        None => (MERGE_PATCH, patch::diff_merge(before, after).map_err(text)?),
    };
    if call.flags.yes("output-patch") {
        say!("Patch: {}", print::compact(&patch));
    }
    Change::of(call)?.patch_checked(call, info, kind, &patch).await
}

/// Opens the text in the user's editor and gives what was saved.
pub fn in_editor(text: &str, suffix: &str) -> Outcome<String> {
    let editor = ["KUBE_EDITOR", "EDITOR"].iter().filter_map(|v| std::env::var(v).ok()).find(|e| !e.trim().is_empty()).unwrap_or_else(|| "vi".into());
    let mut file = tempfile::Builder::new().prefix("kubectl-edit-").suffix(suffix).tempfile()?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    let path = file.path().to_owned();
    // Editors come with arguments and quotes: the shell knows how to read them.
    let status = Process::new("sh").arg("-c").arg(format!("{editor} \"$0\"")).arg(&path).status();
    match status {
        Err(e) => fail(format!("unable to launch the editor {editor:?}: {}", go_io(&e))),
        Ok(status) if !status.success() => fail(format!("there was a problem with the editor {editor:?}")),
        Ok(_) => std::fs::read_to_string(&path).map_err(Failure::from),
    }
}
