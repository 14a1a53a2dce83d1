//! What kubectl says of flags and values that are going away, before it does what it was asked.
// Upstream: pflag flag.go (Set); kubectl pkg/cmd/util/helpers.go (GetDryRunStrategy), pkg/cmd/delete/delete_flags.go, cli-runtime pkg/genericclioptions/record_flags.go.

use crate::call::log;
use crate::complain;
use crate::flags::Flags;

/// Tells of all that was given.
pub fn tell(flags: &Flags) {
    for (name, _) in &flags.said {
        if let Some(why) = flags.long(name).and_then(|flag| flag.deprecated) {
            complain!("Flag --{name} has been deprecated, {why}");
        }
    }
    let (dry_run, cascade) = (flags.text("dry-run"), flags.text("cascade"));
    match dry_run {
        "unchanged" if flags.given("dry-run") => log('W', "helpers.go:714", "--dry-run is deprecated and can be replaced with --dry-run=client."),
        "true" => log('W', "helpers.go:728", "--dry-run=true is deprecated (boolean value) and can be replaced with --dry-run=client."),
        "false" => log('W', "helpers.go:731", "--dry-run=false is deprecated (boolean value) and can be replaced with --dry-run=none."),
        _ => {}
    }
    if let Some(better) = [("true", "background"), ("false", "orphan")].iter().find_map(|(old, new)| (*old == cascade).then_some(new)) {
        complain!("warning: --cascade={cascade} is deprecated (boolean value) and can be replaced with --cascade={better}.");
    }
}

/// The command line as `--record` keeps it: arguments first, each flag with its long name.
pub fn change_cause(path: &str, flags: &Flags) -> String {
    let words = std::iter::once(path.to_owned()).chain(flags.args.iter().cloned());
    words.chain(flags.said.iter().map(|(name, value)| format!("--{name}={value}"))).collect::<Vec<_>>().join(" ")
}
