//! A path below a volume, resolved so that no link can lead out of it, and held by a bind mount.
//!
//! Keeps true: what is mounted is what was opened: links swapped afterwards change nothing (CVE-2017-1002101, CVE-2021-25741).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

fn beneath(dir: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(dir, path, how)
}

/// Opens `sub` below `volume`, making missing folders.
fn open_or_create(volume: &Path, sub: &Path) -> io::Result<OwnedFd> {
    let root = nix::fcntl::open(volume, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    match beneath(&root, sub) {
        Ok(found) => return Ok(found),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let mode = Mode::from_bits_truncate(fstat(&root)?.st_mode & 0o7777);
    let mut at = root;
    for part in sub.components() {
        let Component::Normal(name) = part else { continue };
        let next = match beneath(&at, Path::new(name)) {
            Err(Errno::ENOENT) => {
                match mkdirat(&at, name, mode) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let made = beneath(&at, Path::new(name))?;
                // The umask may have taken bits away that the volume's own folder has.
                let _ = std::fs::set_permissions(format!("/proc/self/fd/{}", made.as_raw_fd()), std::os::unix::fs::PermissionsExt::from_mode(mode.bits()));
                made
            }
            other => other?,
        };
        at = next;
    }
    Ok(at)
}

/// Mounts `volume/sub` at `target` and returns it. `sub` must be relative and without `..`.
pub fn mount_subpath(volume: &Path, sub: &str, target: &Path) -> io::Result<PathBuf> {
    let sub = Path::new(sub);
    if sub.is_absolute() || sub.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("subPath {:?} must be relative and must not contain '..'", sub.display())));
    }
    let found = open_or_create(volume, sub)?;
    let is_dir = fstat(&found)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    let _ = umount2(target, MntFlags::MNT_DETACH);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if is_dir {
        std::fs::create_dir_all(target)?;
    } else if !target.exists() {
        std::fs::File::create(target)?;
    }
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    Ok(target.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_leaves_the_volume() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("v");
        std::fs::create_dir_all(volume.join("in")).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
        std::os::unix::fs::symlink("in", volume.join("same")).unwrap();
        assert!(open_or_create(&volume, Path::new("out")).is_err());
        assert!(open_or_create(&volume, Path::new("out/new")).is_err());
        assert!(open_or_create(&volume, Path::new("same")).is_ok());
        assert!(open_or_create(&volume, Path::new("a/b")).is_ok());
        assert!(volume.join("a/b").is_dir());
        assert!(mount_subpath(&volume, "../x", &dir.path().join("t")).is_err());
    }
}
