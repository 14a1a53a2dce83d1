//! ResourceQuota: charges a write to the quotas of its namespace before it is stored.
//!
//! A charge is a compare-and-set of the quota's status, made again on a race; so two writes never share the last room.
//! A write that fails after its charge leaves it too high until the quota controller counts again, as upstream does.

use std::pin::Pin;

use api::{ApiError, meta};
use policy::quota;
use policy::quota_limits::{self, Uncovered};
use serde_json::Value;

use super::Operation;
use crate::object;
use crate::rest::{Call, update};

type Charged<'a> = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send + 'a>>;

pub async fn check(call: &Call, operation: Operation, new: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let resource = &call.served.resource;
    let (group, plural) = (&*resource.group, &*resource.plural);
    if call.namespace().is_empty() || (operation == Operation::Update && !(group.is_empty() && matches!(plural, "pods" | "services" | "persistentvolumeclaims"))) {
        return Ok(());
    }
    let table = call.server.store.table("/registry/resourcequotas");
    let prefix = format!("{}/", call.namespace());
    let all: Vec<Value> = call.server.store.view().table(table).scan(&prefix, "").map(|r| object::parse(&r.value)).collect();
    let quotas: Vec<&Value> = all.iter().filter(|q| quota::counts(q, plural, new)).collect();
    let limited = &call.server.plugins.quota_limits;
    if !limited.is_empty() {
        match quota_limits::uncovered(limited, (group, plural), new, &quota::usage(group, plural, new), &all, &quotas) {
            Some(Uncovered::Amounts(why)) => return Err(ApiError::forbidden(&call.resource(), meta::name(new), why)),
            Some(Uncovered::Scopes(why)) => return Err(without_reason(why)),
            None => {}
        }
    }
    if quotas.is_empty() {
        return Ok(());
    }
    let delta = quota::delta(quota::usage(group, plural, new), old.map(|old| quota::usage(group, plural, old)));
    let refused = |why: String| ApiError::forbidden(&call.resource(), meta::name(new), why);
    // All are asked before any is charged.
    for one in &quotas {
        if operation == Operation::Create && group.is_empty() && plural == "pods" {
            quota::unsaid(one, new).map_or(Ok(()), |why| Err(refused(why)))?;
        }
        quota::charge(one, &delta).map_err(refused)?;
    }
    if call.dry_run()? {
        return Ok(());
    }
    for one in &quotas {
        charge(call, meta::name(one), &delta, &refused).await?;
    }
    Ok(())
}

/// Upstream: an error that is no Status is told as it is, without a reason.
fn without_reason(why: String) -> ApiError {
    ApiError { message: why, reason: api::Reason::Unknown, details: Value::Null, ..ApiError::internal("") }
}

/// Boxed: a charge is itself an update.
fn charge<'a>(call: &'a Call, name: &'a str, delta: &'a catalog::core::pod::pod_level::Amounts, refused: &'a (dyn Fn(String) -> ApiError + Send + Sync)) -> Charged<'a> {
    Box::pin(async move {
        let served = call.server.registry().find("", "v1", "resourcequotas").ok_or_else(ApiError::no_such_path)?.clone();
        let mut of_quota = call.about(call.namespace(), name);
        of_quota.served = served;
        of_quota.info.subresource = "status".into();
        // Upstream: quotas are charged by the server itself.
        of_quota.user = crate::user::User::new("system:apiserver", &["system:masters"]);
        let spend = |old: &Value| {
            let mut quota = old.clone();
            if let Some(used) = quota::charge(old, delta).map_err(refused)? {
                quota["status"]["used"] = used;
            }
            Ok(quota)
        };
        match update::update(&of_quota, &spend).await {
            // A quota that went away counts nothing.
            Err(error) if error.reason == api::Reason::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    })
}
