//! Every step the disk driver takes on its files, in one place, so that it can be watched and refused.
//!
//! Tests record the steps under load and put back the folder as it was after any of them; nothing else listens.
//! Reading is no step: what was read cannot be lost.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One step on the files of a store.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A file of this name begins anew, empty.
    Create(&'a Path),
    /// Bytes at the end of a file.
    Append(&'a Path, &'a [u8]),
    /// A file is cut back to a length.
    Cut(&'a Path, u64),
    /// What a file holds is made durable.
    Sync(&'a Path),
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
    /// Which files the folder has is made durable.
    SyncFolder(&'a Path),
}

type Listener = dyn Fn(Step<'_>) -> io::Result<()> + Send + Sync;

/// Hears of every step before it is taken; an error is what the step then fails with.
#[derive(Clone, Default)]
pub struct Listen(Option<Arc<Listener>>);

impl Listen {
    pub fn with(listener: impl Fn(Step<'_>) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    fn tell(&self, step: Step<'_>) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |listener| listener(step))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(Step::Rename(from, to))?;
        fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.tell(Step::Remove(path))?;
        fs::remove_file(path)
    }

    /// Makes a rename or a new file durable.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.tell(Step::SyncFolder(folder))?;
        File::open(folder)?.sync_all()
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "listened to" } else { "silent" })
    }
}

/// A file that only grows at its end.
pub(crate) struct Growing {
    file: File,
    path: PathBuf,
    listen: Listen,
}

impl Growing {
    /// A new file; an old one of this name is emptied.
    pub fn create(path: &Path, listen: &Listen) -> io::Result<Self> {
        listen.tell(Step::Create(path))?;
        Ok(Self { file: File::create(path)?, path: path.to_owned(), listen: listen.clone() })
    }

    /// A new file; an old one of this name is an error.
    pub fn create_new(path: &Path, listen: &Listen) -> io::Result<Self> {
        listen.tell(Step::Create(path))?;
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        Ok(Self { file, path: path.to_owned(), listen: listen.clone() })
    }

    /// A file that is there, to go on at `len`; what lies behind is cut off.
    pub fn go_on(path: &Path, len: u64, listen: &Listen) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        let mut growing = Self { file, path: path.to_owned(), listen: listen.clone() };
        growing.cut(len)?;
        Ok(growing)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.listen.tell(Step::Append(&self.path, bytes))?;
        self.file.write_all(bytes)
    }

    pub fn cut(&mut self, len: u64) -> io::Result<()> {
        self.listen.tell(Step::Cut(&self.path, len))?;
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len)).map(|_| ())
    }

    /// The contents and their length; times and owners may be lost.
    pub fn sync_data(&self) -> io::Result<()> {
        self.listen.tell(Step::Sync(&self.path))?;
        self.file.sync_data()
    }

    pub fn sync_all(&self) -> io::Result<()> {
        self.listen.tell(Step::Sync(&self.path))?;
        self.file.sync_all()
    }
}
