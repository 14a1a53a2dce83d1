//! Validating webhooks, all at once.
//!
//! Upstream: apiserver `pkg/admission/plugin/webhook/validating/dispatcher.go`. Of several refusals the first is told.

use std::sync::Arc;

use api::ApiError;
use futures::future::join_all;
use policy::matching::Form;

use super::attributes::Attributes;
use super::hooks::Hook;
use super::versions;
use crate::registry::Served;

pub async fn dispatch(hooks: &[Hook], attributes: &Attributes<'_>) -> Result<(), ApiError> {
    let mut relevant: Vec<(&Hook, Form, Arc<Served>)> = Vec::new();
    for hook in hooks {
        if let Some(form) = hook.applies(attributes).await? {
            let served = versions::served(attributes.call, &form)?;
            relevant.push((hook, form, served));
        }
    }
    let results = join_all(relevant.iter().map(|(hook, form, served)| ask(hook, attributes, form, served))).await;
    results.into_iter().find(Result::is_err).unwrap_or(Ok(()))
}

async fn ask(hook: &Hook, attributes: &Attributes<'_>, form: &Form, served: &Served) -> Result<(), ApiError> {
    let object = versions::convert_some(attributes.call, attributes.object.as_ref(), served).await?;
    match hook.call(attributes, form, served, &object, false).await {
        Ok(_) => Ok(()),
        Err(failure) => hook.judge(failure),
    }
}
