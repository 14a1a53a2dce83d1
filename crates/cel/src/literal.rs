//! What quoted literals mean: quotes off, escapes resolved. Upstream: cel-go parser/unescape.go.

pub(crate) enum Unescaped {
    Text(String),
    Bytes(Vec<u8>),
}

/// The value of a string (or, with `bytes`, bytes) token with its prefix and quotes.
pub(crate) fn unescape(token: &str, bytes: bool) -> Result<Unescaped, String> {
    let quotes = token.find(['"', '\'']).ok_or("unable to unescape string")?;
    let raw = token[..quotes].contains(['r', 'R']);
    let body = &token[quotes..];
    let width = if body.len() >= 6 && (body.starts_with("\"\"\"") || body.starts_with("'''")) { 3 } else { 1 };
    let inner = body.get(width..body.len() - width).ok_or("unable to unescape string")?.replace("\r\n", "\n").replace('\r', "\n");
    if raw || !inner.contains('\\') {
        return Ok(if bytes { Unescaped::Bytes(inner.into_bytes()) } else { Unescaped::Text(inner) });
    }
    let mut out = Out { bytes, data: Vec::with_capacity(inner.len()) };
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.char(c);
            continue;
        }
        escape(&mut chars, &mut out)?;
    }
    Ok(if bytes { Unescaped::Bytes(out.data) } else { Unescaped::Text(String::from_utf8(out.data).map_err(|_| "invalid UTF-8")?) })
}

struct Out {
    bytes: bool,
    data: Vec<u8>,
}

impl Out {
    fn char(&mut self, c: char) {
        self.data.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// `\x41` and `\101` name a byte in bytes and a code point in strings.
    fn code(&mut self, code: u32) -> Result<(), String> {
        if self.bytes {
            self.data.push(u8::try_from(code).map_err(|_| "unable to unescape octal sequence in bytes")?);
            return Ok(());
        }
        self.char(char::from_u32(code).ok_or("invalid unicode code point")?);
        Ok(())
    }
}

fn escape(chars: &mut std::str::Chars<'_>, out: &mut Out) -> Result<(), String> {
    let kind = chars.next().ok_or("unable to unescape string, found '\\' as last character")?;
    let simple = match kind {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '\'' | '"' | '`' | '?' => kind,
        'x' | 'X' => return out.code(number(chars, 2, 16, 0)?),
        'u' | 'U' => {
            if out.bytes {
                return Err("unable to unescape string".into());
            }
            let code = number(chars, if kind == 'u' { 4 } else { 8 }, 16, 0)?;
            out.char(char::from_u32(code).ok_or("invalid unicode code point")?);
            return Ok(());
        }
        '0'..='3' => return out.code(number(chars, 2, 8, kind as u32 - '0' as u32)?),
        _ => return Err("unable to unescape string".into()),
    };
    out.char(simple);
    Ok(())
}

fn number(chars: &mut std::str::Chars<'_>, digits: usize, radix: u32, start: u32) -> Result<u32, String> {
    let mut value = start;
    for _ in 0..digits {
        let digit = chars.next().and_then(|c| c.to_digit(radix)).ok_or("unable to unescape string")?;
        value = value.checked_mul(radix).and_then(|v| v.checked_add(digit)).ok_or("unable to unescape string")?;
    }
    Ok(value)
}
