//! Go's regular expressions on Rust's engine: the same linear-time family, with the differences in notation translated.
//!
//! Upstream: Go's regexp/syntax. Classes such as `\d` are ASCII there, a brace that starts no repetition is literal, and
//! inside brackets only `[:name:]` is special.

use regex::Regex;

/// Bounds the memory of one compiled pattern.
const SIZE_LIMIT: usize = 4 << 20;

pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&translate(pattern)).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build().map_err(|e| message(pattern, &e))
}

fn message(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let kind = if text.contains("unclosed character class") {
        "missing closing ]"
    } else if text.contains("unclosed group") {
        "missing closing )"
    } else if text.contains("unopened group") {
        "unexpected )"
    } else if text.contains("repetition operator missing expression") {
        "missing argument to repetition operator"
    } else if text.contains("escape") {
        "invalid escape sequence"
    } else if text.contains("invalid character class range") {
        "invalid character class range"
    } else if matches!(error, regex::Error::CompiledTooBig(_)) {
        "expression too large"
    } else {
        "invalid or unsupported Perl syntax"
    };
    format!("error parsing regexp: {kind}: `{}`", fragment(pattern, kind))
}

fn fragment(pattern: &str, kind: &str) -> String {
    match kind {
        "missing closing ]" => pattern.rfind('[').map_or(pattern, |i| &pattern[i..]).to_owned(),
        "missing argument to repetition operator" => pattern.chars().find(|c| matches!(c, '*' | '+' | '?')).map(String::from).unwrap_or_default(),
        "invalid escape sequence" => pattern.find('\\').map(|i| pattern[i..].chars().take(2).collect()).unwrap_or_default(),
        _ => pattern.to_owned(),
    }
}

fn translate(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut at = 0;
    let mut class = false;
    while at < chars.len() {
        let c = chars[at];
        match c {
            '\\' => {
                at += escape(&chars[at..], class, &mut out);
                continue;
            }
            '[' if !class => {
                class = true;
                out.push('[');
                if chars.get(at + 1) == Some(&'^') {
                    at += 1;
                    out.push('^');
                }
                if chars.get(at + 1) == Some(&']') {
                    at += 1;
                    out.push_str("\\]");
                }
            }
            '[' if chars.get(at + 1) == Some(&':') => {
                let end = chars[at..].windows(2).position(|w| w == [':', ']']).map_or(1, |i| i + 2);
                out.extend(&chars[at..at + end]);
                at += end;
                continue;
            }
            '[' | '&' | '~' if class => out.extend(['\\', c]),
            '-' if class && chars.get(at + 1) == Some(&'-') => out.push_str("\\-"),
            ']' if class => {
                class = false;
                out.push(']');
            }
            '{' if !class && !is_repetition(&chars[at..]) => out.push_str("\\{"),
            _ => out.push(c),
        }
        at += 1;
    }
    out
}

/// Writes one escape and says how long it was.
fn escape(chars: &[char], class: bool, out: &mut String) -> usize {
    let Some(&kind) = chars.get(1) else {
        out.push('\\');
        return 1;
    };
    let ascii = match kind {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\x0C\\r ",
        'D' => "^0-9",
        'W' => "^0-9A-Za-z_",
        'S' => "^\\t\\n\\x0C\\r ",
        _ => "",
    };
    match kind {
        'd' | 'w' | 's' if class => out.push_str(ascii),
        'd' | 'w' | 's' | 'D' | 'W' | 'S' => {
            out.push('[');
            out.push_str(ascii);
            out.push(']');
        }
        'b' | 'B' if !class => {
            out.push_str("(?-u:\\");
            out.push(kind);
            out.push(')');
        }
        'Q' => return quoted(chars, out),
        _ => out.extend(['\\', kind]),
    }
    2
}

/// `\Q...\E`: literal text.
fn quoted(chars: &[char], out: &mut String) -> usize {
    let end = chars.windows(2).position(|w| w == ['\\', 'E']).unwrap_or(chars.len());
    let literal: String = chars[2..end.max(2)].iter().collect();
    out.push_str(&regex::escape(&literal));
    (end + 2).min(chars.len())
}

fn is_repetition(chars: &[char]) -> bool {
    let body: String = chars[1..].iter().take_while(|c| **c != '}').collect();
    let closed = chars.len() > body.chars().count() + 1;
    let (low, high) = body.split_once(',').unwrap_or((&body, ""));
    closed && !low.is_empty() && low.chars().chain(high.chars()).all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn notation_is_gos() {
        assert!(compile(r"^\d+$").unwrap().is_match("12"));
        assert!(!compile(r"^\d+$").unwrap().is_match("١٢"));
        assert!(compile(r"^{a}$").unwrap().is_match("{a}"));
        assert!(compile(r"^[[a]+$").unwrap().is_match("[a"));
        assert!(compile(r"^[^\d\s]+$").unwrap().is_match("ab"));
        assert!(compile("(").unwrap_err().starts_with("error parsing regexp: missing closing )"));
    }
}
