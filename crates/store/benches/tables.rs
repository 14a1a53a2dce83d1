//! The hot paths of the store: durable writes of many writers at once, reading a table, and a change to many watchers.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use store::{DiskOptions, Expect, Index, Stamped, Store, TableId, Write};

const OBJECT: usize = 3500;
const WRITERS: u64 = 32;

async fn create(store: &Store, table: TableId, key: u64) {
    let value = Stamped { bytes: format!("\"\"{}", "x".repeat(OBJECT)).into(), at: 1 };
    let write = Write::Put { table, key: format!("ns/p-{key}").into(), value, index: Index::default(), expect: Expect::Absent };
    store.write(write).await.expect("a new key");
}

fn benches(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let next = AtomicU64::new(0);
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(WRITERS));
    for (name, store) in [("memory", Store::in_memory()), ("disk", Store::open(folder.path(), DiskOptions::default()).expect("a store"))] {
        let table = store.table("t");
        group.bench_function(name, |b| b.iter(|| runtime.block_on(futures::future::join_all((0..WRITERS).map(|_| create(&store, table, next.fetch_add(1, Ordering::Relaxed)))))));
    }
    group.finish();
    let store = Store::in_memory();
    let table = store.table("t");
    runtime.block_on(async {
        for key in 0..5000 {
            create(&store, table, key).await;
        }
    });
    c.bench_function("read/5000", |b| b.iter(|| black_box(store.view()).table(table).scan("", "").map(|r| r.value.len()).sum::<usize>()));
    c.bench_function("read/one", |b| b.iter(|| store.view().get(table, black_box("ns/p-77")).expect("it is there")));
    let since = store.revision() - 1;
    c.bench_function("watch/100", |b| b.iter(|| (0..100).map(|_| store.watch(table, since).and_then(|mut w| w.ready(8)).expect("history").len()).sum::<usize>()));
}

criterion_group!(tables, benches);
criterion_main!(tables);
