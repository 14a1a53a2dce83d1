//! Checksums.

use gotemplate::{Functions, Signature, Type, Value};
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};

use crate::args::text;

const T: Signature = Signature::fixed(&[Type::String]);

pub fn register(f: &mut Functions) {
    f.add("sha1sum", T, |a| Ok(Value::str(hex(&SHA1_FOR_LEGACY_USE_ONLY, &text(a, 0)))));
    f.add("sha256sum", T, |a| Ok(Value::str(hex(&SHA256, &text(a, 0)))));
    f.add("sha512sum", T, |a| Ok(Value::str(hex(&SHA512, &text(a, 0)))));
    f.add("adler32sum", T, |a| Ok(Value::str(adler32(&text(a, 0)).to_string())));
}

fn hex(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    digest(algorithm, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1u32, 0u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}
