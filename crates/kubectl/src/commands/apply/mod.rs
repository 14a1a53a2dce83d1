//! `kubectl apply`: objects from files made so on the server, by three-way patches or by the server itself.
// Upstream: kubectl pkg/cmd/apply/apply.go, patcher.go.

mod applyset;
mod last_applied;
mod migrate;
mod patcher;
mod prune;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use applyset::ApplySet;

use crate::call::{Call, out};
use crate::change::{self, Change, with_source};
use crate::client::{APPLY_PATCH, JSON, request, with_query};
use crate::command::{Command, EMPTY};
use crate::commands::delete;
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, slice, text, yes_no};
use crate::print::{self, DryRun, Printer, dry_run_suffix};
use crate::select::{Info, Select};
use crate::{complain, global, run};

const FLAGS: &[Flag] = &[
    yes_no("all", "Prune among all objects."),
    text("applyset", "", "The set that the objects belong to, as [RESOURCE][.GROUP]/NAME of the object that keeps it; with --prune, what is no longer given is deleted.").gate(applyset::GATE),
    yes_no("prune", "Delete objects that apply made and that are no longer given."),
    slice("prune-allowlist", "Types to prune, as <group/version/kind>."),
    yes_no("overwrite", "Let what is given win over changes of others.").default("true"),
    yes_no("openapi-patch", "Take merge facts from the server's OpenAPI documents.").default("true"),
    yes_no("server-side", "Let the server merge and track fields."),
    yes_no("force-conflicts", "Take over fields that others own; with --server-side."),
    text("subresource", "", "The subresource to apply to; with --server-side."),
    text("field-manager", "kubectl-client-side-apply", "Name under which changed fields are tracked."),
    global::SELECTOR,
    global::VALIDATE,
    global::DRY_RUN,
];

pub const COMMAND: Command = Command {
    name: "apply",
    usage: "(-f FILENAME | -k DIRECTORY)",
    about: "Make the cluster's objects be as files describe them.\n\nObjects that do not exist are created. Names must be given. What apply was given last is kept with the object, so that removed fields are removed.",
    examples: "# A file\nkubectl apply -f ./pod.json\n\n# A kustomization\nkubectl apply -k dir/\n\n# Standard input\ncat pod.json | kubectl apply -f -\n\n# Delete what is no longer in the file\nkubectl apply --prune -f manifest.yaml -l app=nginx",
    flags: &[FLAGS, delete::FLAGS, global::PRINT, global::FILES],
    subs: &[&last_applied::VIEW, &last_applied::EDIT, &last_applied::SET],
    run: run!(run),
    ..EMPTY
};

pub struct Apply {
    pub change: Change,
    server_side: bool,
    force_conflicts: bool,
    /// `-o` asks for the whole objects, at the end.
    whole: bool,
    pub uids: BTreeSet<String>,
    pub namespaces: BTreeSet<String>,
}

async fn check(call: &Call, dry: DryRun) -> Outcome<Option<ApplySet>> {
    let flags = &call.flags;
    if !call.args().is_empty() {
        return Err(call.usage(&format!("Unexpected args: [{}]", call.args().join(" "))));
    }
    FileFlags::of(call).require()?;
    let set = ApplySet::of(call).await?;
    if flags.yes("prune") && !prune::allowed(call).is_empty() {
        prune::types(call).await?;
    }
    let server_side = flags.yes("server-side");
    if flags.yes("force-conflicts") && !server_side {
        return fail("--force-conflicts only works with --server-side");
    }
    if dry == DryRun::Client && server_side {
        return fail("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)");
    }
    if server_side && flags.yes("force") {
        return fail("--force cannot be used with --server-side");
    }
    if dry == DryRun::Server && flags.yes("force") {
        return fail("--dry-run=server cannot be used with --force");
    }
    if flags.yes("all") && !flags.text("selector").is_empty() {
        return fail("cannot set --all and --selector at the same time");
    }
    if let Some(set) = &set {
        if !flags.yes("prune") {
            return fail("--applyset requires --prune");
        }
        set.check(call).await?;
    }
    if flags.yes("prune") {
        check_pruning(call, set.is_some())?;
    }
    Ok(set)
}

fn check_pruning(call: &Call, with_set: bool) -> Outcome {
    let flags = &call.flags;
    if flags.yes("force") {
        return fail("--force cannot be used with --prune");
    }
    if with_set {
        for (flag, is_given) in [("all", flags.yes("all")), ("selector", !flags.text("selector").is_empty()), ("prune-allowlist", !prune::allowed(call).is_empty())] {
            if is_given {
                return fail(format!("--{flag} is incompatible with --applyset"));
            }
        }
        return Ok(());
    }
    if !flags.yes("all") && flags.text("selector").is_empty() {
        return fail(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
        );
    }
    if flags.yes("server-side") {
        return fail("--prune is in alpha and doesn't currently work on objects created by server-side apply");
    }
    Ok(())
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let dry = print::dry_run(call)?;
    let mut set = check(call, dry).await?;
    let mut change = Change::of(call)?;
    let server_side = flags.yes("server-side");
    if server_side && !flags.given("field-manager") {
        change = change.managed_by(migrate::MANAGER);
    }
    let output = flags.text("output");
    // Faults of the form are said before anything is sent.
    Printer::of_change(call, "")?;
    let mut apply = Apply {
        change,
        server_side,
        force_conflicts: flags.yes("force-conflicts"),
        whole: !output.is_empty() && output != "name",
        uids: BTreeSet::new(),
        namespaces: BTreeSet::new(),
    };
    let mut select = Select::of(call)?;
    select.all = false;
    if select.namespace.explicit {
        apply.namespaces.insert(select.namespace.name.clone());
    }
    let mut items = select.by(call, &[]).await?.items;
    if items.is_empty() {
        return fail("no objects passed to apply");
    }
    if let Some(set) = &mut set {
        set.label(&mut items);
        set.before(call, &apply, &items).await?;
    }
    let (mut faults, mut applied) = (Vec::new(), Vec::new());
    for item in items {
        let result = match item {
            Ok(info) => apply.one(call, info).await,
            Err(e) => Err(e),
        };
        match result {
            Ok(info) => applied.push(info),
            Err(e) => faults.push(e),
        }
    }
    Failure::many(faults)?;
    if apply.whole {
        let mut printer = Printer::of_change(call, "")?;
        let mut objects: Vec<Value> = applied.iter().map(|i| i.object.clone()).collect();
        let mut object = if objects.len() == 1 { objects.remove(0) } else { print::list(objects) };
        if object["kind"] == "List" {
            object["metadata"] = json!({});
        }
        out(&printer.print(&object)?);
    }
    match set {
        Some(set) => set.prune(call, &apply).await,
        None if flags.yes("prune") => prune::run(call, &apply).await,
        None => Ok(()),
    }
}

impl Apply {
    fn say(&self, call: &Call, done: &str, object: &Value) -> Outcome {
        if self.whole {
            return Ok(());
        }
        self.print(call, done, object)
    }

    /// Says what was done, or shows the object where `-o` asks for it.
    fn print(&self, call: &Call, done: &str, object: &Value) -> Outcome {
        let operation = format!("{done}{}", dry_run_suffix(self.change.dry));
        let mut printer = Printer::of_flags(call, print::BASIC)?.unwrap_or_else(|| Printer::named(&operation));
        out(&printer.print(object)?);
        Ok(())
    }

    async fn one(&mut self, call: &Call, mut info: Info) -> Outcome<Info> {
        if info.resource.namespaced {
            self.namespaces.insert(info.namespace.clone());
        }
        if info.name.is_empty()
            && let Some(start) = info.object["metadata"]["generateName"].as_str().filter(|g| !g.is_empty())
        {
            return fail(format!("from {start}: cannot use generate name with apply"));
        }
        if self.server_side {
            return self.by_server(call, info).await;
        }
        let modified = change::configuration(&info.object, true);
        let modified: Value = serde_json::from_str(&modified).map_err(|e| Failure::Text(e.to_string()))?;
        let current = match call.api().await?.get(&info.path()).await {
            Ok(current) => current,
            Err(e) if e.is_not_found() => return self.create(call, info).await,
            Err(e) => return Err(with_source(e, &format!("retrieving current configuration of:\n{}\nfrom server for:", described(&info)), &info.source)),
        };
        self.uids.insert(api::meta::uid(&current).to_owned());
        if self.change.dry != DryRun::Client && api::meta::annotation(&current, change::LAST_APPLIED).is_none() {
            complain!(
                "Warning: resource {} is missing the {} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
                info.object_name(),
                change::LAST_APPLIED
            );
        }
        let (unchanged, object) = patcher::patch(call, self, &info, current, &modified).await?;
        info.object = object;
        info.refresh();
        warn_if_deleting(&info.object);
        self.say(call, if unchanged { "unchanged" } else { "configured" }, &info.object)?;
        Ok(info)
    }

    async fn create(&mut self, call: &Call, mut info: Info) -> Outcome<Info> {
        change::set_last_applied(&mut info.object);
        // After the annotation, which is then the same as that of a later change.
        drop_nulls(&mut info.object);
        if self.change.dry != DryRun::Client {
            info.object = self.change.create(call, &info).await.map_err(|e| with_source(e, "creating", &info.source))?;
            info.refresh();
        }
        self.uids.insert(api::meta::uid(&info.object).to_owned());
        self.say(call, "created", &info.object)?;
        Ok(info)
    }

    async fn by_server(&mut self, call: &Call, mut info: Info) -> Outcome<Info> {
        let force = if self.force_conflicts { "true" } else { "false" };
        let path = with_query(&self.change.query(&change::sub_path(call, &info)), &[("force", force)]);
        let body = crate::print::compact(&info.object).into_bytes();
        let patch = || request(http::Method::PATCH, &path, JSON, Some((APPLY_PATCH, body.clone())));
        info.object = call.api().await?.json(patch()).await.map_err(|e| match e.reason() {
            "UnsupportedMediaType" => Failure::Text(format!("Server-side apply not available on the server: ({})", e.message())),
            "Conflict" => Failure::Text(format!("{}\n{CONFLICTS}", e.message())),
            _ => e,
        })?;
        info.refresh();
        if migrate::migrate(self, call, &mut info).await {
            // Once more, so that fields that are no longer given go at last.
            match call.api().await?.json(patch()).await {
                Ok(object) => info.object = object,
                Err(e) => complain!(
                    "Warning: failed to re-apply configuration after performing Server-Side Apply migration. This is non-fatal and will be retried next time you apply. Error: {}",
                    e.message()
                ),
            }
        }
        warn_if_deleting(&info.object);
        self.uids.insert(api::meta::uid(&info.object).to_owned());
        self.say(call, "serverside-applied", &info.object)?;
        Ok(info)
    }
}

const CONFLICTS: &str = "Please review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn warn_if_deleting(object: &Value) {
    if api::meta::is_deleting(object) {
        complain!("Warning: Detected changes to resource {} which is currently being deleted.", api::meta::name(object));
    }
}

/// Two lines that name an object in faults.
pub fn described(info: &Info) -> String {
    let r = &info.resource;
    format!("Resource: \"{}/{}, Resource={}\", GroupVersionKind: \"{}/{}, Kind={}\"\nName: {:?}, Namespace: {:?}", r.group, r.version, r.name, r.group, r.version, r.kind, info.name, info.namespace)
}

/// What the object's annotation says was applied last.
pub fn last_applied(object: &Value) -> Option<Value> {
    serde_json::from_str(api::meta::annotation(object, change::LAST_APPLIED)?).ok()
}

pub fn empty() -> Value {
    json!({})
}
