//! Rows of the table, medians and all.

use std::time::Duration;

pub struct Row {
    what: String,
    value: String,
    goal: String,
}

impl Row {
    /// Median, with the smallest and largest of the runs.
    pub fn seconds(what: &str, runs: &mut [Duration], goal: &str) -> Self {
        runs.sort();
        let shown = |at: usize| runs.get(at).map_or(0.0, Duration::as_secs_f64);
        let value = format!("{:.2} s ({:.2} to {:.2}, n={})", shown(runs.len() / 2), shown(0), shown(runs.len().saturating_sub(1)), runs.len());
        Self { what: what.into(), value, goal: goal.into() }
    }

    pub fn text(what: &str, value: String, goal: &str) -> Self {
        Self { what: what.into(), value, goal: goal.into() }
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

pub fn print(rows: &[Row]) {
    println!("| what | measured | goal |\n|---|---|---|");
    for row in rows {
        println!("| {} | {} | {} |", row.what, row.value, row.goal);
    }
}
