//! Answers that go on: watch events and logs, line by line and as bytes.
//!
//! Never holds more than one event.

use bytes::{Bytes, BytesMut};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use tokio::time::Instant;

use crate::client::{Api, chain, request};
use crate::failure::{Failure, Outcome, fail};

const MAX_EVENT: usize = 64 << 20;

pub struct Lines {
    body: Body,
    buffer: BytesMut,
    /// How far the buffer is known to hold no line end.
    searched: usize,
    ended: bool,
    /// When it ends at the latest.
    until: Option<Instant>,
}

impl Lines {
    pub fn of(response: Response<Body>) -> Self {
        Self { body: response.into_body(), buffer: BytesMut::new(), searched: 0, ended: false, until: None }
    }

    /// The next line with its end; the last may be without.
    pub async fn next_line(&mut self) -> Outcome<Option<Bytes>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(self.searched + at + 1).freeze();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.ended {
                self.searched = 0;
                return Ok(if self.buffer.is_empty() { None } else { Some(self.buffer.split().freeze()) });
            }
            if self.buffer.len() > MAX_EVENT {
                return fail("a line of the server's answer is too long");
            }
            let next = next_chunk(&mut self.body);
            let next = match self.until {
                None => next.await?,
                // Upstream: a watch that --request-timeout ends is no fault.
                Some(until) => tokio::time::timeout_at(until, next).await.unwrap_or(Ok(None))?,
            };
            match next {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
    }

    /// The next event of a watch.
    pub async fn next(&mut self) -> Outcome<Option<Value>> {
        while let Some(line) = self.next_line().await? {
            if line.trim_ascii().is_empty() {
                continue;
            }
            return serde_json::from_slice(&line).map(Some).map_err(|e| Failure::Text(format!("unable to decode an event from the watch stream: {e}")));
        }
        Ok(None)
    }
}

pub async fn next_chunk(body: &mut Body) -> Outcome<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::Text(chain(&e)))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Opens a watch; it ends when a request may take no longer.
pub async fn open(api: &Api, path: &str, accept: &str) -> Outcome<Lines> {
    let until = api.timeout.map(|limit| Instant::now() + limit);
    Ok(Lines { until, ..Lines::of(api.send(request(Method::GET, path, accept, None)).await?) })
}

/// Hands the whole answer on as it comes.
pub async fn copy(response: Response<Body>, mut to: impl FnMut(&[u8])) -> Outcome {
    let mut body = response.into_body();
    while let Some(chunk) = next_chunk(&mut body).await? {
        to(&chunk);
    }
    Ok(())
}
