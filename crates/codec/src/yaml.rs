//! YAML to the JSON value that Kubernetes' YAML reader would make of it, and documents split as kubectl splits them.
//!
//! Aliases, depth and events are bounded; every error names line and column.

use std::cell::RefCell;

use serde::de::DeserializeSeed as _;
use serde_saphyr::{DuplicateKeyPolicy, Options};

use crate::conform::{Decoded, Strictness};
use crate::error::DecodeError;
use crate::json::{Text, Watched};
use crate::path::Path;

/// As many parsing events as the largest body can sensibly hold; what aliases expand to counts.
const MAX_EVENTS: usize = 500_000;
const MAX_DEPTH: usize = 100;

fn options() -> Options {
    let mut options = Options::default();
    options.legacy_octal_numbers = true;
    options.with_snippet = false;
    options.duplicate_keys = DuplicateKeyPolicy::LastWins;
    if let Some(budget) = options.budget.as_mut() {
        budget.max_events = MAX_EVENTS;
        budget.max_depth = MAX_DEPTH;
        budget.max_nodes = MAX_EVENTS;
    }
    options
}

/// Decodes one YAML document.
pub fn decode_yaml(text: &str, strictness: Strictness) -> Result<Decoded, DecodeError> {
    let state = RefCell::new((Path::default(), Vec::new()));
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| Watched { state: &state, text: Text::Yaml }.deserialize(deserializer))
        .map_err(|e| DecodeError::Syntax(format!("error converting YAML to JSON: {e}")))?;
    let repeated = state.into_inner().1;
    // Upstream: all of them in one error.
    let strict_errors = if strictness == Strictness::Collect && !repeated.is_empty() {
        vec![format!("yaml: unmarshal errors:\n{}", repeated.iter().map(|r| format!("  {r}")).collect::<Vec<_>>().join("\n"))]
    } else {
        Vec::new()
    };
    Ok(Decoded { value, strict_errors })
}

/// Reads a configuration file into a type of its own; the error says where.
pub fn yaml_as<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}

/// The documents of a stream, split at lines that begin with `---`; empty ones and those of comments only are left out.
// Upstream: yaml.NewYAMLReader splits at the separator line before parsing, so an error in one document spares the others.
pub fn split_documents(text: &str) -> Vec<&str> {
    let (mut out, mut from, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") && line[3..].trim_start_matches([' ', '\t']).trim_end().chars().next().is_none_or(|c| c == '#') {
            out.push(&text[from..at]);
            from = at + line.len();
        }
        at += line.len();
    }
    out.push(&text[from..]);
    out.retain(|doc| doc.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')));
    out
}
