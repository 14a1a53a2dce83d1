//! What is told of a claim: which devices it has, who uses them, and what their drivers say.
//!
//! Upstream: `validateResourceClaimStatusUpdate` in `pkg/apis/resource/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use super::claim::{Names, MOST, reference, request_names};
use super::lists::{each, pool_name, set, texts};
use super::parts::{binding_conditions, json_object, network, opaque, share, toleration};
use crate::core::persistent_volume_rules::driver_name;
use crate::core::pod::placement::node_selector;
use crate::{check, walk};

const MOST_CONSUMERS: usize = 256;
const MOST_CONDITIONS: usize = 8;

pub fn validate(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (status, path) = (walk::at(object, "status"), Path::new("status"));
    let (allocation, before) = (walk::at(status, "allocation"), walk::at(old, "status.allocation"));
    consumers(&mut errors, object, old, &path.child("reservedFor"));
    let devices = walk::list(status, "devices");
    for (i, device) in devices.iter().enumerate() {
        self::device(&mut errors, device, allocation, &path.child("devices").index(i));
    }
    for (i, device) in devices.iter().enumerate().filter(|(i, device)| devices[..*i].iter().any(|other| id(other) == id(device))) {
        errors.push(FieldError::duplicate(&path.child("devices").index(i), json!(id(device))));
    }
    let users = walk::list(status, "reservedFor");
    let at = path.child("reservedFor");
    if !users.is_empty() && !allocation.is_object() {
        errors.push(FieldError::forbidden(&at, "may not be specified when `allocated` is not set"));
    } else if api::meta::is_deleting(object) && users.iter().any(|user| !walk::list(old, "status.reservedFor").contains(user)) {
        errors.push(FieldError::forbidden(&at, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"));
    }
    if allocation.is_object() && before.is_object() {
        check::immutable(&mut errors, &path.child("allocation"), allocation, before);
    } else if allocation.is_object() {
        self::allocation(&mut errors, object, allocation, &path.child("allocation"));
    }
    errors
}

fn consumers(errors: &mut FieldErrors, object: &Value, _: &Value, path: &Path) {
    let required = |errors: &mut FieldErrors, user: &Value, path: &Path| ["resource", "name", "uid"].iter().for_each(|key| check::required(errors, user, key, path, ""));
    set(errors, walk::list(object, "status.reservedFor"), MOST_CONSUMERS, path, required, |user| walk::text(user, "uid"));
}

/// Which device, and which share of it.
fn id(device: &Value) -> [&str; 4] {
    ["driver", "pool", "device", "shareID"].map(|key| walk::text(device, key))
}

fn names_of_device(errors: &mut FieldErrors, device: &Value, path: &Path) {
    driver_name(errors, walk::text(device, "driver"), &path.child("driver"));
    pool_name(errors, walk::text(device, "pool"), &path.child("pool"));
    let name = walk::text(device, "device");
    check::syntax(errors, &path.child("device"), name, names::dns1123_label(name));
}

fn device(errors: &mut FieldErrors, device: &Value, allocation: &Value, path: &Path) {
    names_of_device(errors, device, path);
    share(errors, device, path);
    if !walk::list(allocation, "devices.results").iter().any(|result| id(result) == id(device)) {
        let shown = id(device).into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        errors.push(FieldError::invalid(path, shown, "must be an allocated device in the claim"));
    }
    let (conditions, at) = (walk::list(device, "conditions"), path.child("conditions"));
    if conditions.len() > MOST_CONDITIONS {
        errors.push(FieldError::too_many(&at, conditions.len(), MOST_CONDITIONS));
    }
    check::conditions(errors, conditions, &at);
    let data = walk::at(device, "data");
    if !data.is_null() {
        json_object(errors, data, &path.child("data"));
    }
    network(errors, walk::at(device, "networkData"), &path.child("networkData"));
}

fn allocation(errors: &mut FieldErrors, object: &Value, allocation: &Value, path: &Path) {
    let known = request_names(walk::at(object, "spec.devices"));
    let (devices, at) = (walk::at(allocation, "devices"), path.child("devices"));
    each(errors, walk::list(devices, "results"), MOST, &at.child("results"), |errors, result, path| self::result(errors, result, &known, path));
    each(errors, walk::list(devices, "config"), 2 * MOST, &at.child("config"), |errors, config, path| {
        check::one_of(errors, &path.child("source"), walk::text(config, "source"), &["FromClaim", "FromClass"]);
        texts(errors, walk::list(config, "requests"), MOST, &path.child("requests"), |errors, name, path| reference(errors, name, &known, path));
        opaque(errors, config, path);
    });
    let selector = walk::at(allocation, "nodeSelector");
    if selector.is_object() {
        node_selector(errors, selector, &path.child("nodeSelector"));
    }
}

fn result(errors: &mut FieldErrors, result: &Value, known: &Names<'_>, path: &Path) {
    reference(errors, walk::text(result, "request"), known, &path.child("request"));
    names_of_device(errors, result, path);
    binding_conditions(errors, result, path);
    for (i, one) in walk::list(result, "tolerations").iter().enumerate() {
        toleration(errors, one, &path.child("tolerations").index(i));
    }
    share(errors, result, path);
}
