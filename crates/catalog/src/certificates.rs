//! The `certificates.k8s.io` group.

use serde_json::Value;

use crate::columns::{age, columns, name, or_none};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let approval = Subresource { verbs: Verbs::PART, ..Subresource::part("approval") };
    let mut csr = Resource::new("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", false)
        .short(&["csr"])
        .sub(approval)
        .status_only()
        .select(&["spec.signerName"])
        .rules(|rules| {
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = serde_json::json!({});
                }
            }
        })
        .columns(columns(&["Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"]), |object, now| {
            let duration = walk::at(object, "spec.expirationSeconds").as_i64().map_or("<none>".to_owned(), api::time::human_duration);
            vec![name(object), age(object, now), or_none(walk::text(object, "spec.signerName")), walk::text(object, "spec.username").into(), duration.into(), condition(object).into()]
        });
    csr.table = "/registry/certificatesigningrequests".into();
    vec![csr]
}

fn condition(object: &Value) -> String {
    let has = |kind: &str| walk::list(object, "status.conditions").iter().any(|c| walk::text(c, "type") == kind);
    let mut words = vec![if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }];
    if has("Failed") {
        words.push("Failed");
    }
    if !walk::text(object, "status.certificate").is_empty() {
        words.push("Issued");
    }
    words.join(",")
}
