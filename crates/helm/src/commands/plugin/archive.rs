//! Plugins as archives (`.tgz`). Archives are hostile until proven otherwise: no entry leaves the plugin's folder, links and special
//! files are refused, and all is bounded.
// Upstream: helm internal/plugin/sign.go CreatePluginTarball, internal/plugin/installer/extractor.go.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use crate::failure::{Failure, Outcome, io};

/// All files of a plugin together, uncompressed.
const MOST_BYTES: u64 = 512 * 1024 * 1024;
const MOST_FILES: usize = 20_000;

/// An archive of a folder, its files below `name`.
pub fn pack(folder: &Path, name: &str) -> Outcome<Vec<u8>> {
    let fail = |e: std::io::Error| Failure::new(format!("failed to create plugin tarball: {e}"));
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut plain = tar::Builder::new(gzip);
    plain.follow_symlinks(false);
    plain.append_dir_all(name, folder).map_err(fail)?;
    let mut gzip = plain.into_inner().map_err(fail)?;
    gzip.flush().map_err(fail)?;
    gzip.finish().map_err(fail)
}

/// Unpacks an archive into a folder that is there; what stands before `plugin.yaml` is left out of the paths.
pub fn unpack(bytes: &[u8], target: &Path) -> Outcome {
    let root = root_of(bytes)?;
    let mut left = MOST_BYTES;
    each(bytes, |path, mode, entry| {
        let Ok(inner) = path.strip_prefix(&root) else { return Ok(()) };
        let file = target.join(inner);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io("mkdir", parent, &e))?;
        }
        let mut out = std::fs::File::create(&file).map_err(|e| io("open", &file, &e))?;
        let copied = std::io::copy(&mut entry.take(left + 1), &mut out).map_err(|e| io("write", &file, &e))?;
        left = left.checked_sub(copied).ok_or_else(|| Failure::new(format!("the plugin's archive holds more than {MOST_BYTES} bytes")))?;
        let mode = std::fs::Permissions::from_mode((mode & 0o755) | 0o600);
        std::fs::set_permissions(&file, mode).map_err(|e| io("chmod", &file, &e))
    })
}

/// The folder within the archive that has `plugin.yaml`: the top, or the one below it.
fn root_of(bytes: &[u8]) -> Outcome<PathBuf> {
    let mut found: Option<PathBuf> = None;
    each(bytes, |path, _, _| {
        if path.file_name().is_some_and(|n| n == "plugin.yaml") && path.components().count() <= 2 {
            found = path.parent().map(Path::to_path_buf);
        }
        Ok(())
    })?;
    found.ok_or_else(|| Failure::new("plugin metadata (plugin.yaml) missing"))
}

/// Calls `work` with each file of an archive: its path, its mode, its content.
fn each(bytes: &[u8], mut work: impl FnMut(&Path, u32, &mut dyn std::io::Read) -> Outcome) -> Outcome {
    let broken = |e: std::io::Error| Failure::new(format!("failed to extract plugin: {e}"));
    let plain = flate2::read::MultiGzDecoder::new(bytes).take(MOST_BYTES + MOST_FILES as u64 * 1024);
    let mut archive = tar::Archive::new(plain);
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if count >= MOST_FILES {
            return Err(Failure::new(format!("the plugin's archive holds more than {MOST_FILES} files")));
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let path: PathBuf = entry.path().map_err(broken)?.components().filter(|c| !matches!(c, Component::CurDir)).collect();
        if !kind.is_file() || !path.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(Failure::new(format!("the plugin's archive has a link, or a path that leaves it: {}", path.display())));
        }
        let mode = entry.header().mode().map_err(broken)?;
        work(&path, mode, &mut entry)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(name: &str, kind: tar::EntryType) -> Vec<u8> {
        let mut plain = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()));
        for (path, kind) in [("p/plugin.yaml", tar::EntryType::Regular), (name, kind)] {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o755);
            header.set_cksum();
            plain.append(&header, std::io::empty()).expect("an entry");
        }
        plain.into_inner().expect("tar").finish().expect("gzip")
    }

    #[test]
    fn what_is_packed_comes_back_with_its_modes() {
        let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(from.path().join("bin")).expect("a folder");
        std::fs::write(from.path().join("plugin.yaml"), "name: p\n").expect("a file");
        std::fs::write(from.path().join("bin/run"), "#!/bin/sh\n").expect("a file");
        std::fs::set_permissions(from.path().join("bin/run"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
        unpack(&pack(from.path(), "p").expect("packs"), to.path()).expect("unpacks");
        assert_eq!(std::fs::metadata(to.path().join("bin/run")).expect("a file").permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read_to_string(to.path().join("plugin.yaml")).expect("a file"), "name: p\n");
    }

    #[test]
    fn archives_that_leave_their_folder_are_refused() {
        let to = tempfile::tempdir().expect("a folder");
        for (name, kind) in [("../out", tar::EntryType::Regular), ("/out", tar::EntryType::Regular), ("p/link", tar::EntryType::Symlink)] {
            assert!(unpack(&archive(name, kind), to.path()).is_err(), "{name}");
        }
        assert!(unpack(b"nope", to.path()).is_err());
    }
}
