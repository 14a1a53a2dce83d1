//! Upstream's flags of kube-apiserver that knarr has no use for, each with what to do instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags by what they begin with; the first that fits counts.
const INSTEAD: [(&str, &str); 50] = [
    ("--token-auth", "write --token-auth-file"),
    ("--cert-dir", "certificates are in DIR/pki"),
    ("--service-account-lookup", "leave it out: tokens always end with their account and with what they are bound to"),
    ("--service-account-signing-endpoint", "give the key itself, with --service-account-signing-key-file"),
    ("--service-account-api-audiences", "write --api-audiences"),
    ("--kubelet-client-", "the kubelets' client certificate is issued by the cluster's own authority"),
    ("--kubelet-certificate-authority", "kubelets show certificates of the cluster's own authority"),
    ("--proxy-client-", "the front proxy's certificate is DIR/pki/front-proxy-client.crt"),
    ("--insecure-", "there is no port without TLS"),
    ("--allow-privileged", "leave it out: privileged pods are allowed, and PodSecurity restricts them by namespace"),
    ("--profiling", "leave it out: there is no profiling over HTTP"),
    ("--enable-aggregator-routing", "leave it out: the API server reaches endpoints itself"),
    ("--storage-", "leave it out: how objects are stored is chosen by --etcd-servers alone"),
    ("--etcd-compaction-interval", "leave it out: revisions are compacted by themselves"),
    ("--admission-control", "use --enable-admission-plugins and --disable-admission-plugins"),
    ("--authorization-policy-file", "mode ABAC is not served: write its rules as roles and bindings"),
    ("--vmodule", "the log level is set by KNARR_LOG, such as KNARR_LOG=debug"),
    ("--apiserver-count", "leave it out: the server writes its own address behind the Service kubernetes"),
    ("--endpoint-reconciler-type", "leave it out: the server writes its own address behind the Service kubernetes"),
    ("--kubernetes-service-node-port", "leave it out: the Service kubernetes has a cluster address alone"),
    ("--permit-", "leave it out: the port is this server's alone"),
    ("--cloud-", "leave it out: cloud controllers run beside the cluster"),
    ("--contention-profiling", "leave it out: there is no profiling over HTTP"),
    ("--debug-socket-path", "leave it out: there is no profiling"),
    ("--default-watch-cache-size", "leave it out: everything is served from memory"),
    ("--watch-cache", "leave it out: everything is served from memory"),
    ("--delete-collection-workers", "leave it out: collections are deleted in one pass"),
    ("--enable-garbage-collector", "leave it out: it is always on"),
    ("--etcd-", "of etcd, --etcd-servers, --etcd-cafile, --etcd-certfile, --etcd-keyfile, --etcd-prefix and the timeouts of its checks are taken"),
    ("--lease-reuse-duration-seconds", "leave it out: events end by themselves"),
    ("--identity-lease-", "leave it out: there are no leases of API servers"),
    ("--kubelet-", "leave it out: kubelets are reached at the addresses and ports that their nodes tell"),
    ("--max-connection-bytes-per-sec", "leave it out: streams are not slowed"),
    ("--master-service-namespace", "leave it out: the Service kubernetes is in the namespace default"),
    ("--show-hidden-metrics-for-version", "leave it out: no metrics are hidden"),
    ("--allow-metric-labels", "leave it out: labels have values of fixed sets"),
    ("--disabled-metrics", "leave it out: metrics are few"),
    ("--aggregator-reject-forwarding-redirect", "leave it out: redirects are never followed"),
    ("--tracing-config-file", "leave it out: nothing is traced"),
    ("--peer-", "leave it out: servers on one etcd serve the same"),
    ("--emulat", "leave it out: what is served is 1.37"),
    ("--min-compatibility-version", "leave it out: what is served is 1.37"),
    ("--log", "the log level is set by KNARR_LOG, such as KNARR_LOG=debug"),
    ("--v", "the log level is set by KNARR_LOG, such as KNARR_LOG=debug; `knarr --version` tells the version"),
    ("--add-dir-header", "the log level is set by KNARR_LOG, such as KNARR_LOG=debug"),
    ("--alsologtostderr", "the log goes to the standard error"),
    ("--stderrthreshold", "the log goes to the standard error"),
    ("--one-output", "the log goes to the standard error"),
    ("--skip-", "the log goes to the standard error"),
    ("--experimental-logging-sanitization", "leave it out: secrets are never logged"),
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
        assert!(told("--allow-privileged=true").is_some_and(|advice| advice.contains("leave it out")));
        assert_eq!(told("--made-up"), None);
        for known in ["--secure-port=1", "--advertise-address=10.0.0.1", "--service-cluster-ip-range=10.1.0.0/16", "--token-auth-file=x", "--tls-cert-file=x", "--encryption-provider-config-automatic-reload"] {
            assert!(Cli::try_parse_from(["knarr", "apiserver", known]).is_ok(), "{known}");
        }
    }

    /// `docs/apiserver-flags.tsv` lists every flag of upstream's with its state; it must say what is.
    #[test]
    fn every_flag_is_taken_or_answered_with_advice() {
        use clap::CommandFactory;
        let command = Cli::command();
        let known = command.find_subcommand("apiserver").expect("the subcommand");
        let is_taken = |flag: &str| known.get_arguments().any(|a| a.get_long() == Some(flag) || a.get_all_aliases().is_some_and(|all| all.contains(&flag)));
        let table = include_str!("../../../../docs/apiserver-flags.tsv");
        for line in table.lines().filter(|l| l.starts_with("--")) {
            let (flag, state) = line.split_once('\t').expect("two columns");
            let advice = INSTEAD.iter().find(|(begin, _)| flag.starts_with(begin)).map(|(_, advice)| *advice);
            let is = if is_taken(flag.trim_start_matches('-')) { "taken" } else { advice.unwrap_or("neither taken nor answered") };
            assert_eq!(state, is, "{flag}");
        }
    }
}
