//! `knarr install-links`: the tools under their own names.

use anyhow::Context as _;

use crate::cli::LinksArgs;
use crate::tools;

/// Makes a link to this binary for each tool. One that is there already is renewed; a file that is no link of ours is left alone.
pub fn run(args: &LinksArgs) -> anyhow::Result<()> {
    let binary = std::env::current_exe().context("this binary's own path")?;
    std::fs::create_dir_all(&args.dir).with_context(|| format!("folder {}", args.dir.display()))?;
    for name in tools::names() {
        let link = args.dir.join(name);
        match std::fs::read_link(&link) {
            Ok(target) if target == binary => {}
            Ok(target) if target.file_name() == binary.file_name() => std::fs::remove_file(&link).with_context(|| format!("link {}", link.display()))?,
            Ok(target) => anyhow::bail!("{} leads to {}: remove it, or name another folder", link.display(), target.display()),
            Err(_) if link.exists() => anyhow::bail!("{} is a file: remove it, or name another folder", link.display()),
            Err(_) => {}
        }
        if std::fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink(&binary, &link).with_context(|| format!("link {}", link.display()))?;
        }
        println!("{} -> {}", link.display(), binary.display());
    }
    Ok(())
}
