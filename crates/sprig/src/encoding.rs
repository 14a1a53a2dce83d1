//! Base64 and base32 with Go's decoding: which byte is at fault, and that newlines are skipped.

use gotemplate::{Functions, Signature, Type, Value};

use crate::args::text;

const T: Signature = Signature::fixed(&[Type::String]);
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub fn register(f: &mut Functions) {
    f.add("b64enc", T, |a| Ok(Value::str(base64_encode(&text(a, 0)))));
    f.add("b64dec", T, |a| Ok(Value::str(base64_decode(&text(a, 0)).unwrap_or_else(String::into_bytes))));
    f.add("b32enc", T, |a| Ok(Value::str(base32_encode(&text(a, 0)))));
    f.add("b32dec", T, |a| Ok(Value::str(base32_decode(&text(a, 0)).unwrap_or_else(String::into_bytes))));
}

/// Encodes groups of bytes as characters of `bits` bits each, padded to whole groups.
fn encode(bytes: &[u8], alphabet: &[u8], bits: u32, group: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let (mut held, mut count) = (0u32, 0u32);
    for &byte in bytes {
        held = (held << 8) | u32::from(byte);
        count += 8;
        while count >= bits {
            count -= bits;
            out.push(alphabet[usize::try_from((held >> count) & ((1 << bits) - 1)).unwrap_or(0)]);
        }
        held &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(alphabet[usize::try_from((held << (bits - count)) & ((1 << bits) - 1)).unwrap_or(0)]);
    }
    while !out.len().is_multiple_of(group) {
        out.push(b'=');
    }
    out
}

pub fn base64_encode(bytes: &[u8]) -> Vec<u8> {
    encode(bytes, BASE64, 6, 4)
}

pub fn base32_encode(bytes: &[u8]) -> Vec<u8> {
    encode(bytes, BASE32, 5, 8)
}

/// The whole bytes of decoded characters.
fn pack(values: &[u8], bits: u32, out: &mut Vec<u8>) {
    let (mut held, mut count) = (0u32, 0u32);
    for value in values {
        held = (held << bits) | u32::from(*value);
        count += bits;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((held >> count) & 0xff).unwrap_or(0));
            held &= (1 << count) - 1;
        }
    }
}

fn value_of(byte: u8, alphabet: &[u8]) -> Option<u8> {
    alphabet.iter().position(|b| *b == byte).and_then(|at| u8::try_from(at).ok())
}

fn corrupt<T>(alphabet: u8, at: usize) -> Result<T, String> {
    Err(format!("illegal base{alphabet} data at input byte {at}"))
}

/// Upstream: encoding/base64's decodeQuantum.
pub fn base64_decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let newline = |at: usize| matches!(text.get(at), Some(b'\n' | b'\r'));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    loop {
        let mut group: Vec<u8> = Vec::with_capacity(4);
        while group.len() < 4 {
            let Some(&byte) = text.get(at) else {
                return if group.is_empty() { Ok(out) } else { corrupt(64, at - group.len()) };
            };
            at += 1;
            if let Some(value) = value_of(byte, BASE64) {
                group.push(value);
            } else if byte == b'=' {
                if group.len() < 2 {
                    return corrupt(64, at - 1);
                }
                if group.len() == 2 {
                    while newline(at) {
                        at += 1;
                    }
                    match text.get(at) {
                        None => return corrupt(64, text.len()),
                        Some(b'=') => at += 1,
                        Some(_) => return corrupt(64, at - 1),
                    }
                }
                while newline(at) {
                    at += 1;
                }
                if at < text.len() {
                    return corrupt(64, at);
                }
                break;
            } else if !matches!(byte, b'\n' | b'\r') {
                return corrupt(64, at - 1);
            }
        }
        pack(&group, 6, &mut out);
    }
}

/// Upstream: encoding/base32's decode.
pub fn base32_decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let text: Vec<u8> = text.iter().copied().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let mut group: Vec<u8> = Vec::with_capacity(8);
        let mut end = false;
        while group.len() < 8 && !end {
            let Some(&byte) = text.get(at) else { return corrupt(32, text.len() - group.len()) };
            at += 1;
            let left = text.len() - at;
            if byte == b'=' && group.len() >= 2 && left < 8 {
                if left + group.len() < 7 {
                    return corrupt(32, text.len());
                }
                for k in 0..7 - group.len() {
                    if text.get(at + k).is_some_and(|b| *b != b'=') {
                        return corrupt(32, at + k - 1);
                    }
                }
                if matches!(group.len(), 1 | 3 | 6) {
                    return corrupt(32, at - 1);
                }
                end = true;
            } else {
                match value_of(byte, BASE32) {
                    Some(value) => group.push(value),
                    None => return corrupt(32, at - 1),
                }
            }
        }
        pack(&group, 5, &mut out);
        if end {
            break;
        }
    }
    Ok(out)
}
