//! Running the load client against one server, and reading what it prints.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::subject::Subject;
use super::{Plan, proc};

/// One phase of the load: what the client saw, and what the server spent.
pub struct Phase {
    seen: Value,
    spent: Duration,
}

/// Runs all phases; each is a line of the client.
pub fn run(subject: &Subject, plan: &Plan) -> Result<Vec<Phase>> {
    let mut command = Command::new(&plan.load);
    command.args(["--server", &subject.url, "--objects", &plan.objects.to_string()]).args(&subject.credentials).stdout(Stdio::piped());
    let mut client = command.spawn().with_context(|| format!("could not start {}", plan.load.display()))?;
    let lines = BufReader::new(client.stdout.take().context("the load client has no output")?).lines();
    let pids = subject.pids();
    let mut before = proc::processor(&pids)?;
    let mut phases = Vec::new();
    for line in lines {
        let line = line?;
        eprintln!("{}: {line}", subject.name);
        let now = proc::processor(&pids)?;
        let seen: Value = serde_json::from_str(&line).with_context(|| format!("the load client printed {line:?}"))?;
        if seen["fails"].as_u64() != Some(0) {
            bail!("{}: requests failed: {line}", subject.name);
        }
        phases.push(Phase { seen, spent: now.saturating_sub(before) });
        before = now;
    }
    let status = client.wait()?;
    if !status.success() {
        bail!("{}: the load client ended with {status}", subject.name);
    }
    Ok(phases)
}

impl Phase {
    fn name(&self) -> &str {
        self.seen["phase"].as_str().unwrap_or_default()
    }

    fn number(&self, key: &str) -> f64 {
        self.seen[key].as_f64().unwrap_or_default()
    }

    /// Microseconds of the server's processors per request.
    fn spent_each(&self) -> f64 {
        self.spent.as_micros() as f64 / self.number("n").max(1.0)
    }

    /// Rows of the table: what, theirs, ours, whether more is better.
    pub fn rows(&self, ours: &Self) -> Vec<(String, f64, f64, bool)> {
        let name = self.name().replace('_', " ");
        let row = |what: &str, read: &dyn Fn(&Self) -> f64, more: bool| (format!("{name}, {what}"), read(self), read(ours), more);
        let is_list = self.name().starts_with("list");
        let mut rows = Vec::new();
        if is_list {
            rows.push(row("MB/s", &|p| p.number("MB_per_s"), true));
            rows.push(row("p50 ms", &|p| p.number("p50_ms"), false));
        } else {
            rows.push(row("per s", &|p| p.number("per_s"), true));
            rows.push(row("p99 ms", &|p| p.number("p99_ms"), false));
        }
        rows.push(row("server processor us each", &Self::spent_each, false));
        rows
    }
}

/// Three significant digits, no more.
pub fn shown(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
