//! Namespaces, quotas, limits, requests for certificates, priority classes.

use serde_json::Value;

use super::{Described, Writer, annotations, events, int, labels, list, text};
use crate::time::rfc1123;

pub fn namespace(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.pair(0, "Status", text(&object["status"]["phase"]));
    let conditions = list(&object["status"]["conditions"]);
    if !conditions.is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
        w.line(1, "----\t------\t------------------\t------\t-------");
        for c in conditions {
            w.line(1, &format!("{}\t{}\t{}\t{}\t{}", text(&c["type"]), text(&c["status"]), rfc1123(&text(&c["lastTransitionTime"])), text(&c["reason"]), text(&c["message"])));
        }
    }
    w.line(0, "");
    let quotas = of.related.get("quotas").map(list).unwrap_or_default();
    if quotas.is_empty() {
        w.line(0, "No resource quota.");
    } else {
        w.line(0, "Resource Quotas");
        for quota in quotas {
            w.pair(1, "Name", api::meta::name(quota));
            scopes(w, 1, quota);
            w.line(1, "Resource\tUsed\tHard");
            w.line(1, "--------\t---\t---");
            amounts(w, 1, quota);
        }
    }
    w.line(0, "");
    let limits = of.related.get("limits").map(list).unwrap_or_default();
    if limits.is_empty() {
        w.line(0, "No LimitRange resource.");
    } else {
        w.line(0, "Resource Limits");
        w.line(0, " Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio");
        w.line(0, " ----\t--------\t---\t---\t---------------\t-------------\t-----------------------");
        for range in limits {
            limit_rows(w, " ", range);
        }
    }
}

fn amounts(w: &mut Writer, level: usize, quota: &Value) {
    let (hard, used) = (&quota["status"]["hard"], &quota["status"]["used"]);
    for (name, amount) in hard.as_object().into_iter().flatten() {
        let own = used.get(name).map_or_else(|| "0".to_owned(), text);
        w.line(level, &format!("{name}\t{own}\t{}", text(amount)));
    }
}

fn scopes(w: &mut Writer, level: usize, quota: &Value) {
    let mut scopes: Vec<String> = list(&quota["spec"]["scopes"]).iter().map(text).collect();
    if !scopes.is_empty() {
        scopes.sort();
        w.pair(level, "Scopes", scopes.join(", "));
        for scope in &scopes {
            let meaning = match scope.as_str() {
                "Terminating" => "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.",
                "NotTerminating" => "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.",
                "BestEffort" => "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
                "NotBestEffort" => "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.",
                _ => continue,
            };
            w.line(level, &format!(" * {meaning}"));
        }
    }
}

pub fn resource_quota(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Namespace", api::meta::namespace(object));
    scopes(w, 0, object);
    w.line(0, "Resource\tUsed\tHard");
    w.line(0, "--------\t----\t----");
    amounts(w, 0, object);
}

fn limit_rows(w: &mut Writer, indent: &str, range: &Value) {
    for item in list(&range["spec"]["limits"]) {
        let mut names: Vec<&String> = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"].iter().flat_map(|k| item[*k].as_object().into_iter().flatten().map(|(n, _)| n)).collect();
        names.sort();
        names.dedup();
        for name in names {
            let of = |key: &str| item[key].get(name).map_or_else(|| "-".to_owned(), text);
            w.line(0, &format!("{indent}{}\t{name}\t{}\t{}\t{}\t{}\t{}", text(&item["type"]), of("min"), of("max"), of("defaultRequest"), of("default"), of("maxLimitRequestRatio")));
        }
    }
}

pub fn limit_range(w: &mut Writer, of: &Described) {
    w.pair(0, "Name", api::meta::name(of.object));
    w.pair(0, "Namespace", api::meta::namespace(of.object));
    w.line(0, "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio");
    w.line(0, "----\t--------\t---\t---\t---------------\t-------------\t-----------------------");
    limit_rows(w, "", of.object);
}

pub fn priority_class(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Value", int(&object["value"]));
    w.pair(0, "GlobalDefault", object["globalDefault"] == true);
    w.pair(0, "PreemptionPolicy", text(&object["preemptionPolicy"]));
    w.pair(0, "Description", text(&object["description"]));
    let shown = crate::print::labels_text(&object["metadata"]["annotations"]);
    w.pair(0, "Annotations", shown);
    events(w, of);
}

pub fn signing_request(w: &mut Writer, of: &Described) {
    use base64::Engine as _;
    let (object, spec) = (of.object, &of.object["spec"]);
    w.pair(0, "Name", api::meta::name(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    w.pair(0, "Annotations", crate::print::labels_text(&object["metadata"]["annotations"]));
    w.pair(0, "CreationTimestamp", rfc1123(&text(&object["metadata"]["creationTimestamp"])));
    w.pair(0, "Requesting User", text(&spec["username"]));
    if let Some(signer) = spec["signerName"].as_str().filter(|s| !s.is_empty()) {
        w.pair(0, "Signer", signer);
    }
    if let Some(seconds) = spec["expirationSeconds"].as_i64() {
        w.pair(0, "Requested Duration", crate::time::human(seconds));
    }
    let mut status: Vec<String> = list(&object["status"]["conditions"]).iter().map(|c| text(&c["type"])).collect();
    if status.is_empty() {
        status.push("Pending".into());
    }
    if !text(&object["status"]["certificate"]).is_empty() {
        status.push("Issued".into());
    }
    w.pair(0, "Status", status.join(","));
    let bytes = base64::engine::general_purpose::STANDARD.decode(spec["request"].as_str().unwrap_or_default()).unwrap_or_default();
    if let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&bytes)
        && let Ok((_, request)) = <x509_parser::certification_request::X509CertificationRequest as x509_parser::prelude::FromDer<_>>::from_der(&pem.contents)
    {
        let subject = &request.certification_request_info.subject;
        w.line(0, "Subject:");
        let name = subject.iter_common_name().filter_map(|a| a.as_str().ok()).collect::<Vec<_>>().join("");
        w.pair(2, "Common Name", name);
        w.pair(2, "Serial Number", "");
        let organizations: Vec<&str> = subject.iter_organization().filter_map(|a| a.as_str().ok()).collect();
        if !organizations.is_empty() {
            w.pair(2, "Organization", organizations.join("\n\t"));
        }
    }
    events(w, of);
}
