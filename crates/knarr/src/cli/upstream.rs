//! Upstream's flags of kube-apiserver that knarr has no use for, each with what to do instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags by what they begin with; the first that fits counts.
const INSTEAD: [(&str, &str); 23] = [
    ("--token-auth", "write --token-auth-file"),
    ("--tls-", "leave it out: TLS 1.2 and 1.3 with the ciphers that upstream prefers are always on"),
    ("--cert-dir", "certificates are in DIR/pki"),
    ("--service-account-", "service accounts' keys are in DIR/pki/sa.key; the issuer is the cluster's own"),
    ("--api-audiences", "the audience of the API is the issuer of its service accounts' tokens"),
    ("--kubelet-client-", "the kubelets' client certificate is issued by the cluster's own authority"),
    ("--kubelet-certificate-authority", "kubelets show certificates of the cluster's own authority"),
    ("--proxy-client-", "the front proxy's certificate is DIR/pki/front-proxy-client.crt"),
    ("--audit-", "the audit log is on: DIR/audit/audit.log"),
    ("--bind-address", "the API is served on all addresses; --port chooses the port"),
    ("--insecure-", "there is no port without TLS"),
    ("--allow-privileged", "leave it out: privileged pods are allowed, and PodSecurity restricts them by namespace"),
    ("--profiling", "leave it out: there is no profiling over HTTP"),
    ("--runtime-config", "leave it out: what is served is what upstream serves by default"),
    ("--max-requests-inflight", "leave it out: FlowSchemas and PriorityLevelConfigurations bound what is in flight"),
    ("--max-mutating-requests-inflight", "leave it out: FlowSchemas and PriorityLevelConfigurations bound what is in flight"),
    ("--enable-aggregator-routing", "leave it out: the API server reaches endpoints itself"),
    ("--enable-priority-and-fairness", "leave it out: it is always on"),
    ("--storage-", "leave it out: how objects are stored is chosen by --etcd-servers alone"),
    ("--etcd-compaction-interval", "leave it out: revisions are compacted by themselves"),
    ("--admission-control", "use --enable-admission-plugins and --disable-admission-plugins"),
    ("--authorization-policy-file", "mode ABAC is not served: write its rules as roles and bindings"),
    ("--vmodule", "the log level is set by KNARR_LOG, such as KNARR_LOG=debug"),
];

/// What to do about a flag that is not known; none for what upstream has not either.
pub fn instead(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let (_, advice) = INSTEAD.iter().find(|(begin, _)| flag.starts_with(begin))?;
    Some(format!("{flag} is a flag of upstream's kube-apiserver: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn upstreams_flags_are_answered_with_advice() {
        let told = |flag: &str| Cli::try_parse_from(["knarr", "apiserver", flag]).err().and_then(|e| instead(&e));
        assert!(told("--tls-min-version=x").is_some_and(|advice| advice.contains("TLS 1.2 and 1.3")));
        assert!(told("--allow-privileged=true").is_some_and(|advice| advice.contains("leave it out")));
        assert_eq!(told("--made-up"), None);
        for known in ["--secure-port=1", "--advertise-address=10.0.0.1", "--service-cluster-ip-range=10.1.0.0/16", "--token-auth-file=x", "--tls-cert-file=x", "--encryption-provider-config-automatic-reload"] {
            assert!(Cli::try_parse_from(["knarr", "apiserver", known]).is_ok(), "{known}");
        }
    }
}
