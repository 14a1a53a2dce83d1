//! `kubectl api-resources` and `kubectl api-versions`: what the server serves.
// Upstream: kubectl pkg/cmd/apiresources.

use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::discovery::Resource;
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, slice, text, yes_no};
use crate::print::{self, Printer};
use crate::run;
use crate::tabs::Tabs;

const FLAGS: &[Flag] = &[
    yes_no("no-headers", "No header line."),
    text("api-group", "", "Only this API group; the empty one is the core."),
    yes_no("namespaced", "Only resources that have namespaces; with =false only those without.").default("true"),
    slice("verbs", "Only resources that have all these verbs."),
    slice("categories", "Only resources that belong to all these categories."),
    text("sort-by", "", "name or kind, instead of the group."),
    yes_no("cached", "Take what is remembered, without asking the server."),
    text("output", "", "json, yaml, wide or name.").short('o'),
];

pub const RESOURCES: Command = Command {
    name: "api-resources",
    about: "Show the types of resources that the server has.",
    examples: "# All types, with their verbs\nkubectl api-resources -o wide\n\n# Only those of a group\nkubectl api-resources --api-group=apps",
    flags: &[FLAGS, &[yes_no("show-managed-fields", "Taken for uniformity.")]],
    run: run!(resources),
    ..EMPTY
};

pub const VERSIONS: Command = Command { name: "api-versions", about: "Show the API versions that the server has, as group/version.", run: run!(versions), ..EMPTY };

async fn resources(call: &Call) -> Outcome {
    let flags = &call.flags;
    if !call.args().is_empty() {
        return Err(call.usage(&format!("unexpected arguments: [{}]", call.args().join(" "))));
    }
    let (output, sort_by) = (flags.text("output"), flags.text("sort-by"));
    if !["", "wide", "name", "json", "yaml", "kyaml"].contains(&output) {
        return Err(print::no_printer(output, &["json", "kyaml", "name", "wide", "yaml"]));
    }
    if !["", "name", "kind"].contains(&sort_by) {
        return fail("--sort-by accepts only name or kind");
    }
    let served = if flags.yes("cached") { call.served().await? } else { call.served_now().await? };
    let wants = |r: &Resource| {
        !r.verbs.is_empty()
            && (!flags.given("api-group") || r.group == flags.text("api-group"))
            && (!flags.given("namespaced") || r.namespaced == flags.yes("namespaced"))
            && flags.list("verbs").iter().all(|v| r.can(v))
            && flags.list("categories").iter().all(|c| r.categories.contains(c))
    };
    let mut shown: Vec<_> = served.preferred().into_iter().filter(|r| wants(r)).collect();
    shown.sort_by(|a, b| {
        let key = |r: &Resource| match sort_by {
            "name" => r.name.clone(),
            "kind" => r.kind.clone(),
            _ => r.group.clone(),
        };
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    match output {
        "name" => out(&shown.iter().map(|r| r.qualified() + "\n").collect::<String>()),
        "json" | "yaml" | "kyaml" => out(&Printer::of_flags(call, print::GET)?.map_or(Ok(String::new()), |p| p.typed().print(&as_list(&shown)))?),
        _ => table(&shown, output == "wide", flags.yes("no-headers")),
    }
    if served.stale.is_empty() {
        return Ok(());
    }
    fail(format!("unable to retrieve the complete list of server APIs: {}", served.stale.iter().map(|gv| format!("{gv}: stale GroupVersion discovery: {gv}")).collect::<Vec<_>>().join(", ")))
}

fn as_list(shown: &[std::rc::Rc<Resource>]) -> Value {
    let one = |r: &std::rc::Rc<Resource>| {
        let mut value = json!({"kind": r.kind, "name": r.name, "namespaced": r.namespaced, "singularName": r.singular, "verbs": r.verbs, "version": r.version});
        for (key, list) in [("shortNames", &r.short_names), ("categories", &r.categories)] {
            if !list.is_empty() {
                value[key] = json!(list);
            }
        }
        if !r.group.is_empty() {
            value["group"] = json!(r.group);
        }
        value
    };
    let resources: Vec<Value> = shown.iter().map(one).collect();
    // Upstream: Go's empty list is null.
    json!({"apiVersion": "v1", "groupVersion": "", "kind": "APIResourceList", "resources": if resources.is_empty() { Value::Null } else { resources.into() }})
}

fn table(shown: &[std::rc::Rc<Resource>], wide: bool, no_headers: bool) {
    let mut tabs = Tabs::table();
    if !no_headers {
        tabs.push(&format!("NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND{}\n", if wide { "\tVERBS\tCATEGORIES" } else { "" }));
    }
    for r in shown {
        let mut line = format!("{}\t{}\t{}\t{}\t{}", r.name, r.short_names.join(","), r.api_version(), r.namespaced, r.kind);
        if wide {
            line.push_str(&format!("\t{}\t{}", r.verbs.join(","), r.categories.join(",")));
        }
        tabs.push(&format!("{line}\n"));
    }
    out(&tabs.flush());
}

async fn versions(call: &Call) -> Outcome {
    if !call.args().is_empty() {
        return Err(call.usage(&format!("unexpected arguments: [{}]", call.args().join(" "))));
    }
    let served = call.served_now().await.map_err(|e| match e {
        Failure::Connection(..) => e,
        other => Failure::Text(format!("couldn't get available api versions from server: {}", other.message())),
    })?;
    let mut all: Vec<String> = served.versions.iter().map(|(group, version)| if group.is_empty() { version.clone() } else { format!("{group}/{version}") }).collect();
    all.sort();
    out(&all.iter().map(|v| format!("{v}\n")).collect::<String>());
    Ok(())
}
