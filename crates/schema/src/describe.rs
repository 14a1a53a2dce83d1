//! The prose of every type and field, kept deflated and inflated one package at a time, only when somebody asks.
//!
//! Never cached here: the callers (OpenAPI, explain) keep what they render.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

static PACKED: &[u8] = include_bytes!("../data/descriptions.bin");
/// No package's prose is larger; a bound against a damaged table.
const MAX_TEXT: u64 = 8 << 20;

/// The descriptions of one package, such as `io.k8s.api.core.v1`.
#[derive(Debug, Default)]
pub struct Descriptions {
    text: String,
    /// (type, field or empty) -> range of the text
    places: HashMap<(String, String), (usize, usize)>,
}

impl Descriptions {
    /// The description of a field, or of the type itself when `field` is empty. `short_name` is the name within the package.
    pub fn get(&self, short_name: &str, field: &str) -> Option<String> {
        let &(from, to) = self.places.get(&(short_name.to_owned(), field.to_owned()))?;
        let raw = &self.text[from..to];
        if !raw.contains('\\') {
            return Some(raw.to_owned());
        }
        let mut out = String::with_capacity(raw.len());
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => {}
                },
                (c, _) => out.push(c),
            }
        }
        Some(out)
    }
}

/// Inflates the descriptions of a package; empty when there are none.
pub fn descriptions(package: &str) -> Descriptions {
    let mut rest = PACKED;
    while let Some((name, packed, next)) = entry(rest) {
        if name == package.as_bytes() {
            let mut text = String::new();
            if DeflateDecoder::new(packed).take(MAX_TEXT).read_to_string(&mut text).is_ok() {
                return read(text);
            }
        }
        rest = next;
    }
    Descriptions::default()
}

fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = chunk(bytes)?;
    let (packed, rest) = chunk(rest)?;
    Some((name, packed, rest))
}

fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

fn read(text: String) -> Descriptions {
    let mut places = HashMap::new();
    let (mut at, mut current) = (0, "");
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches('\n');
        let mut cells = body.splitn(3, '\t');
        let (name, field) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        if !name.is_empty() {
            current = name;
        }
        let from = at + name.len() + field.len() + 2;
        let to = at + body.len();
        if from < to {
            places.insert((current.to_owned(), field.to_owned()), (from, to));
        }
        at += line.len();
    }
    Descriptions { places, text }
}
