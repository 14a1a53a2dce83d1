//! The shapes in which Helm 4 reports what is wrong with a template.
//!
//! A fault of parsing is one line with its place; what `fail` and `required` say is told with the place of the outermost call;
//! anything else is the list of the places on the way to the fault, or Go's own text where that cannot be taken apart.

use gotemplate::Failure;

use super::functions::{WARN_END, WARN_START};

/// Why a chart could not be rendered, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

// Upstream: helm pkg/engine/engine.go cleanupParseError.
pub fn parsing(name: &str, text: &str) -> RenderError {
    let tokens: Vec<&str> = text.split(": ").collect();
    RenderError(match tokens.as_slice() {
        [_, location, .., last] => format!("parse error at ({location}): {last}"),
        [_, only] => format!("parse error at ({only}): {only}"),
        _ => format!("parse error in ({name}): {text}"),
    })
}

// Upstream: helm pkg/engine/engine.go reformatExecErrorMsg.
pub fn executing(name: &str, failure: &Failure) -> RenderError {
    if !failure.exec {
        return RenderError(failure.text.clone());
    }
    let mut tokens = failure.text.splitn(3, ": ");
    let (Some(_), Some(location), Some(rest)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return RenderError(format!("execution error in ({name}): {}", failure.text));
    };
    if let Some(said) = warning(rest) {
        return RenderError(format!("execution error at ({location}): {said}"));
    }
    let mut traces: Vec<Trace> = Vec::new();
    let mut current = Some(failure);
    while let Some(link) = current {
        let Some(trace) = Trace::parse(&link.text) else { return RenderError(failure.text.clone()) };
        if traces.last() != Some(&trace) {
            traces.push(trace);
        }
        current = link.source.as_deref();
    }
    RenderError(traces.iter().map(Trace::shown).collect::<String>().trim().to_owned())
}

/// What stands between the marks of `fail` and `required`: from the first to the last.
fn warning(text: &str) -> Option<&str> {
    let start = text.find(WARN_START)? + WARN_START.len();
    let end = text.rfind(WARN_END)?;
    text.get(start..end)
}

/// One place on the way to a fault.
#[derive(PartialEq, Eq)]
struct Trace {
    location: String,
    executing: String,
    message: String,
}

impl Trace {
    fn parse(text: &str) -> Option<Trace> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Trace { location: String::new(), executing: String::new(), message: text.to_owned() });
        }
        let Some((location, after)) = rest.split_once(": executing ") else {
            let (location, message) = rest.split_once(": ")?;
            return Some(Trace { location: location.to_owned(), executing: String::new(), message: message.to_owned() });
        };
        let (name, after) = after.split_once(" at <")?;
        let (node, message) = after.split_once(">: ")?;
        // The way on is told by the next link.
        let message = message.split_once(" template: ").map_or(message, |(before, _)| before);
        Some(Trace { location: location.to_owned(), executing: format!("executing {name} at <{node}>:"), message: message.trim().to_owned() })
    }

    fn shown(&self) -> String {
        let mut out = String::new();
        if !self.location.is_empty() {
            out.push_str(&format!("{}\n  ", self.location));
        }
        if !self.executing.is_empty() {
            out.push_str(&format!("{}\n    ", self.executing));
        }
        if !self.message.is_empty() {
            out.push_str(&format!("{}\n", self.message));
        }
        out
    }
}
