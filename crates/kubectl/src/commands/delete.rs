//! `kubectl delete`, and the waiting until what was deleted is gone.
// Upstream: kubectl pkg/cmd/delete/delete.go, delete_flags.go, wait/delete.go.

use serde_json::{Value, json};

use crate::call::Call;
use crate::change::{Change, with_source};
use crate::client::with_query;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, int, text, yes_no};
use crate::print::{DryRun, dry_run_suffix};
use crate::select::{Info, Select};
use crate::{complain, global, run, say, watch};

pub const FLAGS: &[Flag] = &[
    text("cascade", "background", "background, orphan or foreground: what happens to what the object owns.").bare("background"),
    yes_no("force", "Delete at once, without the node's confirmation."),
    int("grace-period", "-1", "Seconds the object has to end; negative is its own choice, 0 only with --force."),
    duration("timeout", "0s", "How long to wait; zero is by the object's size."),
    yes_no("wait", "Wait until the objects are gone.").default("true"),
];

const OWN: &[Flag] = &[
    yes_no("all", "All objects of the type, in the namespace."),
    yes_no("ignore-not-found", "Objects that do not exist are no failure."),
    yes_no("now", "End the objects at once, like --grace-period=1."),
    yes_no("interactive", "Show what would be deleted and ask first.").short('i'),
    text("output", "", "Only name.").short('o'),
    text("raw", "", "A path to send the DELETE to as it is."),
    global::ALL_NAMESPACES,
    global::SELECTOR,
    global::FIELD_SELECTOR,
    global::DRY_RUN,
];

pub const COMMAND: Command = Command {
    name: "delete",
    usage: "([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)])",
    about: "Delete resources by files, names, or selectors.\n\nDeletions are graceful: containers have time to end. Nothing checks that an object changed meanwhile.",
    examples: "# What a file describes\nkubectl delete -f ./pod.json\n\n# By label\nkubectl delete pods,services -l name=myLabel\n\n# At once\nkubectl delete pod foo --now",
    flags: &[FLAGS, OWN, global::FILES],
    run: run!(run),
    ..EMPTY
};

/// What the flags say about deletions.
pub struct Deletion {
    pub change: Change,
    pub cascade: &'static str,
    pub grace: i64,
    pub wait: bool,
    pub timeout: f64,
    pub ignore_not_found: bool,
    pub names_only: bool,
    pub quiet: bool,
}

pub fn cascade(call: &Call) -> Outcome<&'static str> {
    match call.flags.text("cascade") {
        "background" | "true" => Ok("Background"),
        "orphan" | "false" => Ok("Orphan"),
        "foreground" => Ok("Foreground"),
        other => fail(format!("invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\"")),
    }
}

impl Deletion {
    pub fn of(call: &Call) -> Outcome<Self> {
        let flags = &call.flags;
        let mut grace = flags.int("grace-period");
        if flags.yes("now") {
            if grace != -1 {
                return fail("--now and --grace-period cannot be specified together");
            }
            grace = 1;
        }
        if grace == 0 && !flags.yes("force") {
            grace = 1;
        }
        if flags.yes("force") && grace < 0 {
            grace = 0;
        }
        Ok(Self {
            change: Change::of(call)?,
            cascade: cascade(call)?,
            grace,
            wait: flags.yes("wait"),
            timeout: flags.seconds("timeout"),
            ignore_not_found: flags.yes("ignore-not-found"),
            names_only: flags.text("output") == "name",
            quiet: false,
        })
    }

    fn options(&self) -> Value {
        let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": self.cascade});
        if self.grace >= 0 {
            options["gracePeriodSeconds"] = self.grace.into();
        }
        if self.change.dry == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    /// Deletes the objects; gives those deleted, with their uids.
    pub async fn delete(&self, call: &Call, items: Vec<Outcome<Info>>, warn_scope: bool) -> Outcome<Vec<(Info, String)>> {
        let (mut gone, mut faults, mut warn) = (Vec::new(), Vec::new(), warn_scope);
        for item in items {
            let info = match item {
                Ok(info) => info,
                Err(e) if self.ignore_not_found && e.is_not_found() => continue,
                Err(e) => {
                    faults.push(e);
                    continue;
                }
            };
            if warn && !info.resource.namespaced {
                complain!("Warning: deleting cluster-scoped resources, not scoped to the provided namespace");
                warn = false;
            }
            if self.change.dry == DryRun::Client {
                self.show(&info);
                gone.push((info, String::new()));
                continue;
            }
            match call.api().await?.delete(&info.path(), &self.options()).await {
                Ok(answer) => {
                    self.show(&info);
                    let uid = answer["details"]["uid"].as_str().or(answer["metadata"]["uid"].as_str()).unwrap_or_default().to_owned();
                    gone.push((info, uid));
                }
                Err(e) if self.ignore_not_found && e.is_not_found() => {}
                Err(e) => faults.push(with_source(e, "deleting", &info.source)),
            }
        }
        Failure::many(faults)?;
        Ok(gone)
    }

    fn show(&self, info: &Info) {
        if self.quiet {
            return;
        }
        let kind = info.resource.slashed("").trim_end_matches('/').to_owned();
        if self.names_only {
            say!("{kind}/{}", info.name);
            return;
        }
        let done = if self.grace == 0 { "force deleted" } else { "deleted" };
        let namespace = if info.namespace.is_empty() { String::new() } else { format!(" from {} namespace", info.namespace) };
        say!("{kind} {:?} {done}{}{}", info.name, namespace, dry_run_suffix(self.change.dry));
    }

    /// Waits until all are gone, or others have taken their names.
    pub async fn wait(&self, call: &Call, gone: &[(Info, String)]) -> Outcome {
        let limit = if self.timeout == 0.0 { 168.0 * 3600.0 } else { self.timeout.max(0.0) };
        let all = async {
            for (info, uid) in gone {
                match until_gone(call, info, uid).await {
                    Err(e) if matches!(e.reason(), "Forbidden" | "MethodNotAllowed") => return Ok(()),
                    other => other?,
                }
            }
            Ok(())
        };
        match tokio::time::timeout(std::time::Duration::try_from_secs_f64(limit).unwrap_or_default(), all).await {
            Ok(result) => result,
            Err(_) => {
                let first = gone.first().map(|(i, _)| i.object_name()).unwrap_or_default();
                fail(format!("timed out waiting for the condition on {first}"))
            }
        }
    }
}

/// Watches one name until its object is gone.
pub async fn until_gone(call: &Call, info: &Info, uid: &str) -> Outcome {
    let api = call.api().await?;
    let selector = format!("metadata.name={}", info.name);
    loop {
        let list = api.get(&with_query(&info.resource.collection(&info.namespace), &[("fieldSelector", &selector)])).await?;
        let there = list["items"].as_array().and_then(|items| items.first());
        let Some(object) = there else { return Ok(()) };
        if !uid.is_empty() && api::meta::uid(object) != uid {
            return Ok(());
        }
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let path = with_query(&info.resource.collection(&info.namespace), &[("watch", "true"), ("fieldSelector", &selector), ("resourceVersion", &revision)]);
        let mut events = watch::open(&api, &path, crate::client::JSON).await?;
        while let Some(event) = events.next().await? {
            match event["type"].as_str() {
                Some("DELETED") => return Ok(()),
                // The revision is too old: list again.
                Some("ERROR") => break,
                _ if !uid.is_empty() && api::meta::uid(&event["object"]) != uid => return Ok(()),
                _ => {}
            }
        }
    }
}

fn check(call: &Call, deletion: &Deletion) -> Outcome {
    let flags = &call.flags;
    let output = flags.text("output");
    if !output.is_empty() && output != "name" {
        return fail(format!("unexpected -o output mode: {output}. We only support '-o name'"));
    }
    if flags.yes("all") && !flags.text("selector").is_empty() {
        return fail("cannot set --all and --selector at the same time");
    }
    if flags.yes("all") && !flags.text("field-selector").is_empty() {
        return fail("cannot set --all and --field-selector at the same time");
    }
    if deletion.grace == 0 && flags.yes("force") {
        complain!("Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.");
    } else if deletion.grace > 0 && flags.yes("force") {
        return fail("--force and --grace-period greater than 0 cannot be specified together");
    }
    Ok(())
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let mut deletion = Deletion::of(call)?;
    let select = Select::of(call)?.unfetched();
    let selective = flags.yes("all") || !flags.text("selector").is_empty() || !flags.text("field-selector").is_empty();
    if selective && !flags.given("ignore-not-found") {
        deletion.ignore_not_found = true;
    }
    if !flags.text("raw").is_empty() {
        let answer = call.api().await?.bytes(crate::client::request(http::Method::DELETE, flags.text("raw"), crate::client::JSON, None)).await?;
        crate::call::out_bytes(&answer);
        return Ok(());
    }
    let warn_scope = select.namespace.explicit && !flags.yes("all-namespaces");
    let selected = if select.files.is_empty() || call.args().is_empty() { select.by(call, call.args()).await? } else { select.by(call, call.args()).await? };
    check(call, &deletion)?;
    if flags.yes("interactive") && !confirmed(&selected.items)? {
        say!("deletion is cancelled");
        return Ok(());
    }
    let some = !selected.items.is_empty();
    let gone = deletion.delete(call, selected.items, warn_scope).await?;
    if !some || (gone.is_empty() && selective) {
        say!("No resources found");
        return Ok(());
    }
    if deletion.wait && deletion.change.dry == DryRun::None {
        deletion.wait(call, &gone).await?;
    }
    Ok(())
}

fn confirmed(items: &[Outcome<Info>]) -> Outcome<bool> {
    crate::call::out("You are about to delete the following ");
    let infos: Vec<&Info> = items.iter().filter_map(|i| i.as_ref().ok()).collect();
    say!("{} resource(s):", infos.len());
    for info in infos {
        say!("{}", info.resource.slashed(&info.name));
    }
    crate::call::out("Do you want to continue? (y/N): ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y"))
}
