//! Signing requests: who asks is noted by the server, who approves and signs must be allowed to for the signer.
//!
//! Upstream: plug-ins CertificateApproval, CertificateSigning, CertificateSubjectRestriction, ClusterTrustBundleAttest;
//! `pkg/registry/certificates/certificates/strategy.go`.

use api::{ApiError, meta};
use base64::Engine as _;
use catalog::walk;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::Operation;
use crate::auth::authorize::{Attributes, Decision};
use crate::rest::Call;

const GROUP: &str = "certificates.k8s.io";

/// The identity that a request stands for is the requester's.
pub fn mutate(call: &Call, operation: Operation, request: &mut Value) {
    if operation != Operation::Create {
        return;
    }
    let user = &call.user;
    let Some(spec) = walk::object_mut(request, "spec") else { return };
    for key in ["username", "uid", "groups", "extra"] {
        spec.remove(key);
    }
    spec.insert("username".into(), user.name.clone().into());
    spec.insert("groups".into(), json!(user.groups));
    if !user.uid.is_empty() {
        spec.insert("uid".into(), user.uid.clone().into());
    }
    if !user.extra.is_empty() {
        spec.insert("extra".into(), json!(user.extra));
    }
}

pub fn validate(call: &Call, operation: Operation, new: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let refused = |why: String| Err(ApiError::forbidden(&call.resource(), meta::name(new), why));
    let signer = |object: &Value| walk::text(object, "spec.signerName").to_owned();
    let on = |plugin: &str| call.server.plugins.has(plugin);
    match (&*call.served.resource.plural, operation, call.info.subresource.as_str()) {
        ("certificatesigningrequests", Operation::Create, "") if on("CertificateSubjectRestriction") => restrict_subject(call, new),
        ("certificatesigningrequests", Operation::Update, "approval") if on("CertificateApproval") => {
            let name = old.map(signer).unwrap_or_default();
            if may(call, "approve", &name) { Ok(()) } else { refused(format!("user not permitted to approve requests with signerName {name:?}")) }
        }
        ("certificatesigningrequests", Operation::Update, "status") if on("CertificateSigning") => {
            let part = |object: &Value, key: &str| object["status"].get(key).cloned().unwrap_or_default();
            let Some(old) = old else { return Ok(()) };
            if part(new, "certificate") == part(old, "certificate") && part(new, "conditions") == part(old, "conditions") {
                return Ok(());
            }
            let name = signer(old);
            if may(call, "sign", &name) { Ok(()) } else { refused(format!("user not permitted to sign requests with signerName {name:?}")) }
        }
        ("clustertrustbundles", Operation::Create | Operation::Update, "") if on("ClusterTrustBundleAttest") => {
            let name = signer(new);
            // Upstream: what collectors of garbage change needs no right to attest.
            let untouched = old.is_some_and(|old| old["spec"] == new["spec"]);
            if name.is_empty() || untouched || may(call, "attest", &name) { Ok(()) } else { refused(format!("user not permitted to attest for signerName {name:?}")) }
        }
        _ => Ok(()),
    }
}

/// Upstream: for the signer by name, or for all of its domain.
fn may(call: &Call, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let attributes = Attributes { is_resource: true, verb: verb.into(), group: GROUP.into(), resource: "signers".into(), name, ..Attributes::default() };
        matches!(call.server.authorizer.decide_now(&call.server.store, &call.user, &attributes), Decision::Allow(_))
    })
}

/// Nobody gets a certificate of the group that may do everything.
fn restrict_subject(call: &Call, request: &Value) -> Result<(), ApiError> {
    if walk::text(request, "spec.signerName") != "kubernetes.io/kube-apiserver-client" {
        return Ok(());
    }
    let refused = |why: &str| Err(ApiError::forbidden(&call.resource(), meta::name(request), why));
    let pem = base64::prelude::BASE64_STANDARD.decode(walk::text(request, "spec.request")).unwrap_or_default();
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(&pem) else { return refused("failed to parse CSR") };
    let Ok((_, parsed)) = X509CertificationRequest::from_der(&block.contents) else { return refused("failed to parse CSR") };
    let is_master = parsed.certification_request_info.subject.iter_organization().any(|o| o.as_str() == Ok("system:masters"));
    if is_master { refused("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed") } else { Ok(()) }
}
