//! Slash-separated paths; those of the operating system are the same here.

use gotemplate::{Functions, Signature, Type, Value};

use crate::args::text;

const T: Signature = Signature::fixed(&[Type::String]);

pub fn register(f: &mut Functions) {
    for name in ["base", "osBase"] {
        f.add(name, T, |a| Ok(Value::str(base(&text(a, 0)))));
    }
    for name in ["dir", "osDir"] {
        f.add(name, T, |a| Ok(Value::str(dir(&text(a, 0)))));
    }
    for name in ["clean", "osClean"] {
        f.add(name, T, |a| Ok(Value::str(clean(&text(a, 0)))));
    }
    for name in ["ext", "osExt"] {
        f.add(name, T, |a| Ok(Value::str(extension(&text(a, 0)))));
    }
    for name in ["isAbs", "osIsAbs"] {
        f.add(name, T, |a| Ok(Value::Bool(text(a, 0).starts_with(b"/"))));
    }
}

/// `path.Base`
pub fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    if end == 0 {
        return b"/";
    }
    let start = path[..end].iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    &path[start..end]
}

fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    clean(&path[..end])
}

fn extension(path: &[u8]) -> &[u8] {
    let name = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    match path[name..].iter().rposition(|b| *b == b'.') {
        Some(dot) => &path[name + dot..],
        None => b"",
    }
}

/// `path.Clean`
pub fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &*joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
