//! Reads and writes chart archives (`.tgz`). Archives are hostile until proven otherwise: no entry leaves the chart's folder, no link is followed,
//! no file and no whole grows past its bound, however well it was compressed.
// Upstream: helm pkg/chart/loader/archive/archive.go, pkg/chart/v2/util/save.go.

use std::io::{Read, Write};

use crate::chart::File;
use crate::load::LoadError;

/// All files together, uncompressed.
pub const MAX_CHART_SIZE: u64 = 100 * 1024 * 1024;
/// One file, uncompressed.
pub const MAX_FILE_SIZE: u64 = 5 * 1024 * 1024;
/// More entries than any chart has.
// Differs: upstream bounds the bytes alone; a hundred MiB of headers are ten million empty files.
pub const MAX_FILES: usize = 100_000;

/// The files of an archive, names relative to the chart.
pub fn read_archive(bytes: &[u8]) -> Result<Vec<File>, LoadError> {
    read_archive_bounded(bytes, MAX_CHART_SIZE, MAX_FILE_SIZE)
}

fn read_archive_bounded(bytes: &[u8], max_chart: u64, max_file: u64) -> Result<Vec<File>, LoadError> {
    // One byte more than allowed tells a large archive from one that fits.
    let plain = flate2::read::MultiGzDecoder::new(bytes).take(max_chart + MAX_FILES as u64 * 1024 + 1);
    let mut archive = tar::Archive::new(plain);
    let (mut files, mut left, mut seen) = (Vec::new(), max_chart, 0);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        seen += 1;
        if seen > MAX_FILES {
            return Err(LoadError::Archive(format!("chart archive holds more than {MAX_FILES} files")));
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| LoadError::Archive("chart contains illegally named files".into()))?;
        if !kind.is_file() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
            // Differs: upstream reads a link as an empty file.
            return Err(LoadError::Archive(format!("chart illegally contains a link or a special file: {name}")));
        }
        let name = inner_name(&name)?;
        let size = entry.size();
        if size > left {
            return Err(LoadError::Archive(format!("decompressed chart is larger than the maximum size {max_chart}")));
        }
        if size > max_file {
            return Err(LoadError::Archive(format!("decompressed chart file {name:?} is larger than the maximum file size {max_file}")));
        }
        let mut data = Vec::with_capacity(size.min(64 * 1024) as usize);
        (&mut entry).take(max_file + 1).read_to_end(&mut data).map_err(broken)?;
        left = left.saturating_sub(data.len() as u64);
        files.push(File { name, data: without_mark(data) });
    }
    if files.is_empty() {
        return Err(LoadError::Archive("no files in chart archive".into()));
    }
    Ok(files)
}

fn broken(e: std::io::Error) -> LoadError {
    LoadError::Archive(e.to_string())
}

/// A byte order mark is no part of a file.
pub(crate) fn without_mark(mut data: Vec<u8>) -> Vec<u8> {
    if data.starts_with(b"\xef\xbb\xbf") {
        data.drain(..3);
    }
    data
}

/// The path below the chart's folder, or why there is none.
fn inner_name(name: &str) -> Result<String, LoadError> {
    let fail = |text: &str| Err(LoadError::Archive(text.into()));
    let name = name.replace('\\', "/");
    let (folder, rest) = name.split_once('/').unwrap_or((&name, ""));
    if rest.starts_with('/') {
        return fail("chart illegally contains absolute paths");
    }
    let rest = clean(rest);
    if rest == "." {
        return if folder == "Chart.yaml" { fail("chart yaml not in base directory") } else { fail("chart illegally contains content outside the base directory") };
    }
    if rest.starts_with("..") {
        return fail("chart illegally references parent directory");
    }
    let drive = rest.as_bytes();
    if drive.len() > 1 && drive[0].is_ascii_alphabetic() && drive[1] == b':' || rest.contains('\0') {
        return fail("chart contains illegally named files");
    }
    if folder == "Chart.yaml" {
        return fail("chart yaml not in base directory");
    }
    Ok(rest)
}

/// A relative path without `.`, `..` and double slashes, as Go's `path.Clean` gives it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// A gzipped archive of files below one folder; the same files give the same bytes.
pub fn write_archive(folder: &str, files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut plain = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(file.data.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        plain.append_data(&mut header, format!("{folder}/{}", file.name), file.data.as_slice())?;
    }
    let plain = plain.into_inner()?;
    // Upstream: the comment and the extra bytes are how Helm marks its archives.
    let mut gzip = flate2::GzBuilder::new().comment("Helm").extra(b"+aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=".as_slice()).write(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain)?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tgz(entries: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(data.len() as u64);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if kind.is_symlink() || kind.is_hard_link() {
                header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
            }
            header.set_cksum();
            builder.append(&header, *data).expect("append");
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&builder.into_inner().expect("tar")).expect("gzip");
        gzip.finish().expect("gzip")
    }

    fn refused(name: &str, kind: tar::EntryType) -> String {
        read_archive(&tgz(&[(name, b"x", kind)])).expect_err(name).to_string()
    }

    #[test]
    fn paths_that_leave_the_chart_are_refused() {
        let file = tar::EntryType::Regular;
        for name in ["c/../../etc/passwd", "c/../x", "c/a/../../x"] {
            assert_eq!(refused(name, file), "chart illegally references parent directory");
        }
        assert_eq!(refused("c//etc/passwd", file), "chart illegally contains absolute paths");
        assert_eq!(refused("c/C:/x", file), "chart contains illegally named files");
        assert_eq!(refused("c\\..\\..\\x", file), "chart illegally references parent directory");
        assert_eq!(refused("Chart.yaml", file), "chart yaml not in base directory");
        assert_eq!(refused("x", file), "chart illegally contains content outside the base directory");
    }

    #[test]
    fn links_and_devices_are_refused() {
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char, tar::EntryType::Fifo] {
            assert!(refused("c/Chart.lock", kind).contains("link or a special file"));
        }
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0u8; 6 * 1024 * 1024];
        let bomb = tgz(&[("c/big", &zeros, tar::EntryType::Regular)]);
        assert!(bomb.len() < 20_000);
        assert_eq!(read_archive(&bomb).expect_err("bomb").to_string(), "decompressed chart file \"big\" is larger than the maximum file size 5242880");
        let many: Vec<(&str, &[u8], tar::EntryType)> = (0..5).map(|_| ("c/a", zeros[..1000].as_ref(), tar::EntryType::Regular)).collect();
        let error = read_archive_bounded(&tgz(&many), 3_000, 2_000).expect_err("together");
        assert_eq!(error.to_string(), "decompressed chart is larger than the maximum size 3000");
        assert!(read_archive(b"not gzip").is_err() && read_archive(&[]).is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let files = vec![File { name: "Chart.yaml".into(), data: b"a".to_vec() }, File { name: "templates/x.yaml".into(), data: b"b".to_vec() }];
        let bytes = write_archive("c", &files).expect("written");
        assert_eq!(read_archive(&bytes).expect("read"), files);
        assert_eq!(bytes, write_archive("c", &files).expect("again"));
    }
}
