//! Measures what a user of a small cluster feels, and prints it as the table of docs/benchmarks.md.
//!
//! Starts and ends clusters of its own through the knarr binary; never touches another one.

mod cluster;
mod floor;
mod pods;
mod rival;
mod scale;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

/// From the end of the start to what counts as idle.
const REST: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Args {
    /// The release binary
    #[arg(long)]
    knarr: PathBuf,
    /// Where the measured cluster lives; removed before and after
    #[arg(long)]
    data_dir: PathBuf,
    /// Times each measurement is taken; the table shows the median
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Measure an API server with very many objects and watchers instead
    #[arg(long)]
    scale: bool,
    /// Compare API servers instead: the folder that holds upstream's kube-apiserver
    #[arg(long, value_name = "DIR", requires = "load_client")]
    upstream: Option<PathBuf>,
    /// The load client for that
    #[arg(long, value_name = "PROGRAM")]
    load_client: Option<PathBuf>,
    /// Pods that it creates
    #[arg(long, default_value_t = 5000)]
    objects: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let (Some(upstream), Some(load)) = (args.upstream, args.load_client) {
        return rival::compare(&rival::Plan { knarr: args.knarr, upstream, load, scratch: args.data_dir, objects: args.objects }).await;
    }
    if args.scale {
        table::print(&scale::measure(&args.knarr, &args.data_dir).await?);
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut cold = Vec::new();
    for _ in 0..args.runs {
        let cluster = cluster::Cluster::new(&args.knarr, &args.data_dir)?;
        cold.push(cluster.up()?);
        cluster.purge()?;
    }
    rows.push(table::Row::seconds("cold start to node Ready and DNS answering, images imported", &mut cold, "3 s"));
    let cluster = cluster::Cluster::new(&args.knarr, &args.data_dir)?;
    cluster.up()?;
    let outcome = measure(&cluster, args.runs, &mut rows).await;
    cluster.purge()?;
    outcome?;
    rows.push(table::Row::text("size of the binary", table::mebibytes(std::fs::metadata(&args.knarr)?.len()), "-"));
    table::print(&rows);
    Ok(())
}

async fn measure(cluster: &cluster::Cluster, runs: usize, rows: &mut Vec<table::Row>) -> Result<()> {
    let client = client::from_kubeconfig(&cluster.kubeconfig()).await?;
    // Idle is who has had nothing to do for a while: what starting took goes back within a second.
    tokio::time::sleep(REST).await;
    let idle = cluster.idle_memory()?;
    rows.push(table::Row::text("memory of the knarr process, idle (RSS)", table::mebibytes(idle), "60 MiB"));
    let mut bare = floor::bare_calls(cluster, runs).await?;
    rows.push(table::Row::seconds("floor: the bare CRI calls (sandbox, container, start) for the same image", &mut bare, "-"));
    let mut ready = pods::create_to_ready(&client, runs).await?;
    rows.push(table::Row::seconds("pod create to Ready, image present", &mut ready, "0.5 s"));
    let mut available = pods::deployment_to_available(&client, 10, runs).await?;
    rows.push(table::Row::seconds("deployment of 10 replicas to available", &mut available, "3 s"));
    let after = cluster.idle_memory()?;
    rows.push(table::Row::text("memory of the knarr process after it", table::mebibytes(after), "-"));
    Ok(())
}
