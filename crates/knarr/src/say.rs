//! Everything that is printed for people. Colour only on a terminal, and never when NO_COLOR is set.
//!
//! Never panics when nobody reads: a closed pipe is no reason to end.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use crate::failure::Failure;

#[derive(Clone, Copy)]
pub enum Tone {
    Good,
    Doubtful,
    Bad,
    Faint,
    Strong,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "31;1",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

pub fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

pub fn paint(tone: Tone, text: impl Display) -> String {
    if colour_on_stdout() { format!("\x1b[{}m{text}\x1b[0m", tone.code()) } else { text.to_string() }
}

pub fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The error, its causes, and the hint of whichever of them has one.
pub fn failure(error: &anyhow::Error) {
    failure_at("", error);
}

/// The same, for one thing of many.
pub fn failure_at(place: &str, error: &anyhow::Error) {
    let colour = colour_on_stderr();
    let paint = |tone: Tone, text: &str| if colour { format!("\x1b[{}m{text}\x1b[0m", tone.code()) } else { text.to_owned() };
    let mut out = std::io::stderr().lock();
    let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
    let _ = writeln!(out, "{} {place}{error}", paint(Tone::Bad, "error:"));
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        // Many errors repeat their cause in their own text.
        let text = cause.to_string();
        if !last.contains(&text) {
            let _ = writeln!(out, "  because {text}");
        }
        last = text;
    }
    if let Some(hint) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|f| f.hint.as_str()).filter(|h| !h.is_empty()) {
        let _ = writeln!(out, "{} {hint}", paint(Tone::Good, "hint:"));
    }
}

/// Progress of a start: for people a line with the milliseconds since the start; for `up`, which started us, a line of JSON.
pub struct Progress {
    since: Instant,
    machine: bool,
}

impl Progress {
    pub fn new(machine: bool) -> Self {
        Self { since: Instant::now(), machine }
    }

    pub fn step(&self, text: impl Display) {
        self.emit("step", text);
    }

    /// Something the user should know, though the start goes on.
    pub fn doubt(&self, text: impl Display) {
        self.emit("doubt", text);
    }

    pub fn ready(&self, text: impl Display) {
        self.emit("ready", text);
    }

    fn emit(&self, kind: &str, text: impl Display) {
        if self.machine {
            line(serde_json::json!({ kind: text.to_string() }));
        } else {
            self.show(kind, &text.to_string());
        }
    }

    /// As people see it.
    pub fn show(&self, kind: &str, text: &str) {
        let time = paint(Tone::Faint, format!("{:>6} ms", self.since.elapsed().as_millis()));
        let text = match kind {
            "ready" => paint(Tone::Good, text),
            "doubt" => format!("{} {text}", paint(Tone::Doubtful, "note:")),
            _ => text.to_owned(),
        };
        line(format!("{time}  {text}"));
    }
}

/// Rows under headings, columns as wide as needed.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).chain([headings[column].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let join = |cells: Vec<String>| cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>().join("   ").trim_end().to_owned();
    line(paint(Tone::Strong, join(headings.iter().map(|h| (*h).to_owned()).collect())));
    rows.iter().for_each(|row| line(join(row.clone())));
}
