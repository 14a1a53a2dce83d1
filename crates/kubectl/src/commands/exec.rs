//! `kubectl exec` and `kubectl attach`.
// Upstream: kubectl pkg/cmd/exec/exec.go, attach/attach.go.

use serde_json::Value;

use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::files::FileFlags;
use crate::flags::{Flag, duration, slice, text, yes_no};
use crate::select::Select;
use crate::session::{self, Target};
use crate::{complain, pods, run};

const FLAGS: &[Flag] = &[
    duration("pod-running-timeout", "1m0s", "How long to wait for a running pod."),
    text("container", "", "The container; the pod's default unless said.").short('c'),
    yes_no("stdin", "Pass standard input on.").short('i'),
    yes_no("tty", "With a terminal.").short('t'),
    yes_no("quiet", "Only what the process itself says.").short('q'),
];

pub const EXEC: Command = Command {
    name: "exec",
    usage: "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
    about: "Run a command in a container.",
    examples: "kubectl exec mypod -- date\n\n# A shell\nkubectl exec -it mypod -c ruby-container -- /bin/sh",
    flags: &[FLAGS, &[slice("filename", "A file that names the pod.").short('f')]],
    run: run!(exec),
    ..EMPTY
};

pub const ATTACH: Command =
    Command { name: "attach", usage: "(POD | TYPE/NAME) -c CONTAINER", about: "Attach to the process of a container.", examples: "kubectl attach mypod -c ruby-container -i -t", flags: &[FLAGS, &[DETACH_KEYS]], run: run!(attach), ..EMPTY };

pub const DETACH_KEYS: Flag = text("detach-keys", session::detach::DEFAULT, "The keys that leave the session and let the process go on.");

/// How a session with a process ended.
#[derive(PartialEq)]
pub enum Left {
    Ended,
    Detached,
}

/// A terminal is only had where this end has one.
fn with_tty(call: &Call) -> bool {
    let wanted = call.flags.yes("tty");
    if wanted && !session::stdin_is_terminal() {
        if !call.flags.yes("quiet") {
            complain!("Unable to use a TTY - input is not a terminal or the right kind of file");
        }
        return false;
    }
    wanted
}

async fn exec(call: &Call) -> Outcome {
    let flags = &call.flags;
    let files = FileFlags { names: flags.list("filename"), ..FileFlags::default() };
    let dash = flags.dash;
    let before = dash.unwrap_or(call.args().len().min(1));
    let (who, command) = call.args().split_at(before.min(call.args().len()));
    if who.is_empty() && files.is_empty() {
        return fail("pod, type/name or --filename must be specified");
    }
    if dash.is_none() && call.args().len() > 1 && !who.is_empty() {
        return fail("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples");
    }
    if command.is_empty() {
        return fail("you must specify at least one command for the container");
    }
    let limit = pods::running_timeout(call)?;
    let info = if files.is_empty() {
        pods::named(call, &who[0]).await?
    } else {
        let mut select = Select::of(call)?.latest();
        select.files = files;
        let mut infos = select.by(call, &[]).await?.all()?;
        if infos.is_empty() {
            return fail("no objects passed to exec");
        }
        infos.remove(0)
    };
    let pod = pods::of_object(call, &info, limit).await?;
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return fail(format!("cannot exec into a container in a completed pod; current phase is {}", pod["status"]["phase"].as_str().unwrap_or_default()));
    }
    let container = pods::container(&pod, flags.text("container"), flags.yes("quiet"))?;
    let target = Target {
        namespace: api::meta::namespace(&pod).to_owned(),
        pod: api::meta::name(&pod).to_owned(),
        container,
        verb: "exec",
        command: command.to_vec(),
        stdin: flags.yes("stdin"),
        tty: with_tty(call),
        stderr: true,
    };
    session::ended(session::on_terminal(call, &target, None).await?.unwrap_or_default())
}

async fn attach(call: &Call) -> Outcome {
    let flags = &call.flags;
    match call.args() {
        [] => return fail("at least 1 argument is required for attach"),
        [_] => {}
        all => return fail(format!("expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]", all.len(), all.join(" "))),
    }
    let limit = pods::running_timeout(call)?;
    let info = pods::named(call, &call.args()[0]).await?;
    let pod = pods::of_object(call, &info, limit).await?;
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return fail(format!("cannot attach a container in a completed pod; current phase is {}", pod["status"]["phase"].as_str().unwrap_or_default()));
    }
    let container = pods::container(&pod, flags.text("container"), flags.yes("quiet")).map_err(|e| Failure::Text(format!("cannot attach to the container: {}", e.message())))?;
    to(call, &pod, &container).await.map(drop)
}

/// What upstream says of a session that has ended.
fn resume(pod: &Value, container: &str) -> String {
    let command = format!("kubectl attach {} -c {container} -n {} -i -t", api::meta::name(pod), api::meta::namespace(pod));
    if pod["spec"]["ephemeralContainers"].as_array().is_some_and(|all| all.iter().any(|c| c["name"] == container)) {
        return format!("Session ended, the ephemeral container will not be restarted but may be reattached using '{command}' if it is still running");
    }
    format!("Session ended, resume using '{command}' command")
}

/// Attaches to a container of a pod, as the flags say; the container's own terminal decides.
pub async fn to(call: &Call, pod: &Value, container: &str) -> Outcome<Left> {
    let (stdin, mut tty, quiet) = (call.flags.yes("stdin"), call.flags.yes("tty"), call.flags.yes("quiet"));
    let found = ["containers", "ephemeralContainers", "initContainers"].iter().flat_map(|list| pod["spec"][*list].as_array().into_iter().flatten()).find(|c| c["name"] == container);
    let has_terminal = found.is_some_and(|c| c["tty"] == true);
    if tty && found.is_some() && !has_terminal && !quiet {
        complain!("error: Unable to use a TTY - container {container} did not allocate one");
    }
    if found.is_some() {
        tty = has_terminal;
    }
    if tty && stdin && !session::stdin_is_terminal() && !quiet {
        complain!("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    tty &= stdin && session::stdin_is_terminal();
    if !quiet {
        complain!("All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.");
        complain!("If you don't see a command prompt, try pressing enter.");
    }
    let keys = if tty { Some(session::detach::parse(call.flags.text("detach-keys")).map_err(|why| Failure::Text(format!("could not bind detach keys: {why}")))?) } else { None };
    let target = Target { namespace: api::meta::namespace(pod).to_owned(), pod: api::meta::name(pod).to_owned(), container: container.to_owned(), verb: "attach", command: Vec::new(), stdin, tty, stderr: true };
    let code = session::on_terminal(call, &target, keys).await?;
    if !quiet && tty {
        complain!("{}", resume(pod, container));
    }
    match code {
        None => Ok(Left::Detached),
        Some(0) => Ok(Left::Ended),
        Some(code) => Err(Failure::Exit(code)),
    }
}
