//! How answers come back from the write thread: a group at a time, through one task of the runtime.
//!
//! A task that is woken from a thread of its own waits in the runtime's common queue, which busy workers look into only now and
//! then, for one task each time. So the write thread wakes one task for a whole group, and that one its writers.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::commit::WriteError;
use crate::record::Record;

pub(crate) type Outcome = Result<Arc<Record>, WriteError>;
pub(crate) type Reply = oneshot::Sender<Outcome>;
type Group = Vec<(Reply, Outcome)>;

/// Shared by the writers, who start the task, and the write thread. Bounded by the writes that may wait.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<OnceLock<mpsc::UnboundedSender<Group>>>);

impl Answers {
    /// Starts the task in the runtime of the first writer. Without a runtime the write thread answers by itself.
    pub fn start(&self) {
        if self.0.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            self.0.get_or_init(|| {
                let (sender, groups) = mpsc::unbounded_channel();
                runtime.spawn(carry(groups));
                sender
            });
        }
    }

    pub fn give(&self, group: Group) {
        match self.0.get() {
            None => answer(group),
            // The runtime that the task ran in is gone, the writers of another are not.
            Some(task) => task.send(group).unwrap_or_else(|left| answer(left.0)),
        }
    }
}

async fn carry(mut groups: mpsc::UnboundedReceiver<Group>) {
    while let Some(group) = groups.recv().await {
        answer(group);
    }
}

fn answer(group: Group) {
    for (reply, outcome) in group {
        let _ = reply.send(outcome);
    }
}
