//! Decides whether an occurrence is new, a repetition, one of a crowd, or spam. Pure but for its memory, which is bounded.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::Occurrence;

const REMEMBERED: usize = 4096;
const CROWD: usize = 10;
const CROWD_SECONDS: i64 = 600;
const BURST: f64 = 25.0;
const PER_SECOND: f64 = 1.0 / 300.0;

pub(super) enum Verdict {
    Drop,
    Create { key: String, message: String },
    Again { key: String, name: String, message: String, count: i32, first: Timestamp },
}

struct Crowd {
    messages: HashSet<String>,
    last: Timestamp,
}

struct Series {
    name: String,
    count: i32,
    first: Timestamp,
}

struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

#[derive(Default)]
pub(super) struct Correlator {
    crowds: HashMap<String, Crowd>,
    series: HashMap<String, Series>,
    buckets: HashMap<String, Bucket>,
    /// The occurrence under way, until its object has a name.
    pending: Option<(String, i32, Timestamp)>,
}

impl Correlator {
    pub fn judge(&mut self, o: &Occurrence) -> Verdict {
        let object = format!(
            "{}|{}|{}|{}|{}|{}",
            o.component,
            o.regarding.kind.as_deref().unwrap_or_default(),
            o.regarding.namespace.as_deref().unwrap_or_default(),
            o.regarding.name.as_deref().unwrap_or_default(),
            o.regarding.uid.as_deref().unwrap_or_default(),
            o.regarding.api_version.as_deref().unwrap_or_default(),
        );
        let crowd = format!("{object}|{}|{}", o.kind.as_str(), o.reason);
        let (key, message) = if self.crowded(&crowd, o) {
            (crowd, format!("(combined from similar events): {}", o.message))
        } else {
            (format!("{crowd}|{}|{}", o.regarding.field_path.as_deref().unwrap_or_default(), o.message), o.message.clone())
        };
        if !self.allowed(&object, o.at) {
            return Verdict::Drop;
        }
        if let Some(series) = self.series.get_mut(&key) {
            series.count = series.count.saturating_add(1);
            self.pending = Some((key.clone(), series.count, series.first));
            return Verdict::Again { key, name: series.name.clone(), message, count: series.count, first: series.first };
        }
        self.pending = Some((key.clone(), 1, o.at));
        Verdict::Create { key, message }
    }

    /// The object that the series of `key` lives in.
    pub fn remember(&mut self, key: String, name: String) {
        if let Some((pending, count, first)) = self.pending.take()
            && pending == key
        {
            make_room(&mut self.series);
            self.series.insert(key, Series { name, count, first });
        }
    }

    fn crowded(&mut self, key: &str, o: &Occurrence) -> bool {
        make_room(&mut self.crowds);
        let crowd = self.crowds.entry(key.to_owned()).or_insert_with(|| Crowd { messages: HashSet::new(), last: o.at });
        if o.at.duration_since(crowd.last).as_secs() > CROWD_SECONDS {
            crowd.messages.clear();
        }
        crowd.last = o.at;
        if crowd.messages.len() < CROWD || crowd.messages.contains(&o.message) {
            crowd.messages.insert(o.message.clone());
        } else {
            return true;
        }
        crowd.messages.len() >= CROWD
    }

    fn allowed(&mut self, object: &str, now: Timestamp) -> bool {
        make_room(&mut self.buckets);
        let bucket = self.buckets.entry(object.to_owned()).or_insert(Bucket { tokens: BURST, filled: now });
        let passed = now.duration_since(bucket.filled).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + passed * PER_SECOND).min(BURST);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

/// Forgets everything when full: an event is then told anew, which costs one object and no truth.
fn make_room<V>(map: &mut HashMap<String, V>) {
    if map.len() >= REMEMBERED {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventType;

    fn occurrence(message: &str) -> Occurrence {
        Occurrence { regarding: Default::default(), kind: EventType::Normal, reason: "R".into(), message: message.into(), component: "c".into(), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn repeats_are_counted_crowds_combined_and_spam_dropped() {
        let mut correlator = Correlator::default();
        let mut tell = |message: &str| match correlator.judge(&occurrence(message)) {
            Verdict::Drop => "drop".to_owned(),
            Verdict::Create { key, message } => {
                correlator.remember(key, format!("event of {message}"));
                format!("create {message}")
            }
            Verdict::Again { name, count, .. } => format!("{name} x{count}"),
        };
        assert_eq!(tell("m0"), "create m0");
        assert_eq!(tell("m0"), "event of m0 x2");
        for n in 1..9 {
            assert_eq!(tell(&format!("m{n}")), format!("create m{n}"));
        }
        assert_eq!(tell("m9"), "create (combined from similar events): m9");
        assert_eq!(tell("m10"), "event of (combined from similar events): m9 x2");
        for _ in 0..13 {
            assert_ne!(tell("m11"), "drop");
        }
        assert_eq!(tell("m12"), "drop");
    }
}
