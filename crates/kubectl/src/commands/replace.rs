//! `kubectl replace`: objects from files over those on the server.
// Upstream: kubectl pkg/cmd/replace/replace.go.

use crate::call::{Call, out};
use crate::change::{Change, update_last_applied, with_source};
use crate::client::{JSON, request};
use crate::command::{Command, EMPTY};
use crate::commands::delete::{self, Deletion};
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, text};
use crate::print::{DryRun, Printer};
use crate::select::{Info, Select};
use crate::{global, run};

const FLAGS: &[Flag] = &[
    text("raw", "", "A path to PUT to as it is."),
    text("subresource", "", "The subresource to replace: status, scale, resize."),
    global::SAVE_CONFIG,
    global::VALIDATE,
    global::DRY_RUN,
    global::field_manager("kubectl-replace"),
];

pub const COMMAND: Command = Command {
    name: "replace",
    usage: "-f FILENAME",
    about: "Replace resources by what files describe, whole.",
    examples: "# From a file\nkubectl replace -f ./pod.json\n\n# Delete and create anew\nkubectl replace --force -f ./pod.json",
    flags: &[FLAGS, delete::FLAGS, global::PRINT, global::FILES],
    run: run!(run),
    ..EMPTY
};

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let change = Change::of(call)?;
    let files = FileFlags::of(call);
    files.require()?;
    if flags.int("grace-period") >= 0 && !flags.yes("force") {
        return fail("--grace-period must have --force specified");
    }
    if flags.seconds("timeout") != 0.0 && !flags.yes("force") {
        return fail("--timeout must have --force specified");
    }
    if !flags.text("raw").is_empty() {
        return raw(call, &files).await;
    }
    let selected = Select::of(call)?.by(call, call.args()).await?;
    let mut printer = Printer::of_change(call, "replaced")?;
    let items = selected.items;
    if flags.yes("force") {
        let infos = items.into_iter().collect::<Outcome<Vec<Info>>>()?;
        let mut deletion = Deletion::of(call)?;
        deletion.ignore_not_found = true;
        let gone = deletion.delete(call, infos.iter().cloned().map(Ok).collect(), false).await?;
        deletion.timeout = if deletion.timeout == 0.0 { 300.0 } else { deletion.timeout };
        deletion.wait(call, &gone).await?;
        for mut info in infos {
            update_last_applied(&mut info.object, flags.yes("save-config"));
            let made = change.create(call, &info).await?;
            out(&printer.print(&made)?);
        }
        return Ok(());
    }
    let mut faults = Vec::new();
    for item in items {
        let result = async {
            let mut info = item?;
            update_last_applied(&mut info.object, flags.yes("save-config"));
            let object = if change.dry == DryRun::Client { info.object.clone() } else { change.replace(call, &info).await.map_err(|e| with_source(e, "replacing", &info.source))? };
            out(&printer.print(&object)?);
            Ok(())
        };
        if let Err(e) = result.await {
            faults.push(e);
        }
    }
    Failure::many(faults)
}

/// The one file that `--raw` sends.
pub fn raw_body(call: &Call, files: &FileFlags) -> Outcome<Vec<u8>> {
    if files.names.len() != 1 {
        return Err(call.usage("--raw can only use a single local file or stdin"));
    }
    if files.names[0].starts_with("http://") || files.names[0].starts_with("https://") {
        return Err(call.usage("--raw cannot read from a url"));
    }
    if files.recursive {
        return Err(call.usage("--raw and --recursive are mutually exclusive"));
    }
    if !call.flags.text("output").is_empty() {
        return Err(call.usage("--raw and --output are mutually exclusive"));
    }
    if files.names[0] == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(&files.names[0]).map_err(|e| Failure::Text(crate::failure::path_error("open", &files.names[0], &e)))
}

async fn raw(call: &Call, files: &FileFlags) -> Outcome {
    let body = raw_body(call, files)?;
    let answer = call.api().await?.bytes(request(http::Method::PUT, call.flags.text("raw"), JSON, Some((JSON, body)))).await?;
    crate::call::out_bytes(&answer);
    Ok(())
}
