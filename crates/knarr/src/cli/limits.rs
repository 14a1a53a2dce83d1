//! Upstream's flags about times and counts that bound what is served.
//!
//! Upstream: apiserver `pkg/server/options/server_run_options.go`.

use apiserver::Limits;
use clap::Args;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::access::{api_duration, duration};
use crate::failure::failure;

#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitArgs {
    /// How long a request may take that is no stream [default: 1m0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub request_timeout: Option<String>,
    /// Seconds that a watch lasts at least which says nothing of it; at most twice as many [default: 1800]
    #[arg(long, hide_short_help = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1 << 31))]
    pub min_request_timeout: Option<u64>,
    /// How long events stay [default: 1h0m0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub event_ttl: Option<String>,
    /// Seconds that pods stay on a node that is not ready [default: 300]
    #[arg(long, hide_short_help = true, value_name = "SECONDS", allow_negative_numbers = true)]
    pub default_not_ready_toleration_seconds: Option<i64>,
    /// Seconds that pods stay on a node that is not reached [default: 300]
    #[arg(long, hide_short_help = true, value_name = "SECONDS", allow_negative_numbers = true)]
    pub default_unreachable_toleration_seconds: Option<i64>,
    /// Requests at once over one connection; 0 for the usual number [default: 250]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub http2_max_streams_per_connection: Option<u32>,
    /// Tell browsers to come by TLS alone, such as max-age=31536000,includeSubDomains,preload
    #[arg(long, hide_short_help = true, value_name = "TEXT", value_delimiter = ',')]
    pub strict_transport_security_directives: Vec<String>,
}

impl LimitArgs {
    /// What the API server needs to know.
    pub fn config(&self) -> anyhow::Result<Limits> {
        let usual = Limits::default();
        let time = |flag: &str, given: &Option<String>, usual| match given.as_deref().map(api_duration).transpose().map_err(anyhow::Error::msg)? {
            Some(time) if time.is_zero() => Err(failure(format!("{flag} cannot be 0"), "give a time such as 1m0s")),
            given => Ok(given.unwrap_or(usual)),
        };
        Ok(Limits {
            request: time("--request-timeout", &self.request_timeout, usual.request)?,
            min_watch_seconds: self.min_request_timeout.unwrap_or(usual.min_watch_seconds),
            event_ttl: time("--event-ttl", &self.event_ttl, usual.event_ttl)?,
            not_ready_seconds: self.default_not_ready_toleration_seconds.unwrap_or(usual.not_ready_seconds),
            unreachable_seconds: self.default_unreachable_toleration_seconds.unwrap_or(usual.unreachable_seconds),
            streams: self.http2_max_streams_per_connection.filter(|count| *count > 0).unwrap_or(usual.streams),
            transport_security: self.transport_security()?,
        })
    }

    fn transport_security(&self) -> anyhow::Result<Option<HeaderValue>> {
        let directives = &self.strict_transport_security_directives;
        if directives.is_empty() {
            return Ok(None);
        }
        let fits = |d: &String| matches!(d.as_str(), "includeSubDomains" | "preload") || d.strip_prefix("max-age=").is_some_and(|age| !age.contains('='));
        let value = HeaderValue::from_str(&directives.join("; ")).ok().filter(|_| directives.iter().all(fits));
        let wrong = || failure("--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload", "see https://tools.ietf.org/html/rfc6797#section-6.1");
        value.map(Some).ok_or_else(wrong)
    }
}
