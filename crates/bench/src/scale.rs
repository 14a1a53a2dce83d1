//! A large cluster's objects in one API server: how long it takes and what it holds while it answers.
//!
//! Starts an API server of its own on a store of its own, ends it, starts it again on what is stored.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use http::header::CONTENT_TYPE;
use kube::client::Body;
use kube::{Client, Config};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_util::compat::FuturesAsyncReadCompatExt;

use crate::rival::proc;
use crate::rival::subject::{self, Subject};
use crate::table::{Row, mebibytes};

const WRITERS: usize = 64;
const WATCHERS: usize = 1000;
const UPDATES: usize = 50;

/// The API server, and who asks it.
struct Served {
    subject: Subject,
    client: Client,
}

async fn start(knarr: &Path, folder: &Path) -> Result<Served> {
    let subject = subject::knarr(knarr, folder).await?;
    let mut config = Config::new(subject.url.parse()?);
    config.accept_invalid_certs = true;
    config.read_timeout = None;
    config.auth_info.client_certificate = Some(folder.join("pki/admin.crt").display().to_string());
    config.auth_info.client_key = Some(folder.join("pki/admin.key").display().to_string());
    Ok(Served { client: Client::try_from(config)?, subject })
}

pub async fn measure(knarr: &Path, scratch: &Path) -> Result<Vec<Row>> {
    let folder = scratch.join("scale");
    let mut rows = small(knarr, &folder).await?;
    rows.extend(large(knarr, &folder).await?);
    rows.extend(watched(knarr, &folder).await?);
    Ok(rows)
}

/// Many small objects: a selector that fits none, and starting again.
async fn small(knarr: &Path, folder: &Path) -> Result<Vec<Row>> {
    subject::fresh(folder)?;
    let served = start(knarr, folder).await?;
    let mut rows = Vec::new();
    let mut begun = Instant::now();
    served.create(0..100_000, 1000).await?;
    rows.push(Row::text("100,000 ConfigMaps of 1 kB created", rate(100_000, begun.elapsed()), "-"));
    drop(served);
    let served = start(knarr, folder).await?;
    rows.push(Row::text("start to /readyz with them", format!("{:.2} s", served.subject.ready.as_secs_f64()), "2 s"));
    begun = Instant::now();
    served.create(100_000..300_000, 1000).await?;
    rows.push(Row::text("200,000 more", rate(200_000, begun.elapsed()), "-"));
    let mut nothing = Vec::new();
    for _ in 0..9 {
        begun = Instant::now();
        let listed = served.list("labelSelector=absent%3Dyes").await?;
        if listed > 1000 {
            bail!("a selector that fits nothing gave {listed} bytes");
        }
        nothing.push(begun.elapsed());
    }
    rows.push(Row::seconds("LIST of 300,000 by a selector that fits none", &mut nothing, "0.1 s"));
    rows.push(Row::text("memory with 300,000 of 1 kB", mebibytes(served.memory()?), "-"));
    Ok(rows)
}

/// Large objects: what answering holds beyond them.
async fn large(knarr: &Path, folder: &Path) -> Result<Vec<Row>> {
    subject::fresh(folder)?;
    let served = start(knarr, folder).await?;
    served.create(0..10_000, 100_000).await?;
    let before = served.memory()?;
    served.forget_peak()?;
    let begun = Instant::now();
    let bytes = served.list("").await?;
    let (took, peak) = (begun.elapsed(), proc::peak(&served.subject.pids())?);
    let shown = format!("{:.1} s, {:.0} MB/s", took.as_secs_f64(), bytes as f64 / 1e6 / took.as_secs_f64());
    let rows = vec![
        Row::text("memory with 10,000 ConfigMaps of 100 kB", mebibytes(before), "-"),
        Row::text("LIST of all of them (1 GB)", shown, "-"),
        Row::text("memory on top while it is answered", mebibytes(peak.saturating_sub(before)), "50 MiB"),
    ];
    Ok(rows)
}

/// Many watchers, one of whom never reads: what the others get, and what it costs.
async fn watched(knarr: &Path, folder: &Path) -> Result<Vec<Row>> {
    subject::fresh(folder)?;
    let served = start(knarr, folder).await?;
    served.create(0..1, 3000).await?;
    let before = served.memory()?;
    let deaf = served.watch().await?;
    let (told, mut seen) = mpsc::channel(WATCHERS * UPDATES);
    let mut tasks = Vec::new();
    for _ in 1..WATCHERS {
        tasks.push(tokio::spawn(count(served.watch().await?, told.clone())));
    }
    let begun = Instant::now();
    for update in 0..UPDATES {
        served.label(update).await?;
    }
    let wanted = (WATCHERS - 1) * UPDATES;
    for _ in 0..wanted {
        let told = tokio::time::timeout(Duration::from_secs(60), seen.recv()).await;
        told.ok().flatten().context("events are missing after a minute")?;
    }
    let took = begun.elapsed();
    let after = served.memory()?;
    drop(deaf);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(vec![
        Row::text("50 updates of a 3 kB object to 1,000 watchers, one of whom never reads", rate(wanted, took), "-"),
        Row::text("memory on top for 1,000 watchers, each with a connection", mebibytes(after.saturating_sub(before)), "-"),
    ])
}

/// Tells of every event; a watch ends when nobody listens.
async fn count(watch: impl tokio::io::AsyncRead + Unpin, told: mpsc::Sender<()>) -> Result<()> {
    let mut watch = std::pin::pin!(watch);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = watch.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        for _ in buffer[..read].iter().filter(|byte| **byte == b'\n') {
            told.send(()).await?;
        }
    }
}

fn rate(n: usize, took: Duration) -> String {
    format!("{:.1} s, {:.0} per s", took.as_secs_f64(), n as f64 / took.as_secs_f64())
}

impl Served {
    fn memory(&self) -> Result<u64> {
        proc::memory(&self.subject.pids())
    }

    /// The next peak begins now.
    fn forget_peak(&self) -> Result<()> {
        self.subject.pids().iter().try_for_each(|pid| std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the kernel does not reset peaks"))
    }

    async fn create(&self, numbers: std::ops::Range<usize>, size: usize) -> Result<()> {
        let filler: Arc<str> = "x".repeat(size.saturating_sub(250)).into();
        let writes = numbers.map(|n| {
            let (client, filler) = (self.client.clone(), filler.clone());
            async move {
                let body = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m-{n}","labels":{{"app":"a-{}"}}}},"data":{{"k":"{filler}"}}}}"#, n % 50);
                let request = Request::post("/api/v1/namespaces/default/configmaps").header(CONTENT_TYPE, "application/json").body(body.into_bytes())?;
                client.request_text(request).await?;
                anyhow::Ok(())
            }
        });
        stream::iter(writes).buffer_unordered(WRITERS).try_collect::<()>().await
    }

    /// The bytes of a list, which nobody keeps.
    async fn list(&self, query: &str) -> Result<usize> {
        let request = Request::get(format!("/api/v1/configmaps?{query}")).body(Vec::new())?;
        let mut body = self.client.request_stream(request).await?.compat();
        let (mut sum, mut buffer) = (0, vec![0; 256 << 10]);
        loop {
            match body.read(&mut buffer).await? {
                0 => return Ok(sum),
                read => sum += read,
            }
        }
    }

    async fn watch(&self) -> Result<impl tokio::io::AsyncRead + Unpin + use<>> {
        let revision = "resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
        let request = Request::get(format!("/api/v1/configmaps?watch=1&{revision}")).body(Vec::new())?;
        Ok(Box::pin(self.client.request_stream(request).await?.compat()))
    }

    async fn label(&self, update: usize) -> Result<()> {
        let patch = format!(r#"{{"metadata":{{"labels":{{"update":"{update}"}}}}}}"#);
        let request = Request::patch("/api/v1/namespaces/default/configmaps/m-0").header(CONTENT_TYPE, "application/merge-patch+json").body(Body::from(patch.into_bytes()))?;
        let answer = self.client.send(request).await?;
        if !answer.status().is_success() {
            bail!("the update was answered {}", answer.status());
        }
        Ok(())
    }
}
