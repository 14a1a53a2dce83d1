//! `kubectl completion`, and what the scripts ask: `kubectl __complete WORDS...`.
// Upstream: kubectl pkg/cmd/completion; spf13/cobra completions.go (the protocol: one candidate a line, `:4` at the end).

use crate::call::{Call, out};
use crate::command::{self, Command, EMPTY};
use crate::failure::Outcome;
use crate::run;

pub const COMMAND: Command = Command {
    name: "completion",
    usage: "SHELL",
    about: "Print a script that completes commands, flags, types and names: bash, zsh, fish or powershell.",
    examples: "source <(kubectl completion bash)\n\nkubectl completion fish | source",
    run: run!(run),
    ..EMPTY
};

pub const COMPLETE: Command = Command { name: "__complete", about: "Candidates for the last word.", hidden: true, run: None, ..EMPTY };

const BASH: &str = r#"# bash completion for kubectl
__kubectl_complete()
{
    local IFS=$'\n' current="${COMP_WORDS[COMP_CWORD]}" line
    COMPREPLY=()
    while read -r line; do
        [[ $line == :* ]] && continue
        line="${line%%$'\t'*}"
        [[ $line == "$current"* ]] && COMPREPLY+=("$line")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F __kubectl_complete kubectl
"#;

const ZSH: &str = r#"#compdef kubectl
_kubectl()
{
    local -a candidates
    local line
    while IFS= read -r line; do
        [[ $line == :* ]] && continue
        candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe 'kubectl' candidates || _files
}
compdef _kubectl kubectl
"#;

const FISH: &str = r#"# fish completion for kubectl
function __kubectl_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c kubectl -f -a '(__kubectl_complete)'
"#;

const POWERSHELL: &str = r#"# powershell completion for kubectl
Register-ArgumentCompleter -Native -CommandName kubectl -ScriptBlock {
    param($word, $line, $position)
    $words = $line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() }
    if ($word -eq '') { $words = @($words) + '' }
    kubectl __complete @words 2>$null | Where-Object { $_ -notlike ':*' } | ForEach-Object { ($_ -split "`t")[0] } | Where-Object { $_ -like "$word*" }
}
"#;

async fn run(call: &Call) -> Outcome {
    let [shell] = call.args() else {
        return Err(call.usage(if call.args().is_empty() { "Shell not specified." } else { "Too many arguments. Expected only the shell type." }));
    };
    let script = match shell.as_str() {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        "powershell" => POWERSHELL,
        other => return Err(call.usage(&format!("Unsupported shell type {other:?}."))),
    };
    out(script);
    Ok(())
}

/// Commands whose first argument is a type and whose further ones are names.
const TYPED: [&str; 12] = ["get", "describe", "delete", "edit", "label", "annotate", "patch", "explain", "wait", "scale", "autoscale", "expose"];
/// Commands that take names of pods.
const PODS: [&str; 5] = ["logs", "exec", "attach", "port-forward", "debug"];

/// What the last word could be.
pub fn candidates(words: &[String]) -> Vec<String> {
    let (before, current) = words.split_last().map_or((&[][..], ""), |(last, before)| (before, last.as_str()));
    let Ok(named) = command::find(&super::ROOT, before) else { return Vec::new() };
    if current.starts_with('-') {
        let own = named.command.flags.iter().flat_map(|g| g.iter()).filter(|f| f.is_there()).chain(crate::global::FLAGS);
        let mut flags: Vec<String> = own.map(|f| format!("--{}\t{}", f.name, f.help)).filter(|f| f.starts_with(current)).collect();
        flags.sort();
        flags.dedup();
        return flags;
    }
    let mut out: Vec<String> = named.command.subs.iter().filter(|c| !c.hidden && c.name.starts_with(current)).map(|c| format!("{}\t{}", c.name, c.first_line())).collect();
    out.sort();
    if named.command.run.is_some() {
        let Ok(flags) = named.flags() else { return out };
        let call = Call::new(flags, named.path.clone());
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return out };
        // A shell waits for this: what the server does not say soon is not said.
        let found = runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(3), objects(&call, named.command.name, current)).await });
        out.extend(found.ok().and_then(Result::ok).unwrap_or_default());
    }
    out
}

async fn objects(call: &Call, command: &str, current: &str) -> Outcome<Vec<String>> {
    let args = call.args();
    let kind = if TYPED.contains(&command) {
        match args.first() {
            None => return types(call, current).await,
            Some(kind) => kind.clone(),
        }
    } else if PODS.contains(&command) && args.is_empty() {
        "pods".to_owned()
    } else {
        return Ok(Vec::new());
    };
    let resource = call.resource(&kind).await?;
    let list = call.api().await?.get(&resource.collection(&call.namespace()?.name)).await?;
    Ok(list["items"].as_array().into_iter().flatten().map(|o| api::meta::name(o).to_owned()).filter(|n| n.starts_with(current) && !args.contains(n)).collect())
}

async fn types(call: &Call, current: &str) -> Outcome<Vec<String>> {
    let mut names: Vec<String> = call.served().await?.preferred().iter().filter(|r| r.can("get") || r.can("list")).map(|r| if r.group.is_empty() { r.name.clone() } else { r.qualified() }).filter(|n| n.starts_with(current)).collect();
    names.sort();
    Ok(names)
}
