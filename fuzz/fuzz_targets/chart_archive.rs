//! Archives of charts: any tar, compressed here, is a chart or an error, and no member leads out of its folder.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|tar: &[u8]| {
    let _ = charts::archive::read_archive(tar);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    let Ok(bytes) = gzip.write_all(tar).and_then(|()| gzip.finish()) else { return };
    let Ok(files) = charts::archive::read_archive(&bytes) else { return };
    for file in &files {
        assert!(!file.name.starts_with('/') && file.name.split('/').all(|part| part != ".."), "{}", file.name);
    }
    let _ = charts::load_files(files);
});
