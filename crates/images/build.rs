//! Compiles the programs inside the built-in images with a bare rustc: static, small, no crate but std.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    let variable = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let out = PathBuf::from(variable("OUT_DIR"));
    for program in ["pause", "hello"] {
        let source = format!("programs/{program}.rs");
        let mut rustc = Command::new(variable("RUSTC"));
        rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name", program]);
        rustc.args(["-C", "target-feature=+crt-static", "-C", "panic=abort", "-C", "opt-level=s", "-C", "strip=symbols"]);
        rustc.args(["-C", "lto=fat", "-C", "codegen-units=1"]);
        rustc.arg("--target").arg(variable("TARGET")).arg("-o").arg(out.join(program)).arg(&source);
        let status = rustc.status().unwrap_or_else(|e| panic!("rustc did not start: {e}"));
        assert!(status.success(), "{source} did not compile (a static libc is needed: libc6-dev on Debian)");
    }
    println!("cargo::rerun-if-changed=programs");
}
