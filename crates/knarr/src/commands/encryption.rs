//! `knarr encryption`: the keys that what lies on disk is encrypted with.

use host::Layout;
use pki::Keyring;

use crate::cli::EncryptionCommand;
use crate::say;

pub fn run(layout: &Layout, command: &EncryptionCommand) -> anyhow::Result<()> {
    let EncryptionCommand::Rotate = command;
    let path = layout.pki().join("encryption.json");
    let id = Keyring::rotate(&path)?;
    say::line(format!("key {id} is the first of {} and in use from the next start on; older keys stay there for what they encrypted", path.display()));
    Ok(())
}
