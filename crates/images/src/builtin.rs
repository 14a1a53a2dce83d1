//! The two images built from this workspace's own programs.

use crate::{Image, archive};

/// Holds the namespaces of each pod.
pub const PAUSE: &str = "knarr.io/pause:1";
/// The example application.
pub const HELLO: &str = "knarr.io/hello:1";

static PAUSE_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));
static HELLO_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello"));

/// Both images in one archive.
pub fn builtin_archive() -> Vec<u8> {
    archive(&[
        Image { reference: PAUSE, program: "pause", bytes: PAUSE_PROGRAM, user: "65535:65535", ports: &[] },
        Image { reference: HELLO, program: "hello", bytes: HELLO_PROGRAM, user: "65532:65532", ports: &["8080/tcp"] },
    ])
}
