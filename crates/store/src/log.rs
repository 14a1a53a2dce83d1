//! How changes are written to the log, and read back.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use ring::aead::LessSafeKey;

use crate::frame::{self, Fields};
use crate::record::{Change, Event, Record};
use crate::seal;
use crate::state::{Shared, State, TableId};

const TABLE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
/// The wrapped data key of the sealed values that follow in this frame.
const KEY: u8 = 4;
const PUT_SEALED: u8 = 5;

/// What the frame at hand named already: every frame can be read by itself.
#[derive(Default)]
pub struct Named {
    to_frame: Vec<Option<NamedTable>>,
    count: u64,
    /// What this frame is sealed with: taken once, for it may be exchanged meanwhile.
    seals: Option<Arc<seal::Current>>,
    key: bool,
}

#[derive(Clone)]
struct NamedTable {
    number: u64,
    /// The table's name, where its values are sealed.
    sealed: Option<Arc<str>>,
}

impl Named {
    /// The frame's number of a table; names it first where it is new.
    fn table(&mut self, shared: &Shared, table: TableId, buffer: &mut Vec<u8>) -> NamedTable {
        let at = table.0 as usize;
        if self.to_frame.len() <= at {
            self.to_frame.resize(at + 1, None);
        }
        if let Some(named) = &self.to_frame[at] {
            return named.clone();
        }
        let name = shared.table_name(table).unwrap_or_else(|| "".into());
        buffer.push(TABLE);
        frame::put_bytes(buffer, name.as_bytes());
        if self.seals.is_none() {
            self.seals = shared.sealer().map(seal::Sealer::current);
        }
        let sealed = self.seals.as_ref().is_some_and(|seals| seals.covers(&name)).then_some(name);
        let named = NamedTable { number: self.count, sealed };
        self.count += 1;
        self.to_frame[at] = Some(named.clone());
        named
    }
}

pub fn put_event(buffer: &mut Vec<u8>, shared: &Shared, named: &mut Named, table: TableId, event: &Event) -> io::Result<()> {
    match event.change {
        Change::Deleted => {
            let number = named.table(shared, table, buffer).number;
            buffer.push(DELETE);
            frame::put_u64(buffer, number);
            frame::put_u64(buffer, event.revision());
            frame::put_bytes(buffer, event.record.key.as_bytes());
            Ok(())
        }
        Change::Created | Change::Updated => put_record(buffer, shared, named, table, &event.record),
    }
}

pub fn put_record(buffer: &mut Vec<u8>, shared: &Shared, named: &mut Named, table: TableId, record: &Record) -> io::Result<()> {
    let NamedTable { number, sealed } = named.table(shared, table, buffer);
    let Some((name, seals)) = sealed.zip(named.seals.clone()) else {
        put_fields(buffer, PUT, number, record, &record.value);
        return Ok(());
    };
    if !std::mem::replace(&mut named.key, true) {
        buffer.push(KEY);
        frame::put_bytes(buffer, &seals.wrapped);
    }
    let value = seals.seal(&seal::bound_to(&name, &record.key, record.revision), &record.value)?;
    put_fields(buffer, PUT_SEALED, number, record, &value);
    Ok(())
}

fn put_fields(buffer: &mut Vec<u8>, kind: u8, number: u64, record: &Record, value: &[u8]) {
    buffer.push(kind);
    frame::put_u64(buffer, number);
    frame::put_u64(buffer, record.revision);
    frame::put_u64(buffer, record.created);
    frame::put_u64(buffer, u64::from(record.stamp().0));
    frame::put_u64(buffer, u64::from(record.stamp().1));
    frame::put_bytes(buffer, record.key.as_bytes());
    frame::put_bytes(buffer, value);
}

/// What a frame holds besides names and keys.
pub enum Entry<'a> {
    Put(TableId, Record),
    Delete { table: TableId, revision: u64, key: &'a str },
}

/// The entries of one frame.
pub struct Entries<'a> {
    shared: &'a Shared,
    fields: Fields<'a>,
    tables: Vec<(TableId, &'a str)>,
    key: Option<Arc<LessSafeKey>>,
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

impl<'a> Entries<'a> {
    pub fn of(shared: &'a Shared, payload: &'a [u8]) -> Self {
        Self { shared, fields: Fields(payload), tables: Vec::new(), key: None }
    }

    pub fn next(&mut self) -> io::Result<Option<Entry<'a>>> {
        while !self.fields.is_empty() {
            match self.fields.byte()? {
                TABLE => {
                    let name = self.fields.text()?;
                    self.tables.push((self.shared.table(name), name));
                }
                KEY => self.key = Some(self.frame_key()?),
                PUT => return self.put(false).map(Some),
                PUT_SEALED => return self.put(true).map(Some),
                DELETE => {
                    let (table, _) = self.table()?;
                    return Ok(Some(Entry::Delete { table, revision: self.fields.u64()?, key: self.fields.text()? }));
                }
                other => return Err(invalid(format!("entry of unknown kind {other}"))),
            }
        }
        Ok(None)
    }

    fn frame_key(&mut self) -> io::Result<Arc<LessSafeKey>> {
        let wrapped = self.fields.bytes()?;
        let sealer = self.shared.sealer().ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, "it holds encrypted values, and no encryption keys were given"))?;
        sealer.frame_key(wrapped)
    }

    fn table(&mut self) -> io::Result<(TableId, &'a str)> {
        let number = self.fields.u64()?;
        self.tables.get(number as usize).copied().ok_or_else(|| invalid(format!("table {number} was never named")))
    }

    fn put(&mut self, sealed: bool) -> io::Result<Entry<'a>> {
        let (table, name) = self.table()?;
        let (revision, created) = (self.fields.u64()?, self.fields.u64()?);
        let stamp = (self.fields.u64()? as u32, self.fields.u64()? as u32);
        let key = self.fields.text()?;
        let stored = self.fields.bytes()?;
        let value: Bytes = match (sealed, &self.key) {
            (false, _) => Bytes::copy_from_slice(stored),
            (true, Some(data_key)) => seal::open(data_key, &seal::bound_to(name, key, revision), stored)?.into(),
            (true, None) => return Err(invalid("a sealed value whose key was never named")),
        };
        if (stamp.0 as usize).saturating_add(stamp.1 as usize) > value.len() {
            return Err(invalid("the revision's place lies outside the value"));
        }
        Ok(Entry::Put(table, Record::stamped(key.into(), value, created, revision, stamp, None)))
    }
}

/// Applies one frame to a state; changes that the state already holds are passed over.
pub fn replay(shared: &Shared, state: &mut State, payload: &[u8], events: &mut Vec<(TableId, Arc<Event>)>) -> io::Result<()> {
    let mut entries = Entries::of(shared, payload);
    while let Some(entry) = entries.next()? {
        match entry {
            Entry::Put(table, record) if record.revision > state.revision => {
                state.revision = record.revision;
                let record = Arc::new(record);
                let previous = state.table_mut(table).insert(record.clone());
                let change = if previous.is_some() { Change::Updated } else { Change::Created };
                events.push((table, Arc::new(Event { change, record, previous })));
            }
            Entry::Delete { table, revision, key } if revision > state.revision => {
                state.revision = revision;
                if let Some(previous) = state.table_mut(table).remove(key) {
                    let record = Arc::new(previous.deleted(revision));
                    events.push((table, Arc::new(Event { change: Change::Deleted, record, previous: Some(previous) })));
                }
            }
            Entry::Put(..) | Entry::Delete { .. } => {}
        }
    }
    Ok(())
}
