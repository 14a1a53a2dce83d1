//! Events do not stay: each goes a while after it was last written, an hour where nobody says otherwise.

use std::collections::VecDeque;
use std::sync::Arc;

use store::{Change, Write};
use tokio::time::{Instant, sleep_until};

use crate::server::Server;

/// Follows the events' table; what is not written again within its time is deleted.
pub async fn events(server: Arc<Server>) {
    let (table, life) = (server.store.table("/registry/events"), server.config.limits.event_ttl);
    loop {
        let range = server.store.view().table(table);
        let Ok(mut watch) = server.store.watch(table, range.revision()) else { continue };
        let due = Instant::now() + life;
        let mut queue: VecDeque<(Instant, Arc<str>, u64)> = range.scan("", "").map(|r| (due, r.key.clone(), r.revision)).collect();
        loop {
            let next = queue.front().map_or_else(|| Instant::now() + life, |(due, ..)| *due);
            tokio::select! {
                changes = watch.next(1024) => match changes {
                    Ok(changes) => queue.extend(changes.iter().filter(|c| c.change != Change::Deleted).map(|c| (Instant::now() + life, c.record.key.clone(), c.revision()))),
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
