//! IPAddresses and ServiceCIDRs.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use super::resource as of_group;
use crate::check;
use crate::columns::{age, columns, name};
use crate::ip::{self, Range};
use crate::resource::Resource;
use crate::walk;

pub fn ip_address() -> Resource {
    of_group("IPAddress", "ipaddresses", false).short(&["ip"]).rules(|rules| {
        rules.generation = true;
        rules.name = address_name;
        rules.validate = validate_address;
    }).columns(columns(&["Name", "ParentRef"]), |object, _| {
        let parent = walk::at(object, "spec.parentRef");
        let resource = match walk::text(parent, "group") {
            "" => walk::text(parent, "resource").to_owned(),
            group => format!("{}.{group}", walk::text(parent, "resource")),
        };
        let place = [resource.as_str(), walk::text(parent, "namespace"), walk::text(parent, "name")];
        vec![name(object), place.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/").into()]
    })
}

pub fn service_cidr() -> Resource {
    of_group("ServiceCIDR", "servicecidrs", false).status().rules(|rules| {
        rules.validate = validate_range;
        rules.prepare = |object, old| walk::own_status(object, old, json!({}));
    }).columns(columns(&["Name", "CIDRs", "Age"]), |object, now| {
        let cidrs: Vec<_> = walk::list(object, "spec.cidrs").iter().filter_map(Value::as_str).collect();
        vec![name(object), cidrs.join(",").into(), age(object, now)]
    })
}

/// The name is the address as everybody writes it.
fn address_name(name: &str) -> names::Faults {
    ip::canonical_fault(name).map(Into::into).into_iter().collect()
}

/// Upstream: `ValidateIPAddress` in `pkg/apis/networking/validation/validation.go`.
fn validate_address(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (parent, path) = (walk::at(object, "spec.parentRef"), Path::new("spec.parentRef"));
    if let Some(old) = old {
        check::immutable(&mut errors, &path, parent, walk::at(old, "spec.parentRef"));
        return errors;
    }
    if !parent.is_object() {
        errors.push(FieldError::required(&path, ""));
        return errors;
    }
    check::optional_name(&mut errors, &path.child("group"), walk::text(parent, "group"), names::dns1123_subdomain);
    for key in ["resource", "name"] {
        check::required_name(&mut errors, &path.child(key), walk::text(parent, key), names::path_segment);
    }
    check::optional_name(&mut errors, &path.child("namespace"), walk::text(parent, "namespace"), names::path_segment);
    errors
}

/// Upstream: `ValidateServiceCIDR` and its update: a second family may be added, nothing else.
fn validate_range(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec.cidrs"));
    let Some(old) = old else {
        ranges(&mut errors, spec, &path);
        return errors;
    };
    let (new, was) = (walk::list(spec, "cidrs"), walk::list(old, "spec.cidrs"));
    let grows = was.len() == 1 && new.len() == 2;
    if new.len() != was.len() && !grows {
        errors.push(FieldError::invalid(&path, walk::at(spec, "cidrs").clone(), check::IMMUTABLE));
        return errors;
    }
    for (i, (new, _)) in new.iter().zip(was).enumerate().filter(|(_, (new, was))| new != was) {
        errors.push(FieldError::invalid(&path.index(i), new.clone(), check::IMMUTABLE));
    }
    if grows {
        ranges(&mut errors, spec, &path);
    }
    errors
}

fn ranges(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let ranges: Vec<&str> = walk::list(spec, "cidrs").iter().filter_map(Value::as_str).collect();
    if ranges.is_empty() {
        return errors.push(FieldError::required(path, "at least one CIDR required"));
    }
    if ranges.len() > 2 {
        return errors.push(FieldError::invalid(path, spec.clone(), "may only hold up to 2 values"));
    }
    for (i, range) in ranges.iter().enumerate() {
        ip::canonical_range(errors, &path.index(i), range);
    }
    let family = |range: &str| Range::parse(range).map(|range| range.address.is_ipv4());
    if let [a, b] = ranges.as_slice()
        && family(a).is_some()
        && family(a) == family(b)
    {
        errors.push(FieldError::invalid(path, walk::at(spec, "cidrs").clone(), "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
    }
}
