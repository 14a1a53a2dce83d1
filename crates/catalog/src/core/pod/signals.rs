//! Validation of the signal that stops a container.
//!
//! Upstream: `validateStopSignal` in `pkg/apis/core/validation/validation.go`; signals of `pkg/apis/core/types.go`.

use api::field::{FieldError, FieldErrors, Path};

use crate::check;

const WINDOWS: [&str; 2] = ["SIGKILL", "SIGTERM"];
const LINUX: &str = "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMIN SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ";

pub fn stop_signal(errors: &mut FieldErrors, signal: &str, os: &str, path: &Path) {
    match os {
        "" => errors.push(FieldError::forbidden(path, "may not be set for containers with empty `spec.os.name`")),
        "windows" => check::one_of(errors, path, signal, &WINDOWS),
        "linux" => {
            let names = linux();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            check::one_of(errors, path, signal, &names);
        }
        _ => {}
    }
}

/// Sorted; those of real time count up from the first and down from the last.
fn linux() -> Vec<String> {
    let mut names: Vec<String> = LINUX.split(' ').map(str::to_owned).collect();
    names.extend((1..=15).map(|n| format!("SIGRTMIN+{n}")));
    names.extend((1..=14).map(|n| format!("SIGRTMAX-{n}")));
    names.sort();
    names
}
