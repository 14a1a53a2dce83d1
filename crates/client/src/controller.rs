//! The one shell of every controller: take a key, observe, plan, apply, look again.
//!
//! The shell knows no kind. It keeps true: one key is worked on by one worker at a time; a key is not observed before the
//! caches have seen what its last plan wrote; a failure comes back with backoff; a panic of one plan ends that plan only.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::action::Plan;
use crate::apply::{Executor, Failure, Written};
use crate::queue::WorkQueue;
use crate::shared::Informers;
use crate::Error;

/// Longest wait for the caches to show our own writes; after it the plan is made on what is there.
const OWN_WRITES: Duration = Duration::from_secs(10);

/// One controller: how to look at a key, and what to do about it.
pub trait Controller: Send + Sync + 'static {
    const NAME: &'static str;
    type Key: Clone + Eq + Hash + Debug + Display + Send + Sync + 'static;
    type Observed: Send;

    /// Reads caches (rarely the API). `None`: nothing to decide.
    fn observe(&self, key: &Self::Key) -> impl Future<Output = Result<Option<Self::Observed>, Error>> + Send;

    /// Decides. Pure.
    fn plan(observed: Self::Observed, now: Timestamp) -> Plan;
}

/// What controllers share.
#[derive(Clone)]
pub struct Shell {
    pub informers: Informers,
    pub executor: Executor,
    pub shutdown: CancellationToken,
}

type Expectations<K> = Mutex<HashMap<K, Vec<Written>>>;

/// Waits for the caches asked for so far, then runs `workers` workers over the queue until shutdown.
pub async fn run_controller<C: Controller>(controller: C, queue: WorkQueue<C::Key>, shell: Shell, workers: usize) {
    // A plan on a cache half full would create what is there already.
    if let Err(error) = shell.informers.wait_synced().await {
        tracing::debug!(controller = C::NAME, %error, "controller did not start");
        return;
    }
    let controller = Arc::new(controller);
    let expectations: Arc<Expectations<C::Key>> = Arc::default();
    let tasks: Vec<_> = (0..workers.max(1))
        .map(|_| {
            let (controller, queue, shell, expectations) = (controller.clone(), queue.clone(), shell.clone(), expectations.clone());
            tokio::spawn(async move {
                while let Some(key) = queue.next().await {
                    let work = std::panic::AssertUnwindSafe(reconcile(&*controller, &key, &queue, &shell, &expectations));
                    if work.catch_unwind().await.is_err() {
                        tracing::error!(controller = C::NAME, %key, "plan panicked");
                        queue.add_rate_limited(key.clone());
                    }
                    queue.done(&key);
                }
            })
        })
        .collect();
    shell.shutdown.cancelled().await;
    queue.close();
    futures::future::join_all(tasks).await;
}

async fn reconcile<C: Controller>(controller: &C, key: &C::Key, queue: &WorkQueue<C::Key>, shell: &Shell, expectations: &Expectations<C::Key>) {
    let expected = expectations.lock().remove(key).unwrap_or_default();
    if !shell.informers.wait_written(&expected, OWN_WRITES).await {
        tracing::warn!(controller = C::NAME, %key, "caches did not show our own writes in time");
    }
    let plan = match controller.observe(key).await {
        Ok(Some(observed)) => C::plan(observed, Timestamp::now()),
        Ok(None) => return queue.forget(key),
        Err(error) => {
            tracing::warn!(controller = C::NAME, %key, %error, "observing failed");
            return queue.add_rate_limited(key.clone());
        }
    };
    for action in plan.actions.iter().chain(&plan.finally) {
        tracing::debug!(controller = C::NAME, %key, action = %action.describe(), "planned");
    }
    let (mut written, mut failure) = shell.executor.run(plan.actions).await;
    let rest = match (&failure, plan.on_failure) {
        (Some(failed), Some(answer)) => answer(failed),
        (Some(_), None) => Vec::new(),
        (None, _) => plan.finally,
    };
    let (more, late) = shell.executor.run(rest).await;
    written.extend(more);
    failure = failure.or(late);
    if !written.is_empty() {
        expectations.lock().insert(key.clone(), written);
    }
    match failure {
        Some(failure) => retry::<C>(key, queue, &failure),
        None => queue.forget(key),
    }
    if let Some(wake) = plan.wake {
        queue.add_after(key.clone(), wake);
    }
}

fn retry<C: Controller>(key: &C::Key, queue: &WorkQueue<C::Key>, failure: &Failure) {
    if failure.is_namespace_ending() {
        return queue.forget(key);
    }
    if failure.is_stale() {
        tracing::debug!(controller = C::NAME, %key, error = %failure.error, "plan was made on an old view");
    } else {
        tracing::warn!(controller = C::NAME, %key, error = %failure.error, "action failed");
    }
    queue.add_rate_limited(key.clone());
}
