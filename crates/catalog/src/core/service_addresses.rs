//! A service's cluster addresses and their families: what may be asked for, and what may change.
//!
//! Upstream: `ValidateServiceClusterIPsRelatedFields`, `validateUpgradeDowngradeClusterIPs` and
//! `validateUpgradeDowngradeIPFamilies` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::{ip, walk};

const FIXED: &str = "may not change once set";

/// A service without an address of its own.
pub fn is_headless(spec: &Value) -> bool {
    matches!(walk::list(spec, "clusterIPs"), [Value::String(one)] if one == "None")
}

/// Addresses, families and the policy of families; `old` is the spec before.
pub fn validate(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    if walk::text(spec, "type") == "ExternalName" {
        return;
    }
    let (all, at) = (walk::at(spec, "clusterIPs"), path.child("clusterIPs"));
    in_step(errors, spec, &at);
    families(errors, spec, &path.child("ipFamilies"));
    if let Some(policy) = walk::at(spec, "ipFamilyPolicy").as_str() {
        let known = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        if !known.contains(&policy) {
            errors.push(FieldError::not_supported(&path.child("ipFamilyPolicy"), policy, &known));
        }
    }
    let given: Vec<&str> = walk::list(spec, "clusterIPs").iter().filter_map(Value::as_str).collect();
    let readable = syntax(errors, &given, all, old, &at);
    if given.len() > 2 {
        errors.push(FieldError::invalid(&at, all.clone(), "may only hold up to 2 values"));
    }
    if !readable {
        return;
    }
    if given.len() > 1 && given.iter().all(|a| ip::is_v6(a) == ip::is_v6(given[0])) {
        errors.push(FieldError::invalid(&at, all.clone(), "may specify no more than one IP for each IP family"));
    }
    if !is_headless(spec) {
        of_their_families(errors, &given, spec, &at);
    }
}

/// `clusterIP` is the first of `clusterIPs`.
fn in_step(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let (one, all) = (walk::text(spec, "clusterIP"), walk::list(spec, "clusterIPs"));
    let shown = || walk::at(spec, "clusterIPs").clone();
    match (one, all.first()) {
        ("", Some(_)) => errors.push(FieldError::invalid(path, shown(), "must be empty when `clusterIP` is not specified")),
        ("", None) => {}
        (_, None) => errors.push(FieldError::required(path, "")),
        (one, Some(first)) if first != one => errors.push(FieldError::invalid(path, shown(), "first value must match `clusterIP`")),
        _ => {}
    }
}

fn families(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    let all = walk::list(spec, "ipFamilies");
    for (i, family) in all.iter().enumerate() {
        let text = family.as_str().unwrap_or_default();
        if !matches!(text, "IPv4" | "IPv6") {
            errors.push(FieldError::not_supported(&list.index(i), text, &["IPv4", "IPv6"]));
        }
        if all[..i].contains(family) {
            errors.push(FieldError::duplicate(&list.index(i), text));
        }
    }
}

/// Each an address, or `None` alone. False where one is neither.
fn syntax(errors: &mut FieldErrors, given: &[&str], all: &Value, old: Option<&Value>, list: &Path) -> bool {
    let known = old.map(|old| walk::list(old, "clusterIPs")).unwrap_or_default();
    let mut readable = true;
    for (i, address) in given.iter().enumerate() {
        let before = errors.len();
        match *address {
            "None" if i == 0 && given.len() > 1 => errors.push(FieldError::invalid(list, all.clone(), "'None' must be the first and only value")),
            "None" if i == 0 => {}
            address => ip::legacy(errors, &list.index(i), address, known),
        }
        readable &= errors.len() == before;
    }
    readable
}

fn of_their_families(errors: &mut FieldErrors, given: &[&str], spec: &Value, list: &Path) {
    for (i, (address, family)) in given.iter().zip(walk::list(spec, "ipFamilies")).enumerate() {
        let expected = if ip::is_v6(address) { "IPv6" } else { "IPv4" };
        if let Some(family @ ("IPv4" | "IPv6")) = family.as_str()
            && family != expected
        {
            errors.push(FieldError::invalid(&list.index(i), *address, format!("expected an {family} value as indicated by `ipFamilies[{i}]`")));
        }
    }
}

/// A second address or family may come and go, the first stays, unless the service is a name before or after.
pub fn update(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    if [spec, old].iter().any(|spec| walk::text(spec, "type") == "ExternalName") {
        return;
    }
    let headless = (is_headless(old), is_headless(spec));
    if headless != (true, true) {
        addresses_update(errors, spec, old, path);
    }
    if headless == (false, false) {
        families_update(errors, spec, old, path);
    }
}

fn addresses_update(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    let (new, was, list) = (walk::list(spec, "clusterIPs"), walk::list(old, "clusterIPs"), path.child("clusterIPs"));
    let shown = || walk::at(spec, "clusterIPs").clone();
    if new.len() == was.len() {
        for i in (0..was.len()).filter(|i| new[*i] != was[*i]) {
            errors.push(FieldError::invalid(&list.index(i), shown(), FIXED));
        }
        return;
    }
    if new.len() < was.len() && new.is_empty() {
        errors.push(FieldError::invalid(&list.index(0), shown(), "primary clusterIP can not be unset"));
    }
    first_stays(errors, new, was, &shown(), &list);
    if new.len() < was.len() && new.len() == 1 {
        release(errors, spec, path, "clusterIP");
    }
}

fn families_update(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    let (new, was, list) = (walk::list(spec, "ipFamilies"), walk::list(old, "ipFamilies"), path.child("ipFamilies"));
    if new.len() == was.len() {
        // Upstream: the path always names the first.
        for _ in (0..was.len()).filter(|i| new[*i] != was[*i]) {
            errors.push(FieldError::invalid(&list.index(0), walk::at(spec, "ipFamilies").clone(), FIXED));
        }
        return;
    }
    if new.len() < was.len() && walk::list(spec, "clusterIPs").is_empty() {
        errors.push(FieldError::invalid(&list.index(0), walk::at(spec, "ipFamilies").clone(), "primary ipFamily can not be unset"));
    }
    // Upstream: what is shown are the addresses.
    first_stays(errors, new, was, walk::at(spec, "clusterIPs"), &list);
    if new.len() < was.len() && new.len() == 1 {
        release(errors, spec, path, "ipFamily");
    }
}

fn first_stays(errors: &mut FieldErrors, new: &[Value], was: &[Value], shown: &Value, list: &Path) {
    if let (Some(new), Some(was)) = (new.first(), was.first())
        && new != was
    {
        errors.push(FieldError::invalid(&list.index(0), shown.clone(), FIXED));
    }
}

fn release(errors: &mut FieldErrors, spec: &Value, path: &Path, what: &str) {
    let policy = walk::at(spec, "ipFamilyPolicy");
    if policy != "SingleStack" {
        errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), policy.clone(), format!("must be set to 'SingleStack' when releasing the secondary {what}")));
    }
}
