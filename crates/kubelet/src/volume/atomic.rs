//! Writes a set of files so that a reader sees all of the old or all of the new: a folder of its own, then one rename of `..data`.
//!
//! Never follows what a container may have put there: only names we made are touched. Upstream: pkg/volume/util/atomic_writer.go.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use super::payload::Payload;

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// Brings `dir` to `payload`. Returns whether anything changed. `group` gets every file when given.
pub fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> io::Result<bool> {
    let old = fs::read_link(dir.join(DATA)).ok().filter(|p| p.components().count() == 1);
    if old.as_ref().is_some_and(|old| is_same(&dir.join(old), payload)) {
        return Ok(false);
    }
    let fresh = fresh_name();
    let target = dir.join(&fresh);
    fs::create_dir(&target)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
    own(&target, group, true)?;
    for (path, file) in payload {
        let full = target.join(path);
        make_parents(&target, path, group)?;
        fs::write(&full, &file.data)?;
        if file.user.is_some() || group.is_some() {
            chown(&full, file.user, group)?;
        }
        let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
        fs::set_permissions(&full, fs::Permissions::from_mode(mode))?;
    }
    let _ = fs::remove_file(dir.join(DATA_NEW));
    symlink(&fresh, dir.join(DATA_NEW))?;
    fs::rename(dir.join(DATA_NEW), dir.join(DATA))?;
    link_names(dir, payload)?;
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old))?;
    }
    Ok(true)
}

/// The visible names: links through `..data`, stale ones removed.
fn link_names(dir: &Path, payload: &Payload) -> io::Result<()> {
    let names: BTreeSet<&str> = payload.keys().filter_map(|p| p.split('/').next()).collect();
    for name in &names {
        let link = dir.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(text) = name.to_str() else { continue };
        if !text.starts_with("..") && !names.contains(text) && entry.file_type()?.is_symlink() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn fresh_name() -> String {
    let now = jiff::Timestamp::now();
    format!("..{}.{}", now.strftime("%Y_%m_%d_%H_%M_%S"), now.subsec_nanosecond())
}

fn make_parents(root: &Path, path: &str, group: Option<u32>) -> io::Result<()> {
    let mut at = root.to_path_buf();
    let mut parts: Vec<_> = path.split('/').collect();
    parts.pop();
    for part in parts {
        at.push(part);
        if !at.is_dir() {
            fs::create_dir(&at)?;
            fs::set_permissions(&at, fs::Permissions::from_mode(0o755))?;
            own(&at, group, true)?;
        }
    }
    Ok(())
}

fn own(path: &Path, group: Option<u32>, folder: bool) -> io::Result<()> {
    let Some(group) = group else { return Ok(()) };
    chown(path, None, Some(group))?;
    if folder {
        fs::set_permissions(path, fs::Permissions::from_mode(0o2755))?;
    }
    Ok(())
}

/// Same files with the same bytes and permissions, and none beside them.
fn is_same(dir: &Path, payload: &Payload) -> bool {
    let same = payload.iter().all(|(path, file)| {
        let full = dir.join(path);
        let mode = fs::symlink_metadata(&full).map(|m| m.permissions().mode() & 0o777);
        mode.is_ok_and(|m| m & file.mode & 0o777 == file.mode & 0o777) && fs::read(&full).is_ok_and(|data| data == file.data)
    });
    same && count_files(dir) == Some(payload.len())
}

fn count_files(dir: &Path) -> Option<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir).ok()? {
        let entry = entry.ok()?;
        count += if entry.file_type().ok()?.is_dir() { count_files(&entry.path())? } else { 1 };
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::payload::{FileContent, insert};

    #[test]
    fn swaps_whole_sets_and_forgets_old_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| FileContent { data: text.into(), mode: 0o600, user: None };
        let first: Payload = [("a".to_owned(), file("1")), ("d/b".to_owned(), file("2"))].into();
        assert!(write(dir.path(), &first, None).unwrap());
        assert!(!write(dir.path(), &first, None).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join("d/b")).unwrap(), "2");
        let second: Payload = [("a".to_owned(), file("3"))].into();
        assert!(write(dir.path(), &second, None).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "3");
        assert!(fs::symlink_metadata(dir.path().join("d")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "..data, its folder, a");
        let mut hostile = Payload::new();
        for path in ["../x", "/x", "a/../../x", "..data", ""] {
            assert!(insert(&mut hostile, path, Vec::new(), 0o644, None).is_err(), "{path}");
        }
    }
}
