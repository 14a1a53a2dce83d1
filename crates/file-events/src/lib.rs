//! Waiting for changes of files without asking again and again.
//!
//! Never reads a file. Keeps true: what changed after a watch began is told, however often it is waited for in between.

mod inotify;

pub use inotify::{ARRIVALS, FOLDER, Inotify, WRITES};
