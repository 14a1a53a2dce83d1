//! What each built-in signer signs. Pure.
//!
//! Upstream: `pkg/apis/certificates/helpers.go`, `pkg/controller/certificates/signer/signer.go`.

use pki::SigningRequest;

pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
pub const LEGACY: &str = "kubernetes.io/legacy-unknown";

/// Why a signer does not sign a request; `None` for signers that are not built in.
pub fn refusal(signer: &str, request: &SigningRequest, usages: &[String]) -> Option<Result<(), String>> {
    Some(match signer {
        CLIENT => client(usages),
        KUBELET_CLIENT => kubelet_client(request, usages),
        KUBELET_SERVING => kubelet_serving(request, usages),
        LEGACY => Ok(()),
        _ => return None,
    })
}

fn client(usages: &[String]) -> Result<(), String> {
    let optional = ["digital signature", "key encipherment", "client auth"];
    if let Some(other) = usages.iter().find(|u| !optional.contains(&u.as_str())) {
        return Err(format!("invalid usage for client certificate: {other}"));
    }
    if usages.iter().any(|u| u == "client auth") { Ok(()) } else { Err("missing required usage for client certificate: client auth".into()) }
}

/// The usages are just these; the one for RSA keys may be missing.
fn usages_are(usages: &[String], purpose: &str, shown: &str) -> Result<(), String> {
    let mut given: Vec<&str> = usages.iter().map(String::as_str).filter(|u| *u != "key encipherment").collect();
    given.sort_unstable();
    given.dedup();
    let mut wanted = ["digital signature", purpose];
    wanted.sort_unstable();
    if given == wanted { Ok(()) } else { Err(format!("usages did not match {shown}")) }
}

fn first(faults: &[(bool, &str)]) -> Result<(), String> {
    faults.iter().find(|(is, _)| *is).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
}

pub fn kubelet_client(request: &SigningRequest, usages: &[String]) -> Result<(), String> {
    first(&[
        (request.organizations != ["system:nodes"], "subject organization is not system:nodes"),
        (!request.dns_names.is_empty(), "DNS subjectAltNames are not allowed"),
        (request.emails > 0, "Email subjectAltNames are not allowed"),
        (request.ips > 0, "IP subjectAltNames are not allowed"),
        (request.uris > 0, "URI subjectAltNames are not allowed"),
        (!request.common_name.starts_with("system:node:"), "subject common name does not begin with system:node:"),
    ])?;
    usages_are(usages, "client auth", "[client auth digital signature key encipherment]")
}

fn kubelet_serving(request: &SigningRequest, usages: &[String]) -> Result<(), String> {
    first(&[
        (request.organizations != ["system:nodes"], "subject organization is not system:nodes"),
        (request.dns_names.is_empty() && request.ips == 0, "DNS or IP subjectAltName is required"),
        (request.emails > 0, "Email subjectAltNames are not allowed"),
        (request.uris > 0, "URI subjectAltNames are not allowed"),
    ])?;
    usages_are(usages, "server auth", "[digital signature key encipherment server auth]")?;
    first(&[(!request.common_name.starts_with("system:node:"), "subject common name does not begin with system:node:")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usages(all: &[&str]) -> Vec<String> {
        all.iter().map(|u| (*u).to_owned()).collect()
    }

    #[test]
    fn signers_sign_what_is_theirs() {
        let mut node = SigningRequest::default();
        node.common_name = "system:node:a".into();
        node.organizations = vec!["system:nodes".into()];
        let told = |signer, request: &SigningRequest, all: &[&str]| refusal(signer, request, &usages(all)).map(|r| r.err().unwrap_or_default());
        assert_eq!(told(KUBELET_CLIENT, &node, &["client auth", "digital signature"]).as_deref(), Some(""));
        assert_eq!(told(KUBELET_CLIENT, &node, &["server auth", "digital signature"]).as_deref(), Some("usages did not match [client auth digital signature key encipherment]"));
        assert_eq!(told(KUBELET_SERVING, &node, &["server auth", "digital signature"]).as_deref(), Some("DNS or IP subjectAltName is required"));
        node.ips = 1;
        assert_eq!(told(KUBELET_SERVING, &node, &["server auth", "digital signature", "key encipherment"]).as_deref(), Some(""));
        assert_eq!(told(KUBELET_CLIENT, &node, &["client auth"]).as_deref(), Some("IP subjectAltNames are not allowed"));
        assert_eq!(told(CLIENT, &node, &["client auth", "server auth"]).as_deref(), Some("invalid usage for client certificate: server auth"));
        assert_eq!(told(CLIENT, &node, &[]).as_deref(), Some("missing required usage for client certificate: client auth"));
        assert_eq!(told("example.com/mine", &node, &[]), None);
    }
}
