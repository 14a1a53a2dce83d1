//! `helm verify`: whether an archive is the one that was signed.
// Upstream: helm pkg/cmd/verify.go.

use std::path::Path;

use clap::{ArgMatches, Command};

use crate::failure::Outcome;
use crate::flags::{self, text};
use crate::output::out;
use crate::source::provenance::{Verified, keyring, verify_file};

pub fn command() -> Command {
    flags::command("verify", "Verify a signed archive").arg(text("keyring", "file of the public keys that signatures are verified with"))
}

pub fn told(verified: &Verified) -> String {
    let signers: String = verified.signers.iter().map(|s| format!("Signed by: {s}\n")).collect();
    format!("{signers}Using Key With Fingerprint: {}\nChart Hash Verified: {}\n", verified.fingerprint, verified.file_hash)
}

pub fn run(m: &ArgMatches) -> Outcome {
    let words = flags::exactly(m, "helm verify", "PATH", 1)?;
    let verified = verify_file(Path::new(words[0]), &keyring(m))?;
    out(&told(&verified));
    Ok(())
}
