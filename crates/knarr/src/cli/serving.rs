//! Upstream's flags about how requests are taken in, how many at once, and how the server ends.
//!
//! Upstream: apiserver `pkg/server/options/{server_run_options,serving,api_enablement}.go`, kube-apiserver `options.go`.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use apiserver::{Inflight, RuntimeConfig, Serving, Shutdown, TlsChoice};
use clap::Args;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::access::{api_duration, duration};
use crate::failure::failure;

#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServingArgs {
    /// The address that the API is served at [default: all of IPv4]
    #[arg(long, hide_short_help = true, value_name = "IP")]
    pub bind_address: Option<IpAddr>,
    /// What clients are told the server's name is [default: --node-ip]
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub external_hostname: Option<String>,
    /// Serve HTTP/1.1 alone
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub disable_http2_serving: Option<bool>,
    /// The least version of TLS: VersionTLS12 or VersionTLS13 [default: VersionTLS12]
    #[arg(long, hide_short_help = true, value_name = "VERSION")]
    pub tls_min_version: Option<String>,
    /// Ciphers of TLS 1.2, by Go's names [default: all that are safe]
    #[arg(long, hide_short_help = true, value_name = "CIPHER", value_delimiter = ',')]
    pub tls_cipher_suites: Vec<String>,
    /// How likely a request over HTTP/2 moves its connection to another server behind a balancer, 0 to 0.02 [default: 0]
    #[arg(long, hide_short_help = true, value_name = "CHANCE", allow_negative_numbers = true)]
    pub goaway_chance: Option<f64>,
    /// Web pages that may use the API: expressions of their origins, such as //example[.]com(:|$)
    #[arg(long, hide_short_help = true, value_name = "REGEX", value_delimiter = ',')]
    pub cors_allowed_origins: Vec<String>,
    /// Requests at once that change nothing [default: 400]
    #[arg(long, hide_short_help = true, value_name = "COUNT", allow_negative_numbers = true)]
    pub max_requests_inflight: Option<i64>,
    /// Requests at once that change something [default: 200]
    #[arg(long, hide_short_help = true, value_name = "COUNT", allow_negative_numbers = true)]
    pub max_mutating_requests_inflight: Option<i64>,
    /// Give the sum of both as seats by FlowSchemas and PriorityLevelConfigurations [default: true]
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_priority_and_fairness: Option<bool>,
    /// How long a server that ends serves on, while it says that it is not ready [default: 0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub shutdown_delay_duration: Option<String>,
    /// Refuse what comes after that with 429, until all that came before is answered
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub shutdown_send_retry_after: Option<bool>,
    /// End watches one by one within this time [default: 0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub shutdown_watch_termination_grace_period: Option<String>,
    /// How long what a server does after it began to serve may fail in /livez; here all is done before [default: 0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub livez_grace_period: Option<String>,
    /// Ports of services on nodes [default: 30000-32767]
    #[arg(long, hide_short_help = true, value_name = "FIRST-LAST")]
    pub service_node_port_range: Option<String>,
    /// Versions of the API to turn on or off, such as batch/v1=false or api/beta=false
    #[arg(long, hide_short_help = true, value_name = "KEY=BOOL", value_delimiter = ',')]
    pub runtime_config: Vec<String>,
}

impl ServingArgs {
    /// What the API server needs to know.
    pub fn config(&self) -> anyhow::Result<Serving> {
        let (tls, passed) = TlsChoice::read(self.tls_min_version.as_deref().unwrap_or_default(), &self.tls_cipher_suites)
            .map_err(|why| failure(why, "leave --tls-min-version and --tls-cipher-suites out: TLS 1.2 and 1.3 with safe ciphers are usual"))?;
        if !passed.is_empty() {
            tracing::warn!(ciphers = ?passed, "ciphers that are not safe are not offered");
        }
        let goaway = self.goaway_chance.unwrap_or(0.0);
        if !(0.0..=0.02).contains(&goaway) {
            return Err(failure("--goaway-chance can not be less than 0 or greater than 0.02", "give a chance such as 0.001"));
        }
        Ok(Serving {
            bind: self.bind_address,
            external: self.external_hostname.clone().filter(|name| !name.is_empty()),
            http2: self.disable_http2_serving != Some(true),
            tls,
            goaway,
            origins: self.cors_allowed_origins.iter().map(|text| origin(text)).collect::<anyhow::Result<_>>()?,
            inflight: self.inflight()?,
            shutdown: self.shutdown()?,
            node_ports: self.service_node_port_range.as_deref().map_or_else(|| Ok(Serving::default().node_ports), ports)?,
            runtime: RuntimeConfig::read(&self.runtime_config).map_err(|why| failure(why, "give --runtime-config=GROUP/VERSION=true with groups and versions that `kubectl api-versions` tells"))?,
        })
    }

    /// Times of a server that ends.
    pub fn shutdown(&self) -> anyhow::Result<Shutdown> {
        let time = |given: &Option<String>| given.as_deref().map_or(Ok(Duration::ZERO), api_duration).map_err(anyhow::Error::msg);
        Ok(Shutdown { delay: time(&self.shutdown_delay_duration)?, retry_after: self.shutdown_send_retry_after == Some(true), watch_grace: time(&self.shutdown_watch_termination_grace_period)? })
    }

    fn inflight(&self) -> anyhow::Result<Inflight> {
        let usual = Inflight::default();
        let count = |flag: &str, given: Option<i64>, usual: u32| match given {
            None => Ok(usual),
            Some(given) if given < 0 => Err(failure(format!("{flag} can not be negative value"), "give a number such as 400, or 0 for no bound of its own")),
            // More is no bound.
            Some(given) => Ok(u32::try_from(given).unwrap_or(u32::MAX).min(1 << 28)),
        };
        let (reads, writes) = (count("--max-requests-inflight", self.max_requests_inflight, usual.reads)?, count("--max-mutating-requests-inflight", self.max_mutating_requests_inflight, usual.writes)?);
        let fair = self.enable_priority_and_fairness != Some(false);
        if fair && reads + writes == 0 {
            let why = format!("invalid configuration: MaxRequestsInFlight={reads} and MaxMutatingRequestsInFlight={writes}; they must add up to something positive");
            return Err(failure(why, "give --max-requests-inflight and --max-mutating-requests-inflight such as 400 and 200"));
        }
        Ok(Inflight { reads, writes, fair })
    }
}

fn origin(text: &str) -> anyhow::Result<Regex> {
    let hint = "match the whole host: begin with ^ or //, end with $ or :, such as //example[.]com(:|$)";
    if text.is_empty() {
        return Err(failure("empty value in --cors-allowed-origins", hint));
    }
    let wrong = |why: &dyn std::fmt::Display| failure(format!("--cors-allowed-origins has an invalid regular expression: {why}"), hint);
    let regex = Regex::new(text).map_err(|e| wrong(&e))?;
    let is_pinned = ["^", "//"].iter().any(|pin| text.contains(pin)) && ["$", ":"].iter().any(|pin| text.contains(pin));
    if is_pinned { Ok(regex) } else { Err(wrong(&"regular expression does not pin to start/end of host in the origin header")) }
}

/// `30000-32767`, `30000+2767`, one port, or 0 for none. Upstream: apimachinery `pkg/util/net/port_range.go`.
fn ports(text: &str) -> anyhow::Result<RangeInclusive<i64>> {
    let wrong = |why: String| failure(format!("invalid argument {text:?} for \"--service-node-port-range\" flag: {why}"), "write it like 30000-32767");
    let port = |word: &str| word.trim().parse::<i64>().ok().filter(|port| (0..=65_535).contains(port)).ok_or_else(|| wrong(format!("the port range cannot be greater than 65535 and must be a number: {word}")));
    let text = text.trim();
    let (first, last) = if let Some((first, last)) = text.split_once('-') {
        (port(first)?, port(last)?)
    } else if let Some((first, more)) = text.split_once('+') {
        let (first, more) = (port(first)?, port(more)?);
        (first, (first + more).min(65_535))
    } else {
        let one = port(text)?;
        (one, one)
    };
    if last < first {
        return Err(wrong(format!("end port cannot be less than start port: {text}")));
    }
    // Upstream: kube-apiserver `options/validation.go`, which calls the empty range 0.
    if first == 0 && last > 0 {
        return Err(wrong("port range cannot include 0".into()));
    }
    Ok(if last == 0 { 1..=0 } else { first..=last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serving: ServingArgs,
    }

    fn fails(words: &[&str]) -> String {
        Line::parse_from(["x"].iter().chain(words)).serving.config().map_or_else(|e| e.to_string(), |_| panic!("{words:?} is taken"))
    }

    #[test]
    fn what_upstream_refuses_is_refused_in_its_words() {
        for (words, told) in [
            ("--goaway-chance=0.03", "--goaway-chance can not be less than 0 or greater than 0.02"),
            ("--goaway-chance=-1", "--goaway-chance can not be less than 0 or greater than 0.02"),
            ("--goaway-chance=NaN", "--goaway-chance can not be less than 0 or greater than 0.02"),
            ("--max-requests-inflight=-1", "--max-requests-inflight can not be negative value"),
            ("--cors-allowed-origins=foo.com$", "does not pin to start/end of host in the origin header"),
            ("--cors-allowed-origins=^[", "--cors-allowed-origins has an invalid regular expression"),
            ("--tls-min-version=VersionTLS9", "unknown tls version \"VersionTLS9\""),
            ("--tls-cipher-suites=X", "Cipher suite X not supported or doesn't exist"),
            ("--service-node-port-range=3-2", "end port cannot be less than start port"),
            ("--service-node-port-range=1-70000", "65535"),
            ("--runtime-config=none/v1=true", "unknown api groups none"),
        ] {
            assert!(fails(&[words]).contains(told), "{words}: {}", fails(&[words]));
        }
        assert!(fails(&["--max-requests-inflight=0", "--max-mutating-requests-inflight=0"]).contains("they must add up to something positive"));
    }

    #[test]
    fn ranges_of_ports_are_written_in_three_ways() {
        let read = |text: &str| ports(text).unwrap();
        assert_eq!((read("30000-30010"), read("30000+10"), read("30000")), (30000..=30010, 30000..=30010, 30000..=30000));
        assert!(read("0").is_empty());
    }
}
