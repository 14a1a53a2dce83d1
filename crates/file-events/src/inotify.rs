//! The kernel's own events, of folders.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tokio::io::unix::AsyncFd;

/// What happens in the folders that it was told of.
pub struct Inotify(AsyncFd<OwnedFd>);

/// Files that came, went, or were written to the end.
pub const FOLDER: u32 = libc::IN_CLOSE_WRITE | libc::IN_MOVED_TO | libc::IN_MOVED_FROM | libc::IN_DELETE;
/// Files that came, sockets among them.
pub const ARRIVALS: u32 = libc::IN_CREATE | libc::IN_MOVED_TO;
/// Those of folders and each single write.
pub const WRITES: u32 = FOLDER | libc::IN_MODIFY | libc::IN_CREATE;

impl Inotify {
    pub fn watch(dir: &Path, mask: u32) -> io::Result<Self> {
        let all = Self::new()?;
        all.add(dir, mask)?;
        Ok(all)
    }

    /// Tells of nothing yet. Needs a runtime.
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain system call.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made and belongs to nobody else.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the descriptor is owned by the value and stays open as long as it is registered.
        unsafe { AsyncFd::register(owned) }.map(Self).map_err(io::Error::from)
    }

    /// Tells of a folder too. A folder that is added twice is told of once.
    pub fn add(&self, dir: &Path, mask: u32) -> io::Result<()> {
        let path = std::ffi::CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: `path` is a C string that lives through the call.
        if unsafe { libc::inotify_add_watch(self.0.get_ref().as_raw_fd(), path.as_ptr(), mask) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_in_all_folders_are_told() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let watch = Inotify::watch(one.path(), FOLDER).unwrap();
        watch.add(two.path(), FOLDER).unwrap();
        for folder in [&one, &two] {
            std::fs::write(folder.path().join("a"), "b").unwrap();
            watch.changed().await.unwrap();
        }
        assert!(watch.add(&one.path().join("absent"), FOLDER).is_err());
    }
}
