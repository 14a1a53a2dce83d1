//! JSON as Go's encoding/json writes and reads it, and the functions over it.

mod decode;
mod encode;

use gotemplate::{Functions, Signature, Type, Value};

use crate::args::text;

pub use decode::{Decoded, decode, decode_as};
pub use encode::{Style, encode};

const A: Signature = Signature::fixed(&[Type::Any]);
const T: Signature = Signature::fixed(&[Type::String]);

pub fn register(f: &mut Functions) {
    f.add("toJson", A, |a| Ok(Value::str(encode(&a[0], Style::Plain).unwrap_or_default())));
    f.add("mustToJson", A, |a| encode(&a[0], Style::Plain).map(Value::str));
    f.add("toPrettyJson", A, |a| Ok(Value::str(encode(&a[0], Style::Pretty).unwrap_or_default())));
    f.add("mustToPrettyJson", A, |a| encode(&a[0], Style::Pretty).map(Value::str));
    for name in ["toRawJson", "mustToRawJson"] {
        f.add(name, A, |a| encode(&a[0], Style::Raw).map(Value::str));
    }
    f.add("fromJson", T, |a| Ok(decode(&text(a, 0)).value));
    f.add("mustFromJson", T, |a| {
        let decoded = decode(&text(a, 0));
        decoded.error.map_or(Ok(decoded.value), |error| Err(error.into()))
    });
}
