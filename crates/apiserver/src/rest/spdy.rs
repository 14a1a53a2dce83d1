//! The client's side of SPDY/3.1, as much of it as streams of a container take: frames out, frames in.
//!
//! Never decompresses: what servers say in headers of their own is not needed. Its own headers go out in stored blocks, which
//! every reader of compressed headers understands. Flow control is left out, as upstream's library leaves it out.
//!
//! Upstream: moby/spdystream; draft-mbelshe-httpbis-spdy-00 and its version 3.1.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The last data of a stream.
const FIN: u8 = 1;
/// Parts in which data is handed on.
const PART: usize = 32 << 10;

/// A stream's number; those of clients are odd.
pub type Stream = u32;

/// Opens streams; keeps the state of header compression.
#[derive(Default)]
pub struct Opener {
    opened: u32,
}

impl Opener {
    /// The frame that opens a stream with one header.
    pub fn open(&mut self, name: &str, value: &str) -> (Stream, Bytes) {
        let stream = 2 * self.opened + 1;
        let mut block = BytesMut::new();
        block.put_u32(1);
        for text in [name, value] {
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

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Data(Stream, Bytes),
    /// No more data of this stream.
    End(Stream),
    /// To be answered with the same bytes.
    Ping(Bytes),
    /// The connection ends.
    Away,
}

/// Reads frames; data comes in parts.
pub struct Reader<R> {
    from: R,
    /// Of the frame at work: its stream, what is left of it, and whether it is the last.
    left: (Stream, usize, bool),
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(from: R) -> Self {
        Self { from, left: (0, 0, false) }
    }

    /// The next thing said; none at the connection's end.
    pub async fn next(&mut self) -> io::Result<Option<Said>> {
        loop {
            let (stream, left, is_last) = self.left;
            if left > 0 {
                let mut part = BytesMut::zeroed(left.min(PART));
                let count = self.from.read(&mut part).await?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                part.truncate(count);
                self.left.1 -= count;
                return Ok(Some(Said::Data(stream, part.freeze())));
            }
            if is_last {
                self.left.2 = false;
                return Ok(Some(Said::End(stream)));
            }
            let mut head = [0; 8];
            if let Err(error) = self.from.read_exact(&mut head).await {
                return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
            }
            let size = usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]);
            if head[0] & 0x80 == 0 {
                self.left = (u32::from_be_bytes([head[0], head[1], head[2], head[3]]), size, head[4] & FIN != 0);
                continue;
            }
            let kind = u16::from_be_bytes([head[2], head[3]]);
            if let Some(said) = self.control(kind, size).await? {
                return Ok(Some(said));
            }
        }
    }

    async fn control(&mut self, kind: u16, size: usize) -> io::Result<Option<Said>> {
        match (kind, size) {
            (3, 8) => {
                let stream = self.from.read_u32().await?;
                self.from.read_u32().await?;
                Ok(Some(Said::End(stream)))
            }
            (6, 4) => {
                let id = self.from.read_u32().await?;
                Ok(Some(Said::Ping(control(6, &id.to_be_bytes()))))
            }
            (7, _) => Ok(Some(Said::Away)),
            _ => {
                tokio::io::copy(&mut (&mut self.from).take(size as u64), &mut tokio::io::sink()).await?;
                Ok(None)
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
        let (first, frame) = opener.open("streamtype", "error");
        let (second, next) = opener.open("streamtype", "stdin");
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
        assert!(matches!(&said[3], Said::Data(7, part) if part.len() == PART));
        assert_eq!(said[4..], [Said::Data(7, Bytes::from_static(&[1])), Said::End(7), Said::End(9)]);
        for broken in [&data(1, b"hello", false)[..10], &control(6, &[0, 0, 0, 1])[..10]] {
            let mut reader = Reader::new(broken);
            while let Ok(Some(Said::Data(..))) = reader.next().await {}
            assert!(reader.next().await.is_err() || broken.len() == 10);
        }
    }
}
