//! Answers of other resolvers, remembered for as long as they say, at most half a minute. Bounded in entries.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::RecordType;

const ENTRIES_MAX: usize = 4096;
const LIFE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    name: String,
    kind: RecordType,
    /// Whether the client wants signatures: such answers differ.
    signed: bool,
}

impl Key {
    pub fn of(query: &Query, signed: bool) -> Self {
        Self { name: query.name.to_ascii().to_ascii_lowercase(), kind: query.query_type, signed }
    }
}

#[derive(Default)]
pub(crate) struct Cache {
    entries: HashMap<Key, (Message, Instant, Instant)>,
}

impl Cache {
    /// A remembered answer with its lifetimes lowered by its age.
    pub fn get(&mut self, key: &Key, now: Instant) -> Option<Message> {
        let (message, since, until) = self.entries.get(key)?;
        if now >= *until {
            self.entries.remove(key);
            return None;
        }
        let age = u32::try_from(now.duration_since(*since).as_secs()).unwrap_or(u32::MAX);
        let mut message = message.clone();
        let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
        sections.into_iter().flatten().for_each(|record| record.ttl = record.ttl.saturating_sub(age));
        Some(message)
    }

    pub fn put(&mut self, key: Key, message: &Message, now: Instant) {
        let cacheable = matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) && !message.metadata.truncation;
        let Some(ttl) = message.answers.iter().chain(&message.authorities).map(|r| r.ttl).min() else { return };
        let life = Duration::from_secs(u64::from(ttl)).min(LIFE_MAX);
        if !cacheable || life.is_zero() {
            return;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.retain(|_, (_, _, until)| now < *until);
        }
        if self.entries.len() >= ENTRIES_MAX {
            // All are alive: half of them go, whichever.
            let mut turn = false;
            self.entries.retain(|_, _| {
                turn = !turn;
                turn
            });
        }
        self.entries.insert(key, (message.clone(), now, now + life));
    }
}
