//! Functions that give something else each time.

use gotemplate::text::runes;
use gotemplate::{Failure, Functions, Outcome, Signature, Type, Value};
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};

use crate::args::{MAX_BYTES, bounded, int, text};
use crate::encoding::base64_encode;

const I: Signature = Signature::fixed(&[Type::Int]);

pub fn register(f: &mut Functions) {
    f.add("randAlphaNum", I, |a| of(int(a, 0), b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"));
    f.add("randAlpha", I, |a| of(int(a, 0), b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"));
    f.add("randNumeric", I, |a| of(int(a, 0), b"0123456789"));
    f.add("randAscii", I, |a| {
        let printable: Vec<u8> = (b' '..=b'~').collect();
        of(int(a, 0), &printable)
    });
    f.add("randBytes", I, |a| {
        let count = usize::try_from(int(a, 0)).map_err(|_| Failure::new("runtime error: makeslice: len out of range"))?;
        bounded(count, MAX_BYTES, "random text")?;
        let mut bytes = vec![0; count];
        rand::rng().fill_bytes(&mut bytes);
        Ok(Value::str(base64_encode(&bytes)))
    });
    f.add("randInt", Signature::fixed(&[Type::Int, Type::Int]), |a| {
        let (least, most) = (int(a, 0), int(a, 1));
        if most <= least {
            return Err("invalid argument to Intn".into());
        }
        Ok(Value::int(rand::rng().random_range(least..most)))
    });
    f.add("shuffle", Signature::fixed(&[Type::String]), |a| {
        let mut letters: Vec<char> = runes(&text(a, 0)).map(|(_, r, _)| r).collect();
        letters.shuffle(&mut rand::rng());
        Ok(Value::str(letters.into_iter().collect::<String>()))
    });
    f.add("uuidv4", Signature::fixed(&[]), |_| Ok(Value::str(uuid())));
}

/// A count below zero gives nothing, as the error of upstream's generator is dropped.
fn of(count: i64, letters: &[u8]) -> Outcome {
    let count = usize::try_from(count).unwrap_or(0);
    bounded(count, MAX_BYTES, "random text")?;
    let mut rng = rand::rng();
    Ok(Value::str((0..count).map(|_| letters[rng.random_range(0..letters.len())]).collect::<Vec<u8>>()))
}

fn uuid() -> String {
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
