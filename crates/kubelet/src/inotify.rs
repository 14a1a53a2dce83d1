//! Waiting for changes of files without asking again and again.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tokio::io::unix::AsyncFd;

pub struct Inotify(AsyncFd<OwnedFd>);

/// Files that came, went, or were written to the end.
pub const FOLDER: u32 = libc::IN_CLOSE_WRITE | libc::IN_MOVED_TO | libc::IN_MOVED_FROM | libc::IN_DELETE;
/// The same and each single write.
pub const WRITES: u32 = FOLDER | libc::IN_MODIFY | libc::IN_CREATE;

impl Inotify {
    pub fn watch(dir: &Path, mask: u32) -> io::Result<Self> {
        let path = std::ffi::CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: a plain system call.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made and belongs to nobody else.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: `path` is a C string that lives through the call.
        if unsafe { libc::inotify_add_watch(owned.as_raw_fd(), path.as_ptr(), mask) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is owned by the value and stays open as long as it is registered.
        unsafe { AsyncFd::register(owned) }.map(Self).map_err(io::Error::from)
    }

    /// Returns after at least one change since the last call. Cancel safe.
    pub async fn changed(&self) -> io::Result<()> {
        let mut buffer = [0u8; 4096];
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| nix::unistd::read(fd.get_ref(), &mut buffer).map_err(Into::into)) {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }
}
