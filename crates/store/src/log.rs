//! How changes are written to the log, and read back.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{self, Fields};
use crate::record::{Change, Event, Record};
use crate::state::{Shared, State, TableId};

pub const TABLE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;

/// Tables already named in the frame at hand: every frame can be read by itself.
#[derive(Default)]
pub struct Named {
    to_frame: Vec<Option<u64>>,
    count: u64,
}

impl Named {
    /// The frame's number of a table; names it first where it is new.
    fn number(&mut self, shared: &Shared, table: TableId, buffer: &mut Vec<u8>) -> u64 {
        let at = table.0 as usize;
        if self.to_frame.len() <= at {
            self.to_frame.resize(at + 1, None);
        }
        if let Some(number) = self.to_frame[at] {
            return number;
        }
        let number = self.count;
        self.count += 1;
        self.to_frame[at] = Some(number);
        buffer.push(TABLE);
        frame::put_bytes(buffer, shared.table_name(table).as_deref().unwrap_or_default().as_bytes());
        number
    }
}

pub fn put_event(buffer: &mut Vec<u8>, shared: &Shared, named: &mut Named, table: TableId, event: &Event) {
    match event.change {
        Change::Deleted => {
            let number = named.number(shared, table, buffer);
            buffer.push(DELETE);
            frame::put_u64(buffer, number);
            frame::put_u64(buffer, event.revision());
            frame::put_bytes(buffer, event.record.key.as_bytes());
        }
        Change::Created | Change::Updated => put_record(buffer, shared, named, table, &event.record),
    }
}

pub fn put_record(buffer: &mut Vec<u8>, shared: &Shared, named: &mut Named, table: TableId, record: &Record) {
    let number = named.number(shared, table, buffer);
    buffer.push(PUT);
    frame::put_u64(buffer, number);
    frame::put_u64(buffer, record.revision);
    frame::put_u64(buffer, record.created);
    frame::put_u64(buffer, u64::from(record.stamp().0));
    frame::put_u64(buffer, u64::from(record.stamp().1));
    frame::put_bytes(buffer, record.key.as_bytes());
    frame::put_bytes(buffer, &record.value);
}

/// Replays the frames of one file onto a state.
pub struct Replay<'a> {
    pub shared: &'a Shared,
    pub state: &'a mut State,
    tables: Vec<TableId>,
}

impl<'a> Replay<'a> {
    pub fn new(shared: &'a Shared, state: &'a mut State) -> Self {
        Self { shared, state, tables: Vec::new() }
    }

    /// Applies one frame; changes that the state already holds are passed over.
    pub fn frame(&mut self, payload: &[u8], events: &mut Vec<(TableId, Arc<Event>)>) -> io::Result<()> {
        let mut fields = Fields(payload);
        self.tables.clear();
        while !fields.is_empty() {
            match fields.byte()? {
                TABLE => self.tables.push(self.shared.table(fields.text()?)),
                PUT => self.put(&mut fields, events)?,
                DELETE => self.delete(&mut fields, events)?,
                other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("entry of unknown kind {other}"))),
            }
        }
        Ok(())
    }

    fn table(&self, number: u64) -> io::Result<TableId> {
        self.tables.get(number as usize).copied().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("table {number} was never named")))
    }

    fn put(&mut self, fields: &mut Fields, events: &mut Vec<(TableId, Arc<Event>)>) -> io::Result<()> {
        let table = self.table(fields.u64()?)?;
        let (revision, created) = (fields.u64()?, fields.u64()?);
        let stamp = (fields.u64()? as u32, fields.u64()? as u32);
        let key: Arc<str> = fields.text()?.into();
        let value = fields.bytes()?;
        if (stamp.0 as usize).saturating_add(stamp.1 as usize) > value.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the revision's place lies outside the value"));
        }
        if revision <= self.state.revision {
            return Ok(());
        }
        let record = Arc::new(Record::stamped(key, Bytes::copy_from_slice(value), created, revision, stamp, None));
        let previous = self.state.table_mut(table).insert(record.clone());
        let change = if previous.is_some() { Change::Updated } else { Change::Created };
        self.state.revision = revision;
        events.push((table, Arc::new(Event { change, record, previous })));
        Ok(())
    }

    fn delete(&mut self, fields: &mut Fields, events: &mut Vec<(TableId, Arc<Event>)>) -> io::Result<()> {
        let table = self.table(fields.u64()?)?;
        let revision = fields.u64()?;
        let key = fields.text()?;
        if revision <= self.state.revision {
            return Ok(());
        }
        self.state.revision = revision;
        if let Some(previous) = self.state.table_mut(table).remove(key) {
            let record = Arc::new(previous.deleted(revision));
            events.push((table, Arc::new(Event { change: Change::Deleted, record, previous: Some(previous) })));
        }
        Ok(())
    }
}
