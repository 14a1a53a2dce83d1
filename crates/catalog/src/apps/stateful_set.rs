//! StatefulSets.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::{status, workload};
use crate::check;
use crate::columns::{age, columns, containers, name};
use crate::core::pod::{defaults, disabled, validate};
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text, made};

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "StatefulSet", "statefulsets", true)
        .short(&["sts"])
        .in_all()
        .scale()
        .status()
        .rules(|rules| {
            rules.default = default;
            rules.warn = super::warnings::stateful_set;
            rules.validate = self::validate;
            rules.validate_status = status::stateful_set;
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({"replicas": 0, "availableReplicas": 0}));
                disabled::drop(object, old, "spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Ready", "Age", "+Containers", "+Images"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![name(object), format!("{}/{}", walk::int(object, "status.readyReplicas"), walk::int(object, "spec.replicas")).into(), age(object, now), names, images]
        })
}

/// Upstream: `pkg/apis/apps/v1/defaults.go`; conversion names the kind of the claims.
fn default(object: &mut Value) {
    defaults::template(object, "spec.template");
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    fill_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = made(spec, "updateStrategy") {
        if strategy.get("type").is_none_or(|t| t == "") {
            strategy.insert("type".into(), "RollingUpdate".into());
            fill(strategy, "rollingUpdate", json!({}));
        }
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = walk::child(strategy, "rollingUpdate")
        {
            fill(rolling, "partition", 0);
        }
    }
    if let Some(retention) = made(spec, "persistentVolumeClaimRetentionPolicy") {
        fill_text(retention, "whenDeleted", "Retain");
        fill_text(retention, "whenScaled", "Retain");
    }
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    for claim in walk::items(spec, "volumeClaimTemplates") {
        claim.insert("apiVersion".into(), "v1".into());
        claim.insert("kind".into(), "PersistentVolumeClaim".into());
        if let Some(spec) = walk::child(claim, "spec") {
            fill(spec, "volumeMode", "Filesystem");
        }
        if let Some(status) = made(claim, "status") {
            fill_text(status, "phase", "Pending");
        }
    }
}

/// Upstream: `ValidateStatefulSetSpec`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (policy, policy_path) = (walk::text(spec, "podManagementPolicy"), path.child("podManagementPolicy"));
    if !matches!(policy, "OrderedReady" | "Parallel") {
        errors.push(FieldError::invalid(&policy_path, policy, "must be 'OrderedReady' or 'Parallel'"));
    }
    update_strategy(&mut errors, walk::at(spec, "updateStrategy"), &path.child("updateStrategy"));
    for key in ["whenDeleted", "whenScaled"] {
        let path = path.child("persistentVolumeClaimRetentionPolicy").child(key);
        check::maybe_one_of(&mut errors, &path, walk::text(walk::at(spec, "persistentVolumeClaimRetentionPolicy"), key), &["Retain", "Delete"]);
    }
    if old.is_none() {
        claims(&mut errors, spec, &path.child("volumeClaimTemplates"));
    }
    for key in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        check::non_negative(&mut errors, spec, key, &path);
    }
    check::non_negative(&mut errors, walk::at(spec, "ordinals"), "start", &path.child("ordinals"));
    if old.is_none() {
        check::optional_name(&mut errors, &path.child("serviceName"), walk::text(spec, "serviceName"), api::names::dns1123_label);
    }
    pods(&mut errors, spec, old.map(|old| walk::at(old, "spec")), &path);
    if let Some(old) = old {
        fixed(&mut errors, spec, walk::at(old, "spec"), &path);
    }
    errors
}

fn claims(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    for (i, claim) in walk::list(spec, "volumeClaimTemplates").iter().enumerate() {
        crate::core::persistent_volume_claim_rules::spec(errors, walk::at(claim, "spec"), &list.index(i).child("spec"));
    }
}

fn pods(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    let (selector, template, pods) = (walk::at(spec, "selector"), walk::at(spec, "template"), path.child("template"));
    workload::selector(errors, selector, "statefulset", &path.child("selector"));
    match workload::fits(selector, template) {
        None => errors.push(FieldError::invalid(&path.child("selector"), selector.clone(), "")),
        Some(fit) => {
            if !fit {
                errors.push(workload::apart(template, &pods));
            }
            self::template(errors, spec, old, &pods);
        }
    }
    workload::always(errors, template, &pods, "StatefulSet");
}

/// The template as its pods are made of it. One that was wrong before is not judged again.
fn template(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    let was_wrong = old.is_some_and(|old| {
        let mut faults = FieldErrors::new();
        validate::template(&mut faults, &with_claims(old), path);
        !faults.is_empty()
    });
    if was_wrong {
        validate::marks(errors, walk::at(spec, "template"), path);
    } else {
        validate::template(errors, &with_claims(spec), path);
    }
}

/// The template with a volume for each claim, which takes the place of one of the same name. Upstream: `volumesToAddForTemplates`.
fn with_claims(spec: &Value) -> Value {
    let mut template = walk::at(spec, "template").clone();
    let mut volumes: Vec<Value> = Vec::new();
    for name in walk::list(spec, "volumeClaimTemplates").iter().map(api::meta::name) {
        if !volumes.iter().any(|volume| volume["name"] == name) {
            volumes.push(json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        }
    }
    let claims = volumes.len();
    for volume in walk::list(&template, "spec.volumes") {
        if !volumes[..claims].iter().any(|claim| walk::text(claim, "name") == walk::text(volume, "name")) {
            volumes.push(volume.clone());
        }
    }
    if let Some(pod) = walk::existing_mut(&mut template, "spec").filter(|_| claims > 0) {
        pod.insert("volumes".into(), volumes.into());
    }
    template
}

/// Most of a set is fixed once it is made. Upstream: `ValidateStatefulSetUpdate`.
fn fixed(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    let mut kept = spec.clone();
    for key in ["replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"] {
        walk::keep(&mut kept, Some(old), key);
    }
    if kept != *old {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden(path, detail));
    }
}

fn update_strategy(errors: &mut FieldErrors, strategy: &Value, path: &Path) {
    let (rolling, rolling_path) = (walk::at(strategy, "rollingUpdate"), path.child("rollingUpdate"));
    let parts = || [("partition", "Partition", 0.into()), ("maxUnavailable", "MaxUnavailable", Value::Null)];
    match walk::text(strategy, "type") {
        "OnDelete" if rolling.is_object() => errors.push(FieldError::invalid(&rolling_path, rolling.clone(), "only allowed for updateStrategy 'RollingUpdate'").shown_as(workload::told_update(rolling, parts()))),
        "OnDelete" => {}
        "RollingUpdate" => rolling_update(errors, rolling, &rolling_path),
        _ => errors.push(FieldError::invalid(path, strategy.clone(), "must be 'RollingUpdate' or 'OnDelete'").shown_as(workload::told(strategy, parts()))),
    }
}

/// Upstream: `validateRollingUpdateStatefulSet`.
fn rolling_update(errors: &mut FieldErrors, rolling: &Value, path: &Path) {
    check::non_negative(errors, rolling, "partition", path);
    let (missing, path) = (walk::at(rolling, "maxUnavailable"), path.child("maxUnavailable"));
    if missing.is_null() {
        return;
    }
    check::count_or_percent(errors, &path, missing);
    // Upstream: what is no percentage counts as none.
    if check::is_zero(missing) || (missing.is_string() && check::percent(missing).is_none()) {
        errors.push(FieldError::invalid(&path, missing.clone(), "cannot be 0"));
    }
    check::not_over_100_percent(errors, &path, missing);
}
