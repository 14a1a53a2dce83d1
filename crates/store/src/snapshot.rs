//! A snapshot: everything at one revision, in one file that is either whole or not there.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::files::{Growing, Listen};
use crate::frame::{self, Fields, Found};
use crate::log::{self, Entries, Entry, Named};
use crate::state::{Shared, State, TableId};

const HEAD: u8 = 10;
const FOOT: u8 = 11;
const STRETCH: usize = 1 << 20;

/// Writes `state` beside `path` and renames it into place once it is durable.
pub fn write(path: &Path, shared: &Shared, state: &State, listen: &Listen) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = Growing::create(&part, listen)?;
    let mut named = Named::default();
    let mut buffer = Vec::with_capacity(STRETCH + (1 << 16));
    let start = frame::begin(&mut buffer);
    buffer.push(HEAD);
    frame::put_u64(&mut buffer, state.revision);
    frame::end(&mut buffer, start);
    let mut count = 0u64;
    let mut start = frame::begin(&mut buffer);
    for (table, chunks) in state.tables.iter().enumerate() {
        for record in chunks.iter() {
            log::put_record(&mut buffer, shared, &mut named, TableId(table as u32), record)?;
            count += 1;
            if buffer.len() >= STRETCH {
                frame::end(&mut buffer, start);
                file.append(&buffer)?;
                buffer.clear();
                start = frame::begin(&mut buffer);
                named = Named::default();
            }
        }
    }
    frame::end(&mut buffer, start);
    let start = frame::begin(&mut buffer);
    buffer.push(FOOT);
    frame::put_u64(&mut buffer, count);
    frame::end(&mut buffer, start);
    file.append(&buffer)?;
    file.sync_all()?;
    listen.rename(&part, path)?;
    path.parent().map_or(Ok(()), |folder| listen.sync_folder(folder))
}

/// Reads a snapshot; the state is whole or the error says at which byte it is not.
pub fn read(path: &Path, shared_of: impl FnOnce(u64) -> Arc<Shared>) -> io::Result<(Arc<Shared>, State)> {
    let bytes = fs::read(path)?;
    let bad = |at: usize, why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{why} at byte {at}"));
    let Found::Frame(head, mut at) = frame::read(&bytes, 0) else { return Err(bad(0, "no good head")) };
    let mut fields = Fields(head);
    if fields.byte()? != HEAD {
        return Err(bad(0, "not a snapshot"));
    }
    let revision = fields.u64()?;
    let shared = shared_of(revision);
    let mut state = State { revision, tables: Vec::new() };
    let mut count = 0u64;
    loop {
        let Found::Frame(payload, next) = frame::read(&bytes, at) else { return Err(bad(at, "a bad stretch")) };
        if payload.first() == Some(&FOOT) {
            let expected = Fields(&payload[1..]).u64()?;
            return if expected == count { Ok((shared, state)) } else { Err(bad(at, "records are missing")) };
        }
        let mut entries = Entries::of(&shared, payload);
        while let Some(entry) = entries.next().map_err(|e| io::Error::new(e.kind(), format!("{e} (at byte {at})")))? {
            let Entry::Put(table, record) = entry else { return Err(bad(at, "a deletion")) };
            state.table_mut(table).insert(Arc::new(record));
            count += 1;
        }
        at = next;
    }
}
