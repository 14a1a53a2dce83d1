//! Hashed and derived passwords.

use gotemplate::{Failure, Functions, Outcome, Signature, Type, Value};
use ring::hmac;

use crate::args::text;

use Type::String as Text;

/// Upstream: bcrypt.DefaultCost.
const COST: u32 = 10;
const SEED: &[u8] = b"com.lyndir.masterpassword";

pub fn register(f: &mut Functions) {
    f.add("bcrypt", Signature::fixed(&[Text]), |a| Ok(Value::str(bcrypt(&text(a, 0)))));
    f.add("htpasswd", Signature::fixed(&[Text, Text]), |a| {
        let user = text(a, 0).text().into_owned();
        if user.contains(':') {
            return Ok(Value::str(format!("invalid username: {user}")));
        }
        Ok(Value::str(format!("{user}:{}", bcrypt(&text(a, 1)))))
    });
    f.add("derivePassword", Signature::fixed(&[Type::Uint32, Text, Text, Text, Text]), |a| {
        let counter = if let Value::Uint(_, counter) = a[0] { u32::try_from(counter).unwrap_or(0) } else { 0 };
        derive(counter, &text(a, 1).text(), &text(a, 2), &text(a, 3), &text(a, 4))
    });
}

fn bcrypt(password: &[u8]) -> String {
    if password.len() > 72 {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".into();
    }
    match ::bcrypt::hash_with_result(password, COST) {
        Ok(parts) => parts.format_for_version(::bcrypt::Version::TwoA),
        Err(error) => format!("failed to encrypt string with bcrypt: {error}"),
    }
}

/// Shapes of passwords by kind; each letter stands for a class of characters.
fn shapes(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv", "CvcvCvcvnoCvcv", "CvcvCvcvCvcvno", "CvccnoCvcvCvcv", "CvccCvcvnoCvcv", "CvccCvcvCvcvno", "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv", "CvcvCvccCvcvno", "CvcvnoCvcvCvcc", "CvcvCvcvnoCvcc", "CvcvCvcvCvccno", "CvccnoCvccCvcv", "CvccCvccnoCvcv",
            "CvccCvccCvcvno", "CvcvnoCvccCvcc", "CvcvCvccnoCvcc", "CvcvCvccCvccno", "CvccnoCvcvCvcc", "CvccCvcvnoCvcc", "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn class(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// The Master Password algorithm.
fn derive(counter: u32, kind: &str, password: &[u8], user: &[u8], site: &[u8]) -> Outcome {
    let Some(shapes) = shapes(kind) else { return Ok(Value::str(format!("cannot find password template {kind}"))) };
    let salt = [SEED, &length(user), user].concat();
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("failed to derive password: {error}"));
    let params = scrypt::Params::new(15, 8, 2).map_err(|error| failed(&error))?;
    let mut key = [0u8; 64];
    scrypt::scrypt(password, &salt, &params, &mut key).map_err(|error| failed(&error))?;
    let message = [SEED, &length(site), site, &counter.to_be_bytes()].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message);
    let seed = tag.as_ref();
    let shape = shapes[usize::from(seed[0]) % shapes.len()];
    let letters = shape.bytes().zip(&seed[1..]).map(|(letter, byte)| {
        let class = class(letter);
        class[usize::from(*byte) % class.len()]
    });
    Ok(Value::str(letters.collect::<Vec<u8>>()))
}
