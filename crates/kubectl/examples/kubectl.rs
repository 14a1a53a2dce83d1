//! kubectl alone, without the rest of knarr: quick to build, for work on the commands.

fn main() -> std::process::ExitCode {
    kubectl::main(std::env::args_os().skip(1).collect())
}
