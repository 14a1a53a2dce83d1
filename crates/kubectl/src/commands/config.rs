//! `kubectl config`: the kubeconfig files themselves.
// Upstream: kubectl pkg/cmd/config; client-go clientcmd ModifyConfig (which file an entry is written to).

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::call::{Call, out};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{Flag, array, text, yes_no};
use crate::kubeconfig::{Kubeconfig, SECTIONS, home, read_file, write_file};
use crate::print::{self, Printer};
use crate::tabs::Tabs;
use crate::{complain, global, run, say};

pub const COMMAND: Command = Command {
    name: "config",
    usage: "SUBCOMMAND",
    about: "Change kubeconfig files.\n\nThe file is that of --kubeconfig, else those of $KUBECONFIG, merged, else ~/.kube/config.",
    subs: &[
        &CURRENT,
        &Command { name: "delete-cluster", usage: "NAME", about: "Delete the cluster of the given name.", run: run!(delete_cluster), ..EMPTY },
        &Command { name: "delete-context", usage: "NAME", about: "Delete the context of the given name.", run: run!(delete_context), ..EMPTY },
        &Command { name: "delete-user", usage: "NAME", about: "Delete the user of the given name.", run: run!(delete_user), ..EMPTY },
        &Command { name: "get-clusters", about: "Show the clusters.", run: run!(get_clusters), ..EMPTY },
        &GET_CONTEXTS,
        &Command { name: "get-users", about: "Show the users.", run: run!(get_users), ..EMPTY },
        &Command { name: "rename-context", usage: "CONTEXT_NAME NEW_NAME", about: "Give a context another name.", run: run!(rename), ..EMPTY },
        &SET,
        &SET_CLUSTER,
        &SET_CONTEXT,
        &SET_CREDENTIALS,
        &Command { name: "unset", usage: "PROPERTY_NAME", about: "Remove a single value, by its path.", run: run!(unset), ..EMPTY },
        &Command { name: "use-context", aliases: &["use"], usage: "CONTEXT_NAME", about: "Make a context the current one.", run: run!(use_context), ..EMPTY },
        &VIEW,
    ],
    ..EMPTY
};

const CURRENT: Command = Command { name: "current-context", about: "Show the current context.", run: run!(current), ..EMPTY };
const GET_CONTEXTS: Command =
    Command { name: "get-contexts", usage: "[(-o|--output=)name)]", about: "Show one or many contexts.", flags: &[&[yes_no("no-headers", "No header line."), text("output", "", "Only name.").short('o')]], run: run!(get_contexts), ..EMPTY };
const SET: Command = Command {
    name: "set",
    usage: "PROPERTY_NAME PROPERTY_VALUE",
    about: "Set a single value, by its path: clusters.my-cluster.server.",
    flags: &[&[yes_no("set-raw-bytes", "Take the value as it is, for fields that hold bytes.")]],
    run: run!(set),
    ..EMPTY
};
const SET_CLUSTER: Command = Command {
    name: "set-cluster",
    usage: "NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true] [--tls-server-name=example.com]",
    about: "Set a cluster; what is not named stays.",
    flags: &[&[yes_no("embed-certs", "Put the certificate into the file."), text("proxy-url", "", "A proxy for the cluster.")]],
    run: run!(set_cluster),
    ..EMPTY
};
const SET_CONTEXT: Command =
    Command { name: "set-context", usage: "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]", about: "Set a context; what is not named stays.", flags: &[&[yes_no("current", "Change the current context.")]], run: run!(set_context), ..EMPTY };
const CREDENTIALS: &[Flag] = &[
    yes_no("embed-certs", "Put certificate and key into the file."),
    text("auth-provider", "", "Authentication provider."),
    array("auth-provider-arg", "Its arguments, as key=value."),
    text("exec-command", "", "Command of a credential plugin."),
    text("exec-api-version", "", "API version that the plugin speaks."),
    text("exec-interactive-mode", "", "Never, IfAvailable or Always."),
    yes_no("exec-provide-cluster-info", "Tell the plugin of the cluster."),
    array("exec-arg", "The plugin's arguments."),
    array("exec-env", "The plugin's environment, as key=value."),
];
const SET_CREDENTIALS: Command = Command {
    name: "set-credentials",
    usage: "NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--username=basic_user] [--password=basic_password] [--exec-command=exec_command]",
    about: "Set a user; what is not named stays.",
    flags: &[CREDENTIALS],
    run: run!(set_credentials),
    ..EMPTY
};
const VIEW: Command = Command {
    name: "view",
    about: "Show the merged kubeconfig, secrets left out.",
    examples: "kubectl config view\n\n# All, secrets too\nkubectl config view --raw",
    flags: &[&[yes_no("raw", "Show certificates and secrets."), yes_no("flatten", "Put certificates and keys of files into the text."), yes_no("minify", "Only what the current context uses."), yes_no("merge", "Merge the files.").default("true")], global::PRINT],
    run: run!(view),
    ..EMPTY
};

async fn current(call: &Call) -> Outcome {
    let config = call.config()?;
    if config.current.is_empty() {
        return fail("current-context is not set");
    }
    say!("{}", config.current);
    Ok(())
}

fn names(call: &Call, section: &str) -> Outcome {
    let config = call.config()?;
    say!("NAME");
    if config.section(section).is_empty() {
        // Upstream: an empty list has only its header.
        return Ok(());
    }
    for name in config.section(section).keys() {
        say!("{name}");
    }
    Ok(())
}

async fn get_clusters(call: &Call) -> Outcome {
    names(call, "clusters")
}

async fn get_users(call: &Call) -> Outcome {
    names(call, "users")
}

async fn get_contexts(call: &Call) -> Outcome {
    let (config, output) = (call.config()?, call.flags.text("output"));
    if !output.is_empty() && output != "name" {
        return fail(format!("--output {output} is not available in kubectl config get-contexts; resetting to default output format"));
    }
    let mut faults = Vec::new();
    let mut wanted: Vec<String> = call.args().to_vec();
    if wanted.is_empty() {
        wanted = config.contexts.keys().cloned().collect();
    } else {
        wanted.retain(|name| {
            let known = config.contexts.contains_key(name);
            if !known {
                faults.push(Failure::Text(format!("context {name} not found")));
            }
            known
        });
    }
    wanted.sort_by(|a, b| crate::sort::natural(a, b));
    let mut tabs = Tabs::table();
    if !call.flags.yes("no-headers") && output.is_empty() {
        tabs.push("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    for name in &wanted {
        if output == "name" {
            tabs.push(&format!("{name}\n"));
            continue;
        }
        let text = |key: &str| config.contexts[name][key].as_str().unwrap_or_default().to_owned();
        tabs.push(&format!("{}\t{name}\t{}\t{}\t{}\n", if *name == config.current { "*" } else { "" }, text("cluster"), text("user"), text("namespace")));
    }
    out(&tabs.flush());
    Failure::many(faults)
}

/// The file that a new entry goes to.
fn default_file(config: &Kubeconfig) -> PathBuf {
    config.files.iter().find(|f| f.exists()).or(config.files.last()).cloned().unwrap_or_else(|| home().join(".kube/config"))
}

/// Changes the file that holds the entry, or the default one.
fn change(call: &Call, section: &'static str, name: &str, work: impl FnOnce(&mut Kubeconfig)) -> Outcome<PathBuf> {
    let config = loaded(call)?;
    let file = config.origin.get(&(section, name.to_owned())).cloned().unwrap_or_else(|| default_file(&config));
    let mut one = read_file(&file)?.unwrap_or_else(|| Kubeconfig { preferences: json!({}), ..Kubeconfig::default() });
    work(&mut one);
    write_file(&file, &one)?;
    Ok(file)
}

/// A file named by --kubeconfig need not exist to be written.
fn loaded(call: &Call) -> Outcome<Kubeconfig> {
    let explicit = call.flags.text("kubeconfig");
    if !explicit.is_empty() && !Path::new(explicit).exists() {
        return Ok(Kubeconfig { files: vec![PathBuf::from(explicit)], preferences: json!({}), ..Kubeconfig::default() });
    }
    Ok((*call.config()?).clone())
}

fn set_current(call: &Call, name: &str) -> Outcome {
    let config = loaded(call)?;
    // The first file that names a current context decides; it is the one to change.
    let holder = config.files.iter().find(|f| read_file(f).ok().flatten().is_some_and(|c| !c.current.is_empty())).cloned();
    let file = holder.unwrap_or_else(|| default_file(&config));
    let mut one = read_file(&file)?.unwrap_or_else(|| Kubeconfig { preferences: json!({}), ..Kubeconfig::default() });
    one.current = name.to_owned();
    write_file(&file, &one)
}

/// The arguments are not what the command takes: its help, and why.
fn unexpected(call: &Call) -> Failure {
    let words: Vec<String> = call.path.split(' ').skip(1).map(str::to_owned).collect();
    if let Ok(named) = crate::command::find(&crate::commands::ROOT, &words) {
        out(&named.help());
    }
    Failure::Text(format!("Unexpected args: [{}]", call.args().join(" ")))
}

fn one_arg(call: &Call) -> Outcome<&str> {
    match call.args() {
        [one] => Ok(one),
        _ => Err(unexpected(call)),
    }
}

async fn use_context(call: &Call) -> Outcome {
    let name = one_arg(call)?;
    if !call.config()?.contexts.contains_key(name) {
        return fail(format!("no context exists with the name: {name:?}"));
    }
    set_current(call, name)?;
    say!("Switched to context {name:?}.");
    Ok(())
}

async fn rename(call: &Call) -> Outcome {
    let [old, new] = call.args() else { return Err(unexpected(call)) };
    let config = call.config()?;
    let Some(context) = config.contexts.get(old).cloned() else { return fail(format!("cannot rename the context {old:?}, it's not in {}", default_file(&config).display())) };
    if config.contexts.contains_key(new) {
        return fail(format!("cannot rename the context {old:?}, the context {new:?} already exists in {}", default_file(&config).display()));
    }
    change(call, "contexts", old, |c| {
        c.contexts.remove(old);
        c.contexts.insert(new.clone(), context);
    })?;
    if config.current == *old {
        set_current(call, new)?;
    }
    say!("Context {old:?} renamed to {new:?}.");
    Ok(())
}

fn delete(call: &Call, section: &'static str, what: &str) -> Outcome {
    let name = one_arg(call)?;
    let config = call.config()?;
    if !config.section(section).contains_key(name) {
        return fail(format!("cannot delete {what} {name}, not in {}", default_file(&config).display()));
    }
    if section == "contexts" && config.current == name {
        complain!("warning: this removed your active context, use \"kubectl config use-context\" to select a different one");
    }
    let file = change(call, section, name, |c| {
        c.section_mut(section).remove(name);
    })?;
    say!("deleted {what} {name} from {}", file.display());
    Ok(())
}

async fn delete_cluster(call: &Call) -> Outcome {
    delete(call, "clusters", "cluster")
}

async fn delete_context(call: &Call) -> Outcome {
    delete(call, "contexts", "context")
}

async fn delete_user(call: &Call) -> Outcome {
    delete(call, "users", "user")
}

fn put(entry: &mut Value, call: &Call, pairs: &[(&str, &str)]) {
    for (flag, key) in pairs {
        if call.flags.given(flag) {
            match call.flags.text(flag) {
                "" => drop(entry.as_object_mut().and_then(|e| e.remove(*key))),
                value => entry[*key] = value.into(),
            }
        }
    }
}

/// A path as the file shall hold it, or its content.
fn put_file(entry: &mut Value, call: &Call, flag: &str, embed: bool) -> Outcome {
    if !call.flags.given(flag) {
        return Ok(());
    }
    let path = call.flags.text(flag);
    let data = format!("{flag}-data");
    let Some(map) = entry.as_object_mut() else { return Ok(()) };
    map.remove(flag);
    map.remove(&data);
    if path.is_empty() {
        return Ok(());
    }
    if embed {
        let bytes = std::fs::read(path).map_err(|e| Failure::Text(format!("could not stat {flag} file {path}: {}", path_error("stat", path, &e))))?;
        map.insert(data, base64::engine::general_purpose::STANDARD.encode(bytes).into());
    } else {
        let absolute = std::path::absolute(path).map_or_else(|_| path.to_owned(), |p| p.display().to_string());
        map.insert(flag.to_owned(), absolute.into());
    }
    Ok(())
}

fn entry(call: &Call, section: &'static str, name: &str) -> Outcome<(Value, bool)> {
    let config = loaded(call)?;
    Ok(match config.section(section).get(name) {
        Some(entry) => (entry.clone(), true),
        None => (json!({}), false),
    })
}

async fn set_cluster(call: &Call) -> Outcome {
    let name = one_arg(call)?;
    let (mut cluster, _) = entry(call, "clusters", name)?;
    let flags = &call.flags;
    if flags.yes("insecure-skip-tls-verify") && !flags.text("certificate-authority").is_empty() {
        return fail("you cannot specify a certificate authority and insecure mode at the same time");
    }
    if flags.yes("embed-certs") && flags.text("certificate-authority").is_empty() {
        return fail("you must specify a --certificate-authority to embed");
    }
    put(&mut cluster, call, &[("server", "server"), ("tls-server-name", "tls-server-name"), ("proxy-url", "proxy-url")]);
    if flags.given("insecure-skip-tls-verify") {
        if flags.yes("insecure-skip-tls-verify") {
            cluster["insecure-skip-tls-verify"] = true.into();
            if let Some(map) = cluster.as_object_mut() {
                map.remove("certificate-authority");
                map.remove("certificate-authority-data");
            }
        } else if let Some(map) = cluster.as_object_mut() {
            map.remove("insecure-skip-tls-verify");
        }
    }
    put_file(&mut cluster, call, "certificate-authority", flags.yes("embed-certs"))?;
    change(call, "clusters", name, |c| {
        c.clusters.insert(name.to_owned(), cluster);
    })?;
    say!("Cluster {name:?} set.");
    Ok(())
}

async fn set_context(call: &Call) -> Outcome {
    let name = if call.flags.yes("current") {
        let current = loaded(call)?.current;
        if current.is_empty() {
            return fail("no current context is set");
        }
        if !call.args().is_empty() {
            return fail("you cannot specify both a context name and --current");
        }
        current
    } else {
        match call.args() {
            [name] => name.clone(),
            [] => return fail("you must specify a non-empty context name or --current"),
            _ => return Err(unexpected(call)),
        }
    };
    let (mut context, existed) = entry(call, "contexts", &name)?;
    put(&mut context, call, &[("cluster", "cluster"), ("user", "user"), ("namespace", "namespace")]);
    for key in ["cluster", "user"] {
        if context.get(key).is_none() {
            context[key] = "".into();
        }
    }
    change(call, "contexts", &name, |c| {
        c.contexts.insert(name.clone(), context);
    })?;
    say!("Context {name:?} {}.", if existed { "modified" } else { "created" });
    Ok(())
}

async fn set_credentials(call: &Call) -> Outcome {
    let name = one_arg(call)?;
    let flags = &call.flags;
    if flags.given("token") && (flags.given("username") || flags.given("password")) {
        return fail("you cannot specify more than one authentication method at the same time: --token, --username/--password");
    }
    if flags.yes("embed-certs") && flags.text("client-certificate").is_empty() && flags.text("client-key").is_empty() {
        return fail("you must specify a --client-certificate or --client-key to embed");
    }
    let (mut user, _) = entry(call, "users", name)?;
    put(&mut user, call, &[("token", "token"), ("username", "username"), ("password", "password")]);
    put_file(&mut user, call, "client-certificate", flags.yes("embed-certs"))?;
    put_file(&mut user, call, "client-key", flags.yes("embed-certs"))?;
    if !flags.text("auth-provider").is_empty() {
        let arguments: serde_json::Map<String, Value> = flags.list("auth-provider-arg").iter().filter_map(|p| p.split_once('=')).map(|(k, v)| (k.to_owned(), v.into())).collect();
        user["auth-provider"] = json!({"name": flags.text("auth-provider"), "config": arguments});
    }
    if !flags.text("exec-command").is_empty() {
        user["exec"] = exec(call);
    }
    change(call, "users", name, |c| {
        c.users.insert(name.to_owned(), user);
    })?;
    say!("User {name:?} set.");
    Ok(())
}

fn exec(call: &Call) -> Value {
    let flags = &call.flags;
    let environment: Vec<Value> = flags.list("exec-env").iter().filter_map(|p| p.split_once('=')).map(|(name, value)| json!({"name": name, "value": value})).collect();
    let list = |items: Vec<Value>| if items.is_empty() { Value::Null } else { Value::Array(items) };
    json!({
        "apiVersion": flags.text("exec-api-version"),
        "args": list(flags.list("exec-arg").into_iter().map(Value::from).collect()),
        "command": flags.text("exec-command"),
        "env": list(environment),
        "interactiveMode": if flags.given("exec-interactive-mode") { flags.text("exec-interactive-mode") } else { "IfAvailable" },
        "provideClusterInfo": flags.yes("exec-provide-cluster-info"),
    })
}

/// `clusters.my.cluster.server`: section, name (which may hold dots), the path within.
fn place(property: &str, config: &Kubeconfig) -> Option<(&'static str, String, Vec<String>)> {
    let (head, rest) = property.split_once('.')?;
    let (section, _) = SECTIONS.into_iter().find(|(s, _)| *s == head)?;
    let parts: Vec<&str> = rest.split('.').collect();
    let known = (1..=parts.len()).rev().find(|n| config.section(section).contains_key(&parts[..*n].join(".")));
    let at = known.unwrap_or(if parts.len() > 1 { parts.len() - 1 } else { 1 });
    Some((section, parts[..at].join("."), parts[at..].iter().map(|p| (*p).to_owned()).collect()))
}

async fn set(call: &Call) -> Outcome {
    let [property, value] = call.args() else { return Err(unexpected(call)) };
    if property == "current-context" {
        set_current(call, value)?;
        say!("Property {property:?} set.");
        return Ok(());
    }
    let config = loaded(call)?;
    let Some((section, name, path)) = place(property, &config) else { return fail(format!("unable to parse {property} after [] at api.Config")) };
    let Some((last, above)) = path.split_last() else { return fail(format!("unable to locate path {property}")) };
    let mut shown: Value = match value.as_str() {
        "true" if last.contains("insecure") || last.contains("disable") => true.into(),
        "false" if last.contains("insecure") || last.contains("disable") => false.into(),
        text => text.into(),
    };
    if last.ends_with("-data") {
        if call.flags.yes("set-raw-bytes") {
            shown = base64::engine::general_purpose::STANDARD.encode(value).into();
        } else if base64::engine::general_purpose::STANDARD.decode(value).is_err() {
            return fail("error setting config value: illegal base64 data at input byte 0");
        }
    }
    change(call, section, &name, |c| {
        let mut at = c.section_mut(section).entry(name.clone()).or_insert_with(|| json!({}));
        for step in above {
            at = &mut at[step.as_str()];
        }
        at[last.as_str()] = shown;
    })?;
    say!("Property {property:?} set.");
    Ok(())
}

async fn unset(call: &Call) -> Outcome {
    let [property] = call.args() else { return Err(unexpected(call)) };
    if property == "current-context" {
        set_current(call, "")?;
        say!("Property {property:?} unset.");
        return Ok(());
    }
    let config = loaded(call)?;
    if let Some((section, _)) = SECTIONS.into_iter().find(|(s, _)| s == property) {
        for name in config.section(section).keys().cloned().collect::<Vec<_>>() {
            change(call, section, &name, |c| {
                c.section_mut(section).remove(&name);
            })?;
        }
        say!("Property {property:?} unset.");
        return Ok(());
    }
    let Some((section, name, path)) = place(property, &config) else { return fail(format!("unable to parse {property} after [] at api.Config")) };
    // Upstream: what is not there is unset already; what lies below it cannot be reached.
    if !path.is_empty() && !config.section(section).contains_key(&name) {
        return fail(format!("current map key `{name}` is invalid"));
    }
    change(call, section, &name, |c| match path.split_last() {
        None => {
            c.section_mut(section).remove(&name);
        }
        Some((last, above)) => {
            let at = above.iter().fold(c.section_mut(section).get_mut(&name), |at, step| at.and_then(|a| a.get_mut(step)));
            if let Some(map) = at.and_then(Value::as_object_mut) {
                map.remove(last);
            }
        }
    })?;
    say!("Property {property:?} unset.");
    Ok(())
}

async fn view(call: &Call) -> Outcome {
    let flags = &call.flags;
    if !call.args().is_empty() {
        return Err(call.usage(&format!("unexpected arguments: [{}]", call.args().join(" "))));
    }
    if !flags.yes("merge") && flags.text("kubeconfig").is_empty() {
        return fail("if merge==false a precise file must be specified");
    }
    let mut config = (*call.config()?).clone();
    if flags.yes("minify") {
        minify(&mut config, flags.text("context"))?;
    }
    if flags.yes("flatten") {
        flatten(&mut config)?;
    } else if !flags.yes("raw") {
        redact(&mut config);
    }
    let value = config.to_value();
    match Printer::of_flags(call, print::BASIC)? {
        Some(printer) => out(&printer.listed(crate::kubeconfig::FIELDS).print(&value)?),
        None => out(&print::yaml(&value)),
    }
    Ok(())
}

fn minify(config: &mut Kubeconfig, context: &str) -> Outcome {
    let name = if context.is_empty() { config.current.clone() } else { context.to_owned() };
    if name.is_empty() {
        return fail("current-context must exist in order to minify");
    }
    let Some(chosen) = config.contexts.get(&name).cloned() else { return fail(format!("cannot locate context {name}")) };
    config.current = name.clone();
    config.contexts.retain(|n, _| *n == name);
    config.clusters.retain(|n, _| chosen["cluster"] == **n);
    config.users.retain(|n, _| chosen["user"] == **n);
    Ok(())
}

fn redact(config: &mut Kubeconfig) {
    for user in config.users.values_mut() {
        for (key, shown) in [("client-certificate-data", "DATA+OMITTED"), ("client-key-data", "DATA+OMITTED"), ("token", "REDACTED"), ("password", "REDACTED")] {
            if user.get(key).is_some() {
                user[key] = shown.into();
            }
        }
    }
    for cluster in config.clusters.values_mut() {
        if cluster.get("certificate-authority-data").is_some() {
            cluster["certificate-authority-data"] = "DATA+OMITTED".into();
        }
    }
}

fn flatten(config: &mut Kubeconfig) -> Outcome {
    let embed = |entry: &mut Value, key: &str| -> Outcome {
        if let Some(path) = entry[key].as_str().map(str::to_owned) {
            let bytes = std::fs::read(&path).map_err(|e| Failure::Text(path_error("open", &path, &e)))?;
            entry[format!("{key}-data")] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        }
        if let Some(map) = entry.as_object_mut() {
            map.remove(key);
        }
        Ok(())
    };
    for cluster in config.clusters.values_mut() {
        embed(cluster, "certificate-authority")?;
    }
    for user in config.users.values_mut() {
        embed(user, "client-certificate")?;
        embed(user, "client-key")?;
    }
    Ok(())
}
