//! Folders and mounts of volumes on the node: memory-backed ones, host paths with their checks, ownership by group, unmounting.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

pub fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// A tmpfs at `path`, unless one is there already. `bytes` limits its size.
pub fn mount_memory(path: &Path, bytes: Option<i64>) -> io::Result<()> {
    fs::create_dir_all(path)?;
    if is_mount_point(path)? {
        return Ok(());
    }
    let options = bytes.filter(|b| *b > 0).map(|b| format!("size={b}"));
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), options.as_deref())?;
    Ok(())
}

fn is_mount_point(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let parent = path.parent().unwrap_or(Path::new("/"));
    Ok(fs::metadata(path)?.dev() != fs::metadata(parent)?.dev())
}

/// Upstream: pkg/volume/hostpath/host_path.go.
pub fn host_path(source: &HostPathVolumeSource) -> Result<PathBuf, String> {
    let path = PathBuf::from(&source.path);
    if !path.is_absolute() || path.components().any(|c| matches!(c, std::path::Component::ParentDir)) {
        return Err(format!("hostPath {:?} must be absolute and must not contain '..'", source.path));
    }
    let failed = |text: &str| Err(format!("hostPath type check failed: {} is not {text}", source.path));
    let found = fs::metadata(&path);
    match source.type_.as_deref().unwrap_or_default() {
        "" => {}
        "DirectoryOrCreate" => match found {
            Ok(m) if m.is_dir() => {}
            Ok(_) => return failed("a directory"),
            Err(_) => make_dir(&path, 0o755).map_err(|e| e.to_string())?,
        },
        "FileOrCreate" => match found {
            Ok(m) if m.is_file() => {}
            Ok(_) => return failed("a file"),
            Err(_) => {
                fs::File::create(&path).map_err(|e| format!("open {}: {e}", source.path))?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(|e| e.to_string())?;
            }
        },
        "Directory" if !found.as_ref().is_ok_and(|m| m.is_dir()) => return failed("a directory"),
        "File" if !found.as_ref().is_ok_and(|m| m.is_file()) => return failed("a file"),
        "Socket" if !found.as_ref().is_ok_and(|m| m.file_type().is_socket()) => return failed("a socket file"),
        "CharDevice" if !found.as_ref().is_ok_and(|m| m.file_type().is_char_device()) => return failed("a character device"),
        "BlockDevice" if !found.as_ref().is_ok_and(|m| m.file_type().is_block_device()) => return failed("a block device"),
        _ => {}
    }
    Ok(path)
}

/// Gives a whole tree to a group: read and write for it, folders inherit it. Upstream: pkg/volume/volume_linux.go.
pub fn own_by_group(root: &Path, group: u32, only_when_root_differs: bool) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(root)?;
    if only_when_root_differs && meta.gid() == group && meta.mode() & 0o2060 == 0o2060 {
        return Ok(());
    }
    own_tree(root, group, 0)
}

fn own_tree(path: &Path, group: u32, depth: usize) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.file_type().is_symlink() || depth > 256 {
        return Ok(());
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            own_tree(&entry?.path(), group, depth + 1)?;
        }
    }
    chown(path, None, Some(group))?;
    let mode = meta.permissions().mode() | if meta.is_dir() { 0o2770 } else { 0o660 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Unmounts all that is mounted below `root`, deepest first.
pub fn unmount_below(root: &Path) -> io::Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let mut points: Vec<PathBuf> = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape).filter(|p| p.starts_with(root) && p != root).collect();
    points.sort();
    for point in points.into_iter().rev() {
        umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    Ok(())
}

/// mountinfo writes blanks and backslashes as octal.
fn unescape(text: &str) -> PathBuf {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\').then(|| text.get(at + 1..at + 4)).flatten().and_then(|o| u8::from_str_radix(o, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(out))
}
