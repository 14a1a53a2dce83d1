//! Texts cut to a width. Upstream: Masterminds/goutils, which counts bytes.

use gotemplate::{Failure, Str};

use crate::args::{MAX_BYTES, bounded};
use crate::strings::find;

pub fn abbrev(width: i64, text: &[u8]) -> Str {
    match usize::try_from(width) {
        Ok(width) if width >= 4 => Str::from(abbreviate(text, 0, width)),
        _ => Str::from(text),
    }
}

pub fn abbrev_both(left: i64, right: i64, text: &[u8]) -> Str {
    if right < 4 || (left > 0 && right < 7) {
        return Str::from(text);
    }
    Str::from(abbreviate(text, left, usize::try_from(right).unwrap_or(0)))
}

fn abbreviate(text: &[u8], offset: i64, width: usize) -> Vec<u8> {
    if text.len() <= width {
        return text.to_vec();
    }
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let wide = i64::try_from(width).unwrap_or(i64::MAX);
    let mut offset = offset.min(length);
    if length - offset < wide - 3 {
        offset = length - (wide - 3);
    }
    if offset <= 4 {
        return [&text[..width - 3], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    let from = usize::try_from(offset).unwrap_or(0);
    if offset + wide - 3 < length {
        return [b"...", &*abbreviate(&text[from..], 0, width - 3)].concat();
    }
    [b"...", &text[text.len() - (width - 3)..]].concat()
}

pub fn wrap(width: i64, newline: &[u8], text: &[u8], cut_words: bool) -> Result<Str, Failure> {
    let newline = if newline.is_empty() { b"\n" } else { newline };
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while text.len() - at > width {
        bounded(out.len(), MAX_BYTES, "wrapped text")?;
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        let window = &text[at..at + width + 1];
        if let Some(space) = window.iter().rposition(|b| *b == b' ') {
            out.extend_from_slice(&window[..space]);
            out.extend_from_slice(newline);
            at += space + 1;
        } else if cut_words {
            out.extend_from_slice(&window[..width]);
            out.extend_from_slice(newline);
            at += width;
        } else if let Some(space) = find(&text[at + width..], b" ") {
            out.extend_from_slice(&text[at..at + width + space]);
            out.extend_from_slice(newline);
            at += width + space + 1;
        } else {
            out.extend_from_slice(&text[at..]);
            at = text.len();
        }
    }
    out.extend_from_slice(&text[at..]);
    Ok(Str::from(out))
}
