//! Upstream's flags about the record of who did what.
//!
//! Upstream: apiserver `pkg/server/options/audit.go`.

use std::path::PathBuf;

use apiserver::{AuditBatch, AuditConfig, AuditDelivery, AuditLogConfig, AuditMode, AuditWebhookConfig};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::access::{api_duration, config_file, duration, file};
use crate::failure::failure;

const VERSION: &str = "audit.k8s.io/v1";
/// Upstream: `NewAuditTruncateOptions`.
const MAX_EVENT: usize = 100 << 10;
const MAX_BATCH: usize = 10 << 20;

#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditArgs {
    /// What is recorded of which requests, as a Policy of audit.k8s.io/v1 [default: changes and readers of Secrets, without contents]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub audit_policy_file: Option<PathBuf>,
    /// Where the record is kept; - for the standard output [default: DIR/audit/audit.log]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = log_file)]
    pub audit_log_path: Option<PathBuf>,
    /// Days that old files of it are kept; 0 for ever [default: 30]
    #[arg(long, hide_short_help = true, value_name = "DAYS")]
    pub audit_log_maxage: Option<u32>,
    /// Old files of it that are kept; 0 for all [default: 10]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_log_maxbackup: Option<usize>,
    /// Megabytes of a file before a new one begins [default: 100]
    #[arg(long, hide_short_help = true, value_name = "MB")]
    pub audit_log_maxsize: Option<u64>,
    /// Compress old files
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_log_compress: Option<bool>,
    /// Lines of json, or of text (legacy) [default: json]
    #[arg(long, hide_short_help = true, value_name = "FORMAT")]
    pub audit_log_format: Option<String>,
    /// Version of the events [default: audit.k8s.io/v1]
    #[arg(long, hide_short_help = true, value_name = "VERSION")]
    pub audit_log_version: Option<String>,
    /// What requests wait for: batch (nothing), blocking, blocking-strict [default: room in the buffer]
    #[arg(long, hide_short_help = true, value_name = "MODE")]
    pub audit_log_mode: Option<String>,
    /// Events that wait to be written [default: 10000]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_log_batch_buffer_size: Option<usize>,
    /// Events that are written at once, in mode batch [default: 1]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_log_batch_max_size: Option<usize>,
    /// How long events wait for more [default: 0s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub audit_log_batch_max_wait: Option<String>,
    /// Bound how often is written [default: false]
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_log_batch_throttle_enable: Option<bool>,
    /// Batches a second
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_log_batch_throttle_qps: Option<f64>,
    /// Batches at once after a pause
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_log_batch_throttle_burst: Option<u32>,
    /// Bound the length of an event
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_log_truncate_enabled: Option<bool>,
    /// Longer events lose their contents, or are dropped, in bytes [default: 102400]
    #[arg(long, hide_short_help = true, value_name = "BYTES")]
    pub audit_log_truncate_max_event_size: Option<usize>,
    /// Not less than the bound of an event, in bytes [default: 10485760]
    #[arg(long, hide_short_help = true, value_name = "BYTES")]
    pub audit_log_truncate_max_batch_size: Option<usize>,
    /// Send the record to this webhook too; a kubeconfig says how it is reached
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = file)]
    pub audit_webhook_config_file: Option<PathBuf>,
    /// Time before the second try [default: 10s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub audit_webhook_initial_backoff: Option<String>,
    /// Version of the events [default: audit.k8s.io/v1]
    #[arg(long, hide_short_help = true, value_name = "VERSION")]
    pub audit_webhook_version: Option<String>,
    /// What requests wait for: batch (nothing), blocking, blocking-strict [default: batch]
    #[arg(long, hide_short_help = true, value_name = "MODE")]
    pub audit_webhook_mode: Option<String>,
    /// Events that wait to be sent; more are dropped [default: 10000]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_webhook_batch_buffer_size: Option<usize>,
    /// Events that are sent at once [default: 400]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_webhook_batch_max_size: Option<usize>,
    /// How long events wait for more [default: 30s]
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = duration)]
    pub audit_webhook_batch_max_wait: Option<String>,
    /// Bound how often is sent [default: true]
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_webhook_batch_throttle_enable: Option<bool>,
    /// Batches a second [default: 10]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_webhook_batch_throttle_qps: Option<f64>,
    /// Batches at once after a pause [default: 15]
    #[arg(long, hide_short_help = true, value_name = "COUNT")]
    pub audit_webhook_batch_throttle_burst: Option<u32>,
    /// Bound the length of an event and of a batch
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_webhook_truncate_enabled: Option<bool>,
    /// Longer events lose their contents, or are dropped, in bytes [default: 102400]
    #[arg(long, hide_short_help = true, value_name = "BYTES")]
    pub audit_webhook_truncate_max_event_size: Option<usize>,
    /// Longer batches are sent in parts, in bytes [default: 10485760]
    #[arg(long, hide_short_help = true, value_name = "BYTES")]
    pub audit_webhook_truncate_max_batch_size: Option<usize>,
}

fn log_file(text: &str) -> Result<PathBuf, String> {
    if text == "-" { Ok(text.into()) } else { file(text) }
}

impl AuditArgs {
    /// What the API server needs to know. `usual` says where the record is kept where nobody says otherwise.
    pub fn config(&self, usual: AuditConfig) -> anyhow::Result<AuditConfig> {
        let log = &usual.log;
        let legacy = match self.audit_log_format.as_deref() {
            None | Some("json") => false,
            Some("legacy") => true,
            Some(other) => return Err(failure(format!("invalid audit log format {other}, allowed formats are \"legacy,json\""), "give json or legacy")),
        };
        check_version(self.audit_log_version.as_ref())?;
        let delivery = delivery("log", (self.audit_log_mode.as_deref(), AuditMode::Room), self.audit_log_batch_buffer_size)?;
        let truncate = truncate("log", self.audit_log_truncate_enabled, self.audit_log_truncate_max_event_size, self.audit_log_truncate_max_batch_size)?;
        let log = AuditLogConfig {
            path: self.audit_log_path.clone().unwrap_or_else(|| log.path.clone()),
            // Upstream: lumberjack takes 0 for 100.
            max_bytes: self.audit_log_maxsize.filter(|mb| *mb > 0).map_or(log.max_bytes, |mb| mb.saturating_mul(1 << 20)),
            max_files: self.audit_log_maxbackup.unwrap_or(log.max_files),
            max_days: self.audit_log_maxage.unwrap_or(log.max_days),
            compress: self.audit_log_compress == Some(true),
            legacy,
            batch: self.log_batch(delivery.mode, truncate.map_or(MAX_BATCH, |(_, batch)| batch))?,
            delivery: AuditDelivery { max_event: truncate.map(|(event, _)| event), ..delivery },
        };
        Ok(AuditConfig { policy: self.audit_policy_file.clone(), log, webhook: self.audit_webhook_config_file.as_ref().map(|path| self.webhook(path)).transpose()? })
    }

    fn webhook(&self, path: &PathBuf) -> anyhow::Result<AuditWebhookConfig> {
        check_version(self.audit_webhook_version.as_ref())?;
        let truncate = truncate("webhook", self.audit_webhook_truncate_enabled, self.audit_webhook_truncate_max_event_size, self.audit_webhook_truncate_max_batch_size)?;
        let delivery = delivery("webhook", (self.audit_webhook_mode.as_deref(), AuditMode::Batch), self.audit_webhook_batch_buffer_size)?;
        let time = |given: &Option<String>, usual: &str| api_duration(given.as_deref().unwrap_or(usual)).map_err(anyhow::Error::msg);
        let usual = AuditBatch::default();
        let events = batch_size("webhook", self.audit_webhook_batch_max_size.unwrap_or(usual.events))?;
        let throttle = if self.audit_webhook_batch_throttle_enable == Some(false) {
            None
        } else {
            Some(throttle("webhook", self.audit_webhook_batch_throttle_qps.unwrap_or(10.0), self.audit_webhook_batch_throttle_burst.unwrap_or(15))?)
        };
        Ok(AuditWebhookConfig {
            kubeconfig: config_file(path)?,
            backoff: time(&self.audit_webhook_initial_backoff, "10s")?,
            delivery: AuditDelivery { max_event: truncate.map(|(event, _)| event), ..delivery },
            batch: AuditBatch { events, bytes: truncate.map_or(usual.bytes, |(_, batch)| batch), wait: time(&self.audit_webhook_batch_max_wait, "30s")?, throttle },
        })
    }

    /// What is written to the file together; none where nobody says anything of it: what waits is written at once.
    fn log_batch(&self, mode: AuditMode, bytes: usize) -> anyhow::Result<Option<AuditBatch>> {
        let said = self.audit_log_batch_max_size.is_some() || self.audit_log_batch_max_wait.is_some() || self.audit_log_batch_throttle_enable == Some(true);
        // Upstream: other modes have no batches.
        if !said || mode != AuditMode::Batch {
            return Ok(None);
        }
        let throttle = if self.audit_log_batch_throttle_enable == Some(true) {
            Some(throttle("log", self.audit_log_batch_throttle_qps.unwrap_or(0.0), self.audit_log_batch_throttle_burst.unwrap_or(0))?)
        } else {
            None
        };
        let wait = api_duration(self.audit_log_batch_max_wait.as_deref().unwrap_or("0s")).map_err(anyhow::Error::msg)?;
        Ok(Some(AuditBatch { events: batch_size("log", self.audit_log_batch_max_size.unwrap_or(1))?, bytes, wait, throttle }))
    }
}

fn batch_size(backend: &str, events: usize) -> anyhow::Result<usize> {
    if events == 0 {
        return Err(failure(format!("invalid audit batch {backend} max batch size 0, must be a positive number"), format!("leave --audit-{backend}-batch-max-size out")));
    }
    Ok(events)
}

fn throttle(backend: &str, qps: f64, burst: u32) -> anyhow::Result<(f64, u32)> {
    if !(qps.is_finite() && qps >= 0.001) {
        return Err(failure(format!("invalid audit batch {backend} throttle QPS {qps}, must be a positive number"), format!("give --audit-{backend}-batch-throttle-qps such as 10")));
    }
    if burst == 0 {
        return Err(failure(format!("invalid audit batch {backend} throttle burst 0, must be a positive number"), format!("give --audit-{backend}-batch-throttle-burst such as 15")));
    }
    Ok((qps, burst))
}

fn check_version(version: Option<&String>) -> anyhow::Result<()> {
    match version {
        Some(other) if other != VERSION => Err(failure(format!("invalid group version, allowed versions are [{VERSION:?}]"), format!("leave it out: events are of {VERSION}, not of {other}"))),
        _ => Ok(()),
    }
}

fn delivery(backend: &str, (mode, usual): (Option<&str>, AuditMode), buffer: Option<usize>) -> anyhow::Result<AuditDelivery> {
    let unknown = |mode| failure(format!("invalid audit {backend} mode {mode}, allowed modes are \"batch,blocking,blocking-strict\""), "give one of them");
    let mode = mode.map(|mode| AuditMode::parse(mode).ok_or_else(|| unknown(mode))).transpose()?.unwrap_or(usual);
    let buffer = buffer.unwrap_or(AuditDelivery::BUFFER);
    // More is held by no machine, and by no channel.
    if !(1..=1 << 24).contains(&buffer) {
        return Err(failure(format!("invalid audit batch {backend} buffer size {buffer}, must be a positive number"), "give a number of events, such as 10000"));
    }
    Ok(AuditDelivery { buffer, ..AuditDelivery::of(mode) })
}

fn truncate(backend: &str, enabled: Option<bool>, event: Option<usize>, batch: Option<usize>) -> anyhow::Result<Option<(usize, usize)>> {
    let (event, batch) = (event.unwrap_or(MAX_EVENT), batch.unwrap_or(MAX_BATCH));
    if event == 0 {
        return Err(failure(format!("invalid audit truncate {backend} max event size 0, must be a positive number"), "give a number of bytes, such as 102400"));
    }
    if batch < event {
        return Err(failure(format!("invalid audit truncate {backend} max batch size {batch}, must be greater than max event size ({event})"), "let a batch hold one event at least"));
    }
    Ok((enabled == Some(true)).then_some((event, batch)))
}
