//! Passwords, encryption, keys and certificates.

mod certificates;
mod keys;
mod passwords;

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use gotemplate::{Failure, Functions, Outcome, Signature, Type, Value};
use rand::RngCore;

use crate::args::text;
use crate::encoding::{base64_decode, base64_encode};

const TT: Signature = Signature::fixed(&[Type::String, Type::String]);
const BLOCK: usize = 16;

pub fn register(f: &mut Functions) {
    passwords::register(f);
    keys::register(f);
    certificates::register(f);
    f.add("encryptAES", TT, |a| Ok(encrypt(&text(a, 0), &text(a, 1))));
    f.add("decryptAES", TT, |a| decrypt(&text(a, 0), &text(a, 1)));
}

/// The password cut or filled with zeros to a key.
fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0u8; 32];
    let length = password.len().min(32);
    key[..length].copy_from_slice(&password[..length]);
    Aes256::new(&Array::from(key))
}

fn block(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.copy_from_slice(bytes);
    block
}

/// CBC with the vector in front and PKCS #7 padding, in base64.
fn encrypt(password: &[u8], plain: &[u8]) -> Value {
    if plain.is_empty() {
        return Value::str("");
    }
    let cipher = cipher(password);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut content = plain.to_vec();
    content.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
    let mut last = [0u8; BLOCK];
    rand::rng().fill_bytes(&mut last);
    let mut out = last.to_vec();
    for chunk in content.chunks_exact(BLOCK) {
        let mut mixed = block(chunk);
        mixed.iter_mut().zip(last).for_each(|(byte, before)| *byte ^= before);
        let mut state = Array::from(mixed);
        cipher.encrypt_block(&mut state);
        last = state.into();
        out.extend_from_slice(&last);
    }
    Value::str(base64_encode(&out))
}

fn decrypt(password: &[u8], sealed: &[u8]) -> Outcome {
    if sealed.is_empty() {
        return Ok(Value::str(""));
    }
    let sealed = base64_decode(sealed)?;
    if sealed.len() < BLOCK {
        // Upstream: the decoder's buffer has room for whole quanta.
        let capacity = base64_capacity(&sealed);
        return Err(Failure::new(format!("runtime error: slice bounds out of range [:16] with capacity {capacity}")));
    }
    let (vector, body) = sealed.split_at(BLOCK);
    if !body.len().is_multiple_of(BLOCK) {
        return Err("crypto/cipher: input not full blocks".into());
    }
    let cipher = cipher(password);
    let mut before = block(vector);
    let mut out = Vec::with_capacity(body.len());
    for chunk in body.chunks_exact(BLOCK) {
        let mut state = Array::from(block(chunk));
        cipher.decrypt_block(&mut state);
        let opened: [u8; BLOCK] = state.into();
        out.extend(opened.iter().zip(before).map(|(byte, before)| byte ^ before));
        before = block(chunk);
    }
    let Some(&padding) = out.last() else { return Err("runtime error: index out of range [-1]".into()) };
    match out.len().checked_sub(usize::from(padding)) {
        Some(length) => Ok(Value::str(&out[..length])),
        None => {
            let length = i64::try_from(out.len()).unwrap_or(0) - i64::from(padding);
            Err(Failure::new(format!("runtime error: slice bounds out of range [:{length}]")))
        }
    }
}

fn base64_capacity(decoded: &[u8]) -> usize {
    decoded.len().div_ceil(3) * 3
}
