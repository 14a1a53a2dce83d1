//! Events do not stay: each goes an hour after it was last written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use store::{Change, Write};
use tokio::time::{Instant, sleep_until};

use crate::server::Server;

/// Upstream: `--event-ttl`.
const TTL: Duration = Duration::from_secs(3600);

/// Follows the events' table; what is not written again within its time is deleted.
pub async fn events(server: Arc<Server>) {
    let table = server.store.table("/registry/events");
    loop {
        let range = server.store.view().table(table);
        let Ok(mut watch) = server.store.watch(table, range.revision()) else { continue };
        let due = Instant::now() + TTL;
        let mut queue: VecDeque<(Instant, Arc<str>, u64)> = range.scan("", "").map(|r| (due, r.key.clone(), r.revision)).collect();
        loop {
            let next = queue.front().map_or_else(|| Instant::now() + TTL, |(due, ..)| *due);
            tokio::select! {
                changes = watch.next(1024) => match changes {
                    Ok(changes) => queue.extend(changes.iter().filter(|c| c.change != Change::Deleted).map(|c| (Instant::now() + TTL, c.record.key.clone(), c.revision()))),
                    // History ran ahead of us: begin anew from what is there.
                    Err(_) => break,
                },
                () = sleep_until(next) => {
                    if let Some((_, key, revision)) = queue.pop_front() {
                        // A newer revision has an entry of its own further back.
                        let _ = server.store.write(Write::Delete { table, key, revision }).await;
                    }
                }
                () = server.closing.cancelled() => return,
            }
        }
    }
}
