//! Keys that leave a session without ending it.
// Upstream: moby/term ascii.go, proxy.go; kubectl pkg/cmd/attach/attach.go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::Input;

pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// `ctrl-p,ctrl-q`, `ctrl-a,x`, `DEL`.
pub fn parse(text: &str) -> Result<Vec<u8>, String> {
    let text = if text.is_empty() { DEFAULT } else { text };
    let code = |key: &str| match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([one], _) => Some(*one),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some([sign @ (b'@' | b'['..=b'_')])) => Some(sign - b'@'),
        (b"DEL", _) => Some(127),
        _ => None,
    };
    text.split(',').map(|key| code(key).ok_or_else(|| format!("Unknown character: '{key}'"))).collect()
}

/// Passes on what is typed, but for the keys that leave; those come last.
pub struct Detachable {
    inner: Input,
    keys: Vec<u8>,
    /// So many of the keys were typed.
    matched: usize,
    detached: CancellationToken,
}

impl Detachable {
    pub fn new(inner: Input, keys: Vec<u8>, detached: CancellationToken) -> Self {
        Self { inner, keys, matched: 0, detached }
    }

    /// What of it goes on; keys that might leave are held back until it shows.
    fn sift(&mut self, typed: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(typed.len() + self.keys.len());
        for byte in typed {
            if *byte != self.keys[self.matched] {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == self.keys[self.matched] {
                self.matched += 1;
            } else {
                out.push(*byte);
            }
            if self.matched == self.keys.len() {
                self.detached.cancel();
                break;
            }
        }
        out
    }
}

impl AsyncRead for Detachable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.detached.is_cancelled() {
                return Poll::Pending;
            }
            let mut part = vec![0; to.remaining().saturating_sub(self.keys.len()).clamp(1, 1024)];
            let mut typed = ReadBuf::new(&mut part);
            ready!(Pin::new(&mut self.inner).poll_read(context, &mut typed))?;
            if typed.filled().is_empty() {
                let held = std::mem::take(&mut self.matched);
                to.put_slice(&self.keys[..held]);
                return Poll::Ready(Ok(()));
            }
            let sifted = self.sift(typed.filled());
            if !sifted.is_empty() {
                to.put_slice(&sifted);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn keys_have_names() {
        assert_eq!(parse("").unwrap(), [16, 17]);
        assert_eq!(parse("ctrl-a,x,ctrl-@,ctrl-_,DEL").unwrap(), [1, b'x', 0, 31, 127]);
        assert_eq!(parse("ctrl-,,x").unwrap_err(), "Unknown character: 'ctrl-'");
    }

    #[tokio::test]
    async fn only_the_whole_sequence_leaves() {
        let detached = CancellationToken::new();
        let typed = b"a\x10b\x10\x10c\x10";
        let mut input = Detachable::new(Box::new(&typed[..]), vec![16, 17], detached.clone());
        let mut all = Vec::new();
        input.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, typed);
        assert!(!detached.is_cancelled());
        let mut input = Detachable::new(Box::new(&b"ab\x10\x11c"[..]), vec![16, 17], detached.clone());
        let mut part = [0; 64];
        assert_eq!(input.read(&mut part).await.unwrap(), 2);
        assert!(detached.is_cancelled());
    }
}
