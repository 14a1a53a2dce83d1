//! The same load against upstream's API server with its etcd and against knarr's, in turn, on this machine.
//!
//! Every figure of a row was measured in one run of this program. Beside the rates that a client sees, whose work shares
//! the processors, stands what the servers spent themselves: processor time per request, from `/proc`.

mod load;
pub mod proc;
pub mod subject;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use load::Phase;
use subject::Subject;

pub struct Plan {
    /// The release binary of knarr.
    pub knarr: PathBuf,
    /// Folder with upstream's `kube-apiserver`.
    pub upstream: PathBuf,
    /// The load client.
    pub load: PathBuf,
    /// Where the servers keep their data; removed before and after.
    pub scratch: PathBuf,
    pub objects: usize,
}

/// What one server showed.
struct Outcome {
    name: &'static str,
    ready: Duration,
    phases: Vec<Phase>,
    memory: u64,
}

pub async fn compare(plan: &Plan) -> Result<()> {
    let theirs = measure(subject::upstream(plan).await?, plan).await?;
    let ours = measure(subject::knarr_afresh(plan).await?, plan).await?;
    print(&theirs, &ours, plan.objects);
    Ok(())
}

async fn measure(subject: Subject, plan: &Plan) -> Result<Outcome> {
    let phases = load::run(&subject, plan)?;
    Ok(Outcome { name: subject.name, ready: subject.ready, phases, memory: proc::memory(&subject.pids())? })
}

fn print(theirs: &Outcome, ours: &Outcome, objects: usize) {
    println!("{objects} pods, 32 writers, 100 watchers; {} and {} in turn\n", theirs.name, ours.name);
    println!("| what | upstream | knarr | ratio |\n|---|---|---|---|");
    let (a, b) = (theirs.ready.as_secs_f64(), ours.ready.as_secs_f64());
    println!("| start to /readyz | {a:.2} s | {b:.2} s | {:.1} |", a / b);
    for (theirs, ours) in theirs.phases.iter().zip(&ours.phases) {
        for (row, theirs, ours, more_is_better) in theirs.rows(ours) {
            let ratio = if more_is_better { ours / theirs } else { theirs / ours };
            println!("| {row} | {} | {} | {ratio:.1} |", load::shown(theirs), load::shown(ours));
        }
    }
    let mebi = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("| memory afterwards, with etcd | {:.0} MiB | {:.0} MiB | {:.1} |", mebi(theirs.memory), mebi(ours.memory), mebi(theirs.memory) / mebi(ours.memory));
}
