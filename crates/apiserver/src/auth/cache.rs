//! Answers that hold for a while: bounded in time and in number.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What is known of so many questions at most.
const MAX: usize = 4096;

pub struct Cache<K, V> {
    known: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub fn new() -> Self {
        Self { known: Mutex::default() }
    }

    pub fn get(&self, key: &K, now: Instant) -> Option<V> {
        self.known.lock().get(key).filter(|(until, _)| *until > now).map(|(_, value)| value.clone())
    }

    /// Keeps an answer for `life`. Where there is no room, what has ended goes first, then what ends next.
    pub fn put(&self, key: K, value: V, life: Duration, now: Instant) {
        if life.is_zero() {
            return;
        }
        let mut known = self.known.lock();
        if known.len() >= MAX {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() >= MAX
            && let Some(next) = known.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone())
        {
            known.remove(&next);
        }
        known.insert(key, (now + life, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_and_are_bounded() {
        let (cache, now) = (Cache::new(), Instant::now());
        let second = Duration::from_secs(1);
        cache.put(0, 'a', second, now);
        cache.put(1, 'b', Duration::ZERO, now);
        assert_eq!((cache.get(&0, now), cache.get(&0, now + second), cache.get(&1, now)), (Some('a'), None, None));
        (0..2 * MAX).for_each(|i| cache.put(i, 'c', second * 2, now));
        assert!(cache.known.lock().len() <= MAX);
        assert_eq!(cache.get(&(2 * MAX - 1), now), Some('c'));
    }
}
