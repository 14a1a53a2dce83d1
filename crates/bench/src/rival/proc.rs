//! What processes took of the machine, from `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks of `/proc/PID/stat` per second; Linux shows 100 on every architecture.
const TICKS: u64 = 100;

/// Resident memory of all the processes, in bytes.
pub fn memory(pids: &[u32]) -> Result<u64> {
    field(pids, "VmRSS:")
}

/// The most that was resident, in bytes.
pub fn peak(pids: &[u32]) -> Result<u64> {
    field(pids, "VmHWM:")
}

fn field(pids: &[u32], name: &str) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
        let line = status.lines().find_map(|l| l.strip_prefix(name)).with_context(|| format!("the process tells no {name}"))?;
        sum += line.trim().split(' ').next().unwrap_or_default().parse::<u64>().with_context(|| format!("{name} is no number"))? << 10;
    }
    Ok(sum)
}

/// Processor time of all the processes so far.
pub fn processor(pids: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
        // The name before the bracket may hold blanks; user and system time are the 12th and 13th field after it.
        let (_, fields) = stat.rsplit_once(") ").context("an odd line in /proc")?;
        ticks += fields.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}
