//! EventRateLimit: counts events against the configured limits.

use std::time::Instant;

use api::ApiError;
use parking_lot::Mutex;
use policy::event_rate::EventRates;
use policy::plugins::Plugins;
use serde_json::Value;

use super::{Operation, is};
use crate::rest::Call;

pub struct Events {
    begin: Instant,
    rates: Mutex<EventRates>,
}

impl Events {
    pub fn new(plugins: &Plugins) -> Self {
        let limits = if plugins.has("EventRateLimit") { plugins.event_limits.as_slice() } else { &[] };
        Self { begin: Instant::now(), rates: Mutex::new(EventRates::new(limits)) }
    }
}

pub fn check(call: &Call, operation: Operation, event: &Value) -> Result<(), ApiError> {
    // Upstream: only the older group's events.
    if !is(call, "", "events") || !matches!(operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    let events = &call.server.events;
    let mut rates = events.rates.lock();
    if rates.is_empty() {
        return Ok(());
    }
    rates.count(event, call.namespace(), &call.user.name, events.begin.elapsed()).map_err(|why| ApiError::too_many_requests(format!("Too many requests: {why}"), 0))
}
