//! The one file format of log and snapshot: frames with length and checksum.
//!
//! A frame is written with one write and made durable before the next begins. A frame that does not check out is
//! therefore a torn tail when nothing good follows it, and damage when something does.

use std::io::{self, Read};

const MAGIC: [u8; 4] = *b"knF1";
const HEADER: usize = 12;
/// No frame is larger: a group of writes or a stretch of a snapshot.
const MAX_FRAME: usize = 1 << 30;

/// Begins a frame in `buffer`; returns where it starts.
pub fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    start
}

/// Ends the frame that began at `start`.
pub fn end(buffer: &mut [u8], start: usize) {
    let crc = crc32fast::hash(&buffer[start + HEADER..]);
    let len = (buffer.len() - start - HEADER) as u32;
    buffer[start..start + 4].copy_from_slice(&MAGIC);
    buffer[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    buffer[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// What lies at an offset of a file's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A good frame and the offset behind it.
    Frame(&'a [u8], usize),
    End,
    /// Nothing good from here on: a write that was cut off.
    Torn,
    /// A bad frame with a good one at a later offset.
    Damaged { next_good: usize },
}

/// Reads the frame at `at`.
pub fn read(bytes: &[u8], at: usize) -> Found<'_> {
    if at >= bytes.len() {
        return Found::End;
    }
    if let Some((payload, next)) = good(bytes, at) {
        return Found::Frame(payload, next);
    }
    let rest = &bytes[at + 1..];
    let later = rest.windows(4).enumerate().filter(|(_, w)| *w == MAGIC).map(|(i, _)| at + 1 + i).find(|&i| good(bytes, i).is_some());
    later.map_or(Found::Torn, |next_good| Found::Damaged { next_good })
}

fn good(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let header = bytes.get(at..at + HEADER)?;
    if header[..4] != MAGIC {
        return None;
    }
    let len = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(header[8..12].try_into().ok()?);
    if len > MAX_FRAME {
        return None;
    }
    let payload = bytes.get(at + HEADER..at + HEADER + len)?;
    (crc32fast::hash(payload) == crc).then_some((payload, at + HEADER + len))
}

pub fn put_u64(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

pub fn put_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(buffer, bytes.len() as u64);
    buffer.extend_from_slice(bytes);
}

/// Takes a frame's payload apart. Every read says whether there was enough.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> io::Result<u8> {
        let mut one = [0];
        self.0.read_exact(&mut one)?;
        Ok(one[0])
    }

    pub fn u64(&mut self) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a number has too many bytes"))
    }

    pub fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let len = self.u64()? as usize;
        let (head, tail) = self.0.split_at_checked(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = tail;
        Ok(head)
    }

    pub fn text(&mut self) -> io::Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_frames() -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in [&b"one"[..], b"two"] {
            let start = begin(&mut bytes);
            bytes.extend_from_slice(text);
            end(&mut bytes, start);
        }
        bytes
    }

    #[test]
    fn tells_a_torn_tail_from_damage() {
        let bytes = two_frames();
        assert_eq!(read(&bytes, 0), Found::Frame(b"one", 15));
        assert_eq!(read(&bytes, 15), Found::Frame(b"two", 30));
        assert_eq!(read(&bytes, 30), Found::End);
        for cut in 16..30 {
            assert_eq!(read(&bytes[..cut], 15), Found::Torn, "{cut}");
        }
        for flipped in 0..15 {
            let mut bad = bytes.clone();
            bad[flipped] ^= 1;
            assert_eq!(read(&bad, 0), Found::Damaged { next_good: 15 }, "{flipped}");
        }
    }
}
