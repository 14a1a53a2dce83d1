//! Who wakes the watchers of a table.
//!
//! The write thread wakes one task, and that one all watchers. Woken from a thread of their own they would all wait in the
//! runtime's common queue, which its workers look into only now and then while requests keep them busy: writes would overtake
//! the watches of what they wrote, by as much as the load is heavy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch as signal;

/// What waking one watcher costs, roughly. The next call waits this long for each, so that under a storm of writes a hundred
/// watchers take several changes at once instead of being woken for each; a lone change is told at once.
const PER_WATCHER: Duration = Duration::from_micros(40);
/// The runtime's clock knows nothing shorter.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(10);

pub(crate) struct Crier {
    /// What the write thread made visible.
    published: signal::Sender<u64>,
    /// What watchers were told of.
    cried: Arc<signal::Sender<u64>>,
    at_work: Arc<AtomicBool>,
}

impl Crier {
    pub fn new(revision: u64) -> Self {
        Self { published: signal::Sender::new(revision), cried: Arc::new(signal::Sender::new(revision)), at_work: Arc::default() }
    }

    pub fn publish(&self, revision: u64) {
        self.published.send_replace(revision);
    }

    /// Wakes everybody although there is nothing new.
    pub fn stir(&self) {
        self.published.send_modify(|_| {});
    }

    pub fn hear(&self) -> Ear {
        let ear = Ear { cried: self.cried.subscribe(), published: self.published.subscribe() };
        if let Ok(runtime) = Handle::try_current()
            && !self.at_work.swap(true, Ordering::AcqRel)
        {
            let work = Work(self.at_work.clone());
            runtime.spawn(cry(self.published.subscribe(), self.cried.clone(), work));
        }
        ear
    }
}

/// A watcher's ear.
pub(crate) struct Ear {
    cried: signal::Receiver<u64>,
    published: signal::Receiver<u64>,
}

impl Ear {
    /// The newest revision that was made visible, cried or not.
    pub fn published(&self) -> u64 {
        *self.published.borrow()
    }

    /// The newest revision that was cried; the next [`Ear::wait`] is for a later call.
    pub fn cried(&mut self) -> u64 {
        *self.cried.borrow_and_update()
    }

    pub async fn wait(&mut self) {
        if self.cried.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Says that nobody cries any more, also when the runtime drops the task.
struct Work(Arc<AtomicBool>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn cry(mut published: signal::Receiver<u64>, cried: Arc<signal::Sender<u64>>, _work: Work) {
    loop {
        let newest = *published.borrow_and_update();
        cried.send_replace(newest);
        let rest = rest(cried.receiver_count());
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
        if published.changed().await.is_err() {
            return;
        }
    }
}

fn rest(watchers: usize) -> Duration {
    let rest = PER_WATCHER.saturating_mul(watchers.min(u32::MAX as usize) as u32).min(LONGEST);
    if rest < SHORTEST { Duration::ZERO } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_lone_change_is_told_at_once_and_a_storm_by_turns() {
        let crier = Crier::new(1);
        let mut ears: Vec<Ear> = (0..100).map(|_| crier.hear()).collect();
        ears[0].wait().await;
        assert_eq!(ears[0].cried(), 1, "the first call of all");
        crier.publish(2);
        ears[0].wait().await;
        assert_eq!(ears[0].cried(), 2);
        crier.publish(3);
        crier.publish(4);
        tokio::task::yield_now().await;
        assert!(ears[0].wait().now_or_never().is_none(), "a hundred watchers were just woken");
        ears[0].wait().await;
        assert_eq!((ears[0].cried(), ears[0].published()), (4, 4));
    }

    #[test]
    fn few_watchers_never_wait_and_many_not_for_long() {
        assert_eq!(rest(24), Duration::ZERO);
        assert_eq!(rest(100), Duration::from_millis(4));
        assert_eq!(rest(usize::MAX), LONGEST);
    }
}
