//! The etcd driver against real members: several stores at once, members killed and paused, compaction from outside.

mod members;

use std::time::Duration;

use members::Members;
use store::{Change, Expect, Index, Record, Stamped, Store, TableId, Write, WriteError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

fn put(table: TableId, key: &str, text: &str, expect: Expect) -> Write {
    let value = Stamped { bytes: format!("{{\"revision\":\"\",\"text\":\"{text}\"}}").into(), at: 13 };
    Write::Put { table, key: key.into(), value, index: Index::default(), expect }
}

fn count_of(record: &Record) -> u64 {
    let text = std::str::from_utf8(&record.value).expect("text");
    text.rsplit('"').nth(1).and_then(|n| n.parse().ok()).expect("a count")
}

/// Adds one to a counter; tells whether the write was acknowledged.
async fn increment(store: &Store, table: TableId, key: &str) -> bool {
    let (expect, next) = match store.view().get(table, key) {
        Some(record) => (Expect::Revision(record.revision), count_of(&record) + 1),
        None => (Expect::Absent, 1),
    };
    store.write(put(table, key, &next.to_string(), expect)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_see_each_others_writes() {
    let members = Members::start(1, false);
    let (a, b) = (members.store().await, members.store().await);
    let (at_a, at_b) = (a.table("/registry/pods"), b.table("/registry/pods"));
    let mut watch = b.watch(at_b, b.revision()).expect("from now on");
    let first = a.write(put(at_a, "ns/x", "one", Expect::Absent)).await.expect("absent");
    assert!(std::str::from_utf8(&first.value).expect("text").contains(&format!("\"revision\":\"{}\"", first.revision)));
    b.fresh().await.expect("etcd answers");
    let seen = b.view().get(at_b, "ns/x").expect("fresh");
    assert_eq!((seen.revision, &seen.value), (first.revision, &first.value));
    assert!(matches!(b.write(put(at_b, "ns/x", "two", Expect::Absent)).await, Err(WriteError::Exists(r)) if r.revision == first.revision));
    let second = b.write(put(at_b, "ns/x", "two", Expect::Revision(first.revision))).await.expect("fits");
    assert!(matches!(a.write(put(at_a, "ns/x", "three", Expect::Revision(first.revision))).await, Err(WriteError::Modified(r)) if r.revision == second.revision));
    a.fresh().await.expect("etcd answers");
    let gone = a.write(Write::Delete { table: at_a, key: "ns/x".into(), revision: second.revision }).await.expect("fits");
    assert!(matches!(a.write(put(at_a, "ns/x", "x", Expect::Revision(second.revision))).await, Err(WriteError::Missing)));
    let mut events = Vec::new();
    while events.len() < 3 {
        events.extend(watch.next(1).await.expect("history is whole").iter().map(|e| (e.change, e.revision())));
    }
    assert_eq!(events, [(Change::Created, first.revision), (Change::Updated, second.revision), (Change::Deleted, gone.revision)]);
}

/// Eight writers at two servers count up while members are killed and paused; nothing acknowledged is lost or made twice.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_members_that_fail() {
    let mut members = Members::start(3, true);
    let stores = [members.store().await, members.store().await];
    let mut writers = Vec::new();
    let (stop, stopped) = watch::channel(false);
    for writer in 0..8usize {
        let (store, stopped) = (stores[writer % 2].clone(), stopped.clone());
        writers.push(tokio::spawn(async move {
            let table = store.table("/registry/counters");
            let mut acknowledged = 0u64;
            while !*stopped.borrow() {
                acknowledged += u64::from(increment(&store, table, &format!("ns/c{}", writer / 2)).await);
            }
            acknowledged
        }));
    }
    let progress = |from: u64| {
        let store = stores[0].clone();
        async move {
            while store.revision() < from + 100 {
                tokio::task::yield_now().await;
            }
        }
    };
    let within = |what: &'static str, work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| async move {
        tokio::time::timeout(Duration::from_secs(40), work).await.unwrap_or_else(|_| panic!("no progress {what}"));
    };
    within("at first", Box::pin(progress(stores[0].revision()))).await;
    members.kill(0);
    within("with a member killed", Box::pin(progress(stores[0].revision()))).await;
    members.run(0);
    within("with the member back", Box::pin(progress(stores[0].revision()))).await;
    members.signal(1, libc::SIGSTOP);
    within("with a member that answers nobody", Box::pin(progress(stores[0].revision()))).await;
    members.signal(1, libc::SIGCONT);
    stop.send_replace(true);
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.expect("no panic");
    }
    let mut counted = Vec::new();
    for store in &stores {
        store.fresh().await.expect("a majority runs");
        let table = store.table("/registry/counters");
        counted.push((0..4).map(|c| store.view().get(table, &format!("ns/c{c}")).map_or(0, |r| count_of(&r))).sum::<u64>());
    }
    assert_eq!(counted[0], counted[1], "both servers see the same");
    assert!(counted[0] >= acknowledged, "{} counted of {acknowledged} acknowledged", counted[0]);
    // A write whose answer was lost may have happened: at most one for each writer and each failure.
    assert!(counted[0] <= acknowledged + 8 * 3, "{} counted of {acknowledged} acknowledged", counted[0]);
}

/// Passes bytes on while it is open; connections break when it closes.
async fn gate(port: u16) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (open, is_open) = watch::channel(true);
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let mut is_open = is_open.clone();
            tokio::spawn(async move {
                if !*is_open.borrow() {
                    return;
                }
                let Ok(mut outside) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                    _ = is_open.wait_for(|open| !open) => {}
                }
            });
        }
    });
    (address, open)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_was_missed_ends_watches_and_loses_nothing() {
    let members = Members::start(1, false);
    let direct = members.store().await;
    let (address, open) = gate(members.port(0)).await;
    let behind = members.open(members.options(vec![address])).await;
    let (at, there) = (direct.table("/registry/pods"), behind.table("/registry/pods"));
    let first = direct.write(put(at, "ns/a", "0", Expect::Absent)).await.expect("absent");
    behind.fresh().await.expect("etcd answers");
    let mut watch = behind.watch(there, first.revision).expect("from now on");
    open.send_replace(false);
    let mut last = first;
    for n in 1..50 {
        last = direct.write(put(at, "ns/a", &n.to_string(), Expect::Revision(last.revision))).await.expect("fits");
    }
    let gone = direct.write(put(at, "ns/b", "0", Expect::Absent)).await.expect("absent");
    direct.write(Write::Delete { table: at, key: "ns/b".into(), revision: gone.revision }).await.expect("fits");
    direct.compact_remote(direct.revision()).await.expect("etcd compacts");
    direct.write(put(at, "ns/c", "new", Expect::Absent)).await.expect("absent");
    open.send_replace(true);
    let expired = tokio::time::timeout(Duration::from_secs(20), watch.next(1)).await.expect("the store notices");
    assert!(expired.is_err(), "the watch cannot know what it missed");
    behind.fresh().await.expect("etcd answers");
    let keys: Vec<(String, u64)> = behind.view().table(there).scan("", "").map(|r| (r.key.to_string(), r.revision)).collect();
    let expected: Vec<(String, u64)> = direct.view().table(at).scan("", "").map(|r| (r.key.to_string(), r.revision)).collect();
    assert_eq!(keys, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_not_there_is_told() {
    let members = Members::start(1, false);
    let store = members.store().await;
    drop(members);
    let table = store.table("/registry/pods");
    let refused = store.write(put(table, "ns/a", "x", Expect::Absent)).await;
    assert!(matches!(&refused, Err(WriteError::Disk(why)) if !why.is_empty()), "{refused:?}");
    assert!(store.fresh().await.is_err());
}
