//! Protobuf's wire format: varints, tags, length-delimited pieces. Never reads past its slice, never allocates by a claimed length.

use crate::error::DecodeError;

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const BYTES: u8 = 2;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_tag(out: &mut Vec<u8>, number: u16, kind: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(kind));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u16, bytes: &[u8]) {
    put_tag(out, number, BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_number(out: &mut Vec<u8>, number: u16, value: u64) {
    put_tag(out, number, VARINT);
    put_varint(out, value);
}

/// Writes a message whose length is known only afterwards.
pub(crate) fn put_message<E>(out: &mut Vec<u8>, number: u16, body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    put_tag(out, number, BYTES);
    let start = out.len();
    body(out)?;
    let mut length = Vec::with_capacity(5);
    put_varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
    Ok(())
}

/// One field as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Piece<'a> {
    pub fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(DecodeError::Wire("proto: wrong wireType")),
        }
    }

    pub fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Wire("proto: string field contains invalid UTF-8"))
    }

    pub fn number(self) -> Result<u64, DecodeError> {
        match self {
            Self::Number(n) => Ok(n),
            _ => Err(DecodeError::Wire("proto: wrong wireType")),
        }
    }
}

/// Reads the fields of a message in order.
pub(crate) struct Reader<'a>(pub &'a [u8]);

const EOF: DecodeError = DecodeError::Wire("unexpected EOF");

impl<'a> Reader<'a> {
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut out = 0u64;
        for shift in (0..64).step_by(7) {
            let (&first, rest) = self.0.split_first().ok_or(EOF)?;
            self.0 = rest;
            out |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(out);
            }
        }
        Err(DecodeError::Wire("proto: integer overflow"))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], DecodeError> {
        let count = usize::try_from(count).map_err(|_| EOF)?;
        let (head, rest) = self.0.split_at_checked(count).ok_or(EOF)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn next(&mut self) -> Result<Option<(u64, Piece<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let piece = match (tag & 7) as u8 {
            VARINT => Piece::Number(self.varint()?),
            BYTES => {
                let length = self.varint()?;
                Piece::Bytes(self.take(length)?)
            }
            FIXED64 => Piece::Fixed(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| EOF)?)),
            5 => Piece::Fixed(u64::from(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| EOF)?))),
            _ => return Err(DecodeError::Wire("proto: illegal wireType")),
        };
        Ok(Some((tag >> 3, piece)))
    }
}
