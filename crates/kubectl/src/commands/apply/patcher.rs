//! The patch of one object: three ways, with merge facts of the server's OpenAPI for types that have them.

use serde_json::{Value, json};

use super::{Apply, described, empty, last_applied};
use crate::call::Call;
use crate::change::with_source;
use crate::client::{MERGE_PATCH, STRATEGIC_PATCH};
use crate::commands::delete::{self, Deletion};
use crate::commands::patch::local_patch;
use crate::failure::{Failure, Outcome};
use crate::openapi;
use crate::print::DryRun;
use crate::select::Info;

const RETRIES: usize = 5;

/// Patches; says whether there was nothing to change.
pub async fn patch(call: &Call, apply: &Apply, info: &Info, mut current: Value, modified: &Value) -> Outcome<(bool, Value)> {
    let mut tries = 0;
    loop {
        let (kind, patch) = make(call, info, &current, modified).await?;
        if patch.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok((true, current));
        }
        if apply.change.dry == DryRun::Client {
            return Ok((false, local_patch(info, &current, kind, &patch)?));
        }
        match apply.change.patch_checked(call, info, kind, &patch).await {
            Ok(object) => return Ok((false, object)),
            Err(e) if e.is_conflict() && tries < RETRIES => {
                tries += 1;
                current = call.api().await?.get(&info.path()).await?;
            }
            Err(e) if call.flags.yes("force") && (e.is_conflict() || e.reason() == "Invalid") => return Ok((false, anew(call, apply, info, &current, modified).await?)),
            Err(e) => return Err(with_source(e, &format!("applying patch:\n{}\nto:\n{}\nfor:", crate::print::compact(&patch), described(info)), &info.source)),
        }
    }
}

async fn make(call: &Call, info: &Info, current: &Value, modified: &Value) -> Outcome<(&'static str, Value)> {
    let original = last_applied(current).unwrap_or_else(empty);
    let fault = |e: patch::DiffError| match e {
        patch::DiffError::Identity => Failure::Text("At least one of apiVersion, kind and name was changed".into()),
        e => with_source(Failure::Text(e.to_string()), &format!("creating patch with:\noriginal:\n{original}\nmodified:\n{modified}\ncurrent:\n{current}\nfor:"), &info.source),
    };
    let document = openapi::document(call, &info.resource.api_version()).await?;
    if let Some(document) = &document
        && let Some(schema) = openapi::schema_of(document, &info.resource)
        && openapi::merges(document, &info.resource)
    {
        let facts = openapi::Place { document, schema: Some(schema) };
        return Ok((STRATEGIC_PATCH, patch::three_way_strategic(&original, modified, current, facts).map_err(fault)?));
    }
    Ok((MERGE_PATCH, patch::three_way_merge(&original, modified, current).map_err(fault)?))
}

/// `--force`: deletes and creates.
async fn anew(call: &Call, apply: &Apply, info: &Info, current: &Value, modified: &Value) -> Outcome<Value> {
    let mut deletion = Deletion::of(call)?;
    deletion.quiet = true;
    let gone = deletion.delete(call, vec![Ok(info.clone())], false).await?;
    deletion.timeout = if deletion.timeout == 0.0 { 300.0 } else { deletion.timeout };
    for (gone, uid) in &gone {
        delete::until_gone(call, gone, uid).await?;
    }
    let made = apply.change.create(call, &Info { object: modified.clone(), ..info.clone() }).await;
    let Err(why) = made else { return made };
    let mut before = current.clone();
    before["metadata"]["resourceVersion"] = json!("");
    match apply.change.create(call, &Info { object: before, ..info.clone() }).await {
        Ok(_) => Err(why),
        Err(worse) => Err(Failure::Text(format!(
            "An error occurred force-replacing the existing object with the newly provided one:\n\n{}.\n\nAdditionally, an error occurred attempting to restore the original object:\n\n{}",
            why.message(),
            worse.message()
        ))),
    }
}
