//! Frames out, frames in.
//!
//! Never decompresses: what servers say in headers of their own is not needed. Its own headers go out in stored blocks, which
//! every reader of compressed headers understands. Flow control is left out, as upstream's library leaves it out.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The last data of a stream.
const FIN: u8 = 1;
/// Parts in which data is handed on.
pub const PART: usize = 32 << 10;
/// Status of a RST_STREAM: the one who opened the stream wants no more of it.
const CANCEL: u32 = 5;

/// A stream's number; those of clients are odd.
pub type Stream = u32;

/// Opens streams; keeps the state of header compression.
#[derive(Default)]
pub struct Opener {
    opened: u32,
}

impl Opener {
    /// The frame that opens a stream with these headers, their names in lower case. Together they take less than 64 KiB.
    pub fn open(&mut self, headers: &[(&str, &str)]) -> (Stream, Bytes) {
        let stream = 2 * self.opened + 1;
        let mut block = BytesMut::new();
        block.put_u32(u32::try_from(headers.len()).unwrap_or_default());
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            block.put_u32(u32::try_from(text.len()).unwrap_or_default());
            block.put_slice(text.as_bytes());
        }
        let mut payload = BytesMut::new();
        payload.put_u32(stream);
        // No stream that it belongs to, no priority.
        payload.put_slice(&[0; 6]);
        if self.opened == 0 {
            // The beginning of a zlib stream, without a dictionary.
            payload.put_slice(&[0x78, 0x01]);
        }
        let size = u16::try_from(block.len()).unwrap_or_default();
        payload.put_u8(0);
        payload.put_u16_le(size);
        payload.put_u16_le(!size);
        payload.put_slice(&block);
        // An empty block makes the reader hand out what it has.
        payload.put_slice(&[0, 0, 0, 0xff, 0xff]);
        self.opened += 1;
        (stream, control(1, &payload))
    }
}

fn control(kind: u16, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + payload.len());
    frame.put_u16(0x8003);
    frame.put_u16(kind);
    frame.put_u32(u32::try_from(payload.len()).unwrap_or_default());
    frame.put_slice(payload);
    frame.freeze()
}

/// Data of a stream.
pub fn data(stream: Stream, bytes: &[u8], is_last: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + bytes.len());
    frame.put_u32(stream);
    let flags = if is_last { u32::from(FIN) << 24 } else { 0 };
    frame.put_u32(flags | u32::try_from(bytes.len()).unwrap_or_default());
    frame.put_slice(bytes);
    frame.freeze()
}

/// Gives a stream up, both directions.
pub fn reset(stream: Stream) -> Bytes {
    let mut payload = BytesMut::new();
    payload.put_u32(stream);
    payload.put_u32(CANCEL);
    control(3, &payload)
}

/// Asks whether the other side is there. Clients number theirs oddly; the answer is the same frame.
pub fn ping(id: u32) -> Bytes {
    control(6, &id.to_be_bytes())
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Data(Stream, Bytes),
    /// No more data of this stream.
    End(Stream),
    /// The server gives the stream up, both directions.
    Reset(Stream),
    /// To be answered with the same bytes.
    Ping(Bytes),
    /// No new streams are taken.
    Away,
}

/// Reads frames; data comes in parts. A reading that is dropped loses nothing.
pub struct Reader<R> {
    from: R,
    buffer: BytesMut,
    /// Of the frame at work: its stream, what is left of it, and whether it is the last.
    left: (Stream, usize, bool),
    /// What is left of a frame that nobody wants.
    skip: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::with_capacity(PART), left: (0, 0, false), skip: 0 }
    }

    /// The next thing said; none at the connection's end.
    pub async fn next(&mut self) -> io::Result<Option<Said>> {
        loop {
            if let Some(said) = self.parse() {
                return Ok(Some(said));
            }
            self.buffer.reserve(PART.saturating_sub(self.buffer.len()));
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                let is_between = self.buffer.is_empty() && self.left.1 == 0 && self.skip == 0;
                return if is_between { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// What the buffer holds next; none where more has to be read.
    fn parse(&mut self) -> Option<Said> {
        loop {
            let skipped = self.skip.min(self.buffer.len());
            self.buffer.advance(skipped);
            self.skip -= skipped;
            let (stream, left, is_last) = self.left;
            if left > 0 {
                let part = self.buffer.split_to(left.min(self.buffer.len()).min(PART)).freeze();
                self.left.1 -= part.len();
                return (!part.is_empty()).then_some(Said::Data(stream, part));
            }
            if is_last {
                self.left.2 = false;
                return Some(Said::End(stream));
            }
            let mut head = self.buffer.get(..8)?;
            let (first, sized) = (head.get_u32(), head.get_u32());
            let (flags, size) = (sized >> 24, (sized & 0xff_ffff) as usize);
            if first & 0x8000_0000 == 0 {
                self.buffer.advance(8);
                self.left = (first, size, flags & u32::from(FIN) != 0);
                continue;
            }
            let kind = first & 0xffff;
            let wanted = if matches!((kind, size), (3, 8) | (6, 4)) { size } else { 0 };
            let mut payload = self.buffer.get(8..8 + wanted)?;
            let said = match kind {
                3 if wanted > 0 => Some(Said::Reset(payload.get_u32())),
                6 if wanted > 0 => Some(Said::Ping(ping(payload.get_u32()))),
                7 => Some(Said::Away),
                _ => None,
            };
            self.buffer.advance(8 + wanted);
            self.skip = size - wanted;
            if said.is_some() {
                return said;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_opened_with_headers_that_all_understand() {
        let mut opener = Opener::default();
        let (first, frame) = opener.open(&[("streamtype", "error")]);
        let (second, next) = opener.open(&[("streamtype", "stdin")]);
        assert_eq!((first, second), (1, 3));
        assert_eq!(frame[..8], [0x80, 3, 0, 1, 0, 0, 0, u8::try_from(frame.len() - 8).unwrap()]);
        // One zlib stream over both frames.
        let compressed = [&frame[18..], &next[18..]].concat();
        let mut block = Vec::new();
        let _ = std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(compressed.as_slice()), &mut block);
        let pair = |value: &str| [&[0, 0, 0, 1, 0, 0, 0, 10][..], b"streamtype", &[0, 0, 0, 5], value.as_bytes()].concat();
        assert_eq!(block, [pair("error"), pair("stdin")].concat());
    }

    #[tokio::test]
    async fn frames_are_read_in_any_pieces() {
        let mut bytes = control(2, &[0; 40]).to_vec();
        bytes.extend(data(5, b"hello", false));
        bytes.extend(control(6, &[0, 0, 0, 2]));
        bytes.extend(data(5, b"", true));
        bytes.extend(data(7, &[1; PART + 1], true));
        bytes.extend(control(3, &[0, 0, 0, 9, 0, 0, 0, 1]));
        let mut reader = Reader::new(bytes.as_slice());
        let mut said = Vec::new();
        while let Some(next) = reader.next().await.unwrap() {
            said.push(next);
        }
        assert_eq!(said[0], Said::Data(5, Bytes::from_static(b"hello")));
        assert_eq!(said[1], Said::Ping(control(6, &[0, 0, 0, 2])));
        assert_eq!(said[2], Said::End(5));
        // How much of a frame comes at once is the connection's affair.
        let (rest, ends) = said[3..].split_at(said.len() - 5);
        let sizes: Vec<usize> = rest.iter().map(|s| if let Said::Data(7, part) = s { part.len() } else { 0 }).collect();
        assert!(sizes.iter().all(|s| (1..=PART).contains(s)) && sizes.iter().sum::<usize>() == PART + 1, "{sizes:?}");
        assert_eq!(ends, [Said::End(7), Said::Reset(9)]);
        for broken in [&data(1, b"hello", false)[..10], &control(6, &[0, 0, 0, 1])[..10]] {
            let mut reader = Reader::new(broken);
            while let Ok(Some(Said::Data(..))) = reader.next().await {}
            assert!(reader.next().await.is_err() || broken.len() == 10);
        }
    }
}
