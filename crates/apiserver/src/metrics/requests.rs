//! What is counted of an answer besides that it was given: its size, its time without waits, and answers given up.
//!
//! Upstream: apiserver `pkg/endpoints/metrics/metrics.go` (`MonitorRequest`, `RecordRequestTermination`).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::{LONG, Labels, registered};
use crate::respond::Body;

const SIZES: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const SLI: [f64; 21] = [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0];
const ENDED: [&str; 8] = ["verb", "group", "version", "resource", "subresource", "scope", "component", "code"];

pub struct Answers {
    sizes: HistogramVec,
    sli: HistogramVec,
    ended: IntCounterVec,
}

impl Answers {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.";
        let sizes = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_response_sizes", help).buckets(SIZES.into()), &LONG))?;
        let help = "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.";
        let sli = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_request_sli_duration_seconds", help).buckets(SLI.into()), &LONG))?;
        let ended = registered(registry, IntCounterVec::new(Opts::new("apiserver_request_terminations_total", "[ALPHA] Number of requests which apiserver terminated in self-defense."), &ENDED))?;
        Ok(Self { sizes, sli, ended })
    }

    /// An answer took so long, without what webhooks and queues took.
    pub fn took(&self, labels: &Labels, time: Duration) {
        self.sli.with_label_values(&labels.long()).observe(time.as_secs_f64());
    }

    /// The server gave a request up.
    pub fn gave_up(&self, labels: &Labels, code: &str) {
        let mut all = [""; 8];
        all[..7].copy_from_slice(&labels.long());
        all[7] = code;
        self.ended.with_label_values(&all).inc();
    }

    /// Counts the bytes of what is read: at once where they are known, else when they are sent.
    pub fn measured(&self, labels: &Labels, response: Response<Body>) -> Response<Body> {
        if !matches!(labels.verb, "GET" | "LIST") {
            return response;
        }
        let sizes = self.sizes.with_label_values(&labels.long());
        if let Some(size) = response.body().size_hint().exact() {
            sizes.observe(size as f64);
            return response;
        }
        response.map(|body| Measured { body, sent: 0, sizes }.boxed_unsync())
    }
}

/// A body whose size is known when it is gone.
struct Measured {
    body: Body,
    sent: u64,
    sizes: Histogram,
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.sizes.observe(self.sent as f64);
    }
}

impl http_body::Body for Measured {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond;
    use futures::FutureExt;

    #[test]
    fn bytes_of_what_is_read_are_counted_streamed_or_not() {
        let registry = Registry::new();
        let answers = Answers::new(&registry).expect("names are right");
        let labels = |verb| Labels { verb, dry_run: "", group: String::new(), version: "v1".into(), resource: "pods".into(), subresource: String::new(), scope: "cluster" };
        let parts = futures::stream::iter([Bytes::from_static(b"ab"), Bytes::from_static(b"cd")]);
        let streamed = answers.measured(&labels("LIST"), Response::new(respond::stream(parts)));
        let read = streamed.into_body().collect().now_or_never().expect("all is there").expect("no fault");
        assert_eq!(read.to_bytes(), "abcd");
        answers.measured(&labels("LIST"), Response::new(respond::full("12345")));
        answers.measured(&labels("POST"), Response::new(respond::full("12345")));
        let text = String::from_utf8(super::super::text_of(&registry)).expect("text");
        let of = "{component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"cluster\",subresource=\"\",verb=\"LIST\",version=\"v1\"}";
        assert!(text.contains(&format!("apiserver_response_sizes_sum{of} 9\n")) && text.contains(&format!("apiserver_response_sizes_count{of} 2\n")) && !text.contains("POST"), "{text}");
    }
}
