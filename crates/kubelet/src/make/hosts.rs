//! Hostname of a pod and its /etc/hosts. Upstream: pkg/kubelet/kubelet_pods.go.

use k8s_openapi::api::core::v1::{HostAlias, Pod};

/// Host name and domain (empty without a subdomain).
pub fn host_and_domain(pod: &Pod, cluster_domain: &str) -> (String, String) {
    let spec = pod.spec.as_ref();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if let Some(own) = spec.and_then(|s| s.hostname_override.clone()).filter(|h| !h.is_empty()) {
        return (own, String::new());
    }
    let host = spec.and_then(|s| s.hostname.as_deref()).filter(|h| !h.is_empty()).unwrap_or(name);
    let host = host.get(..63.min(host.len())).unwrap_or(host).trim_end_matches(['-', '.']).to_owned();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = spec.and_then(|s| s.subdomain.as_deref()).filter(|s| !s.is_empty()).map(|s| format!("{s}.{namespace}.svc.{cluster_domain}"));
    (host, domain.unwrap_or_default())
}

/// The name given to the kernel: the whole one when the pod asks for it.
pub fn kernel_hostname(pod: &Pod, cluster_domain: &str) -> Result<String, String> {
    let (host, domain) = host_and_domain(pod, cluster_domain);
    let whole = pod.spec.as_ref().is_some_and(|s| s.set_hostname_as_fqdn == Some(true)) && !domain.is_empty();
    if !whole {
        return Ok(host);
    }
    let full = format!("{host}.{domain}");
    if full.len() > 64 {
        return Err(format!("Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long (64 characters is the max, {} characters requested)", full.len()));
    }
    Ok(full)
}

pub fn hosts_file(ips: &[String], host: &str, domain: &str, aliases: &[HostAlias]) -> String {
    let mut out = String::from("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    for ip in ips {
        out.push_str(&if domain.is_empty() { format!("{ip}\t{host}\n") } else { format!("{ip}\t{host}.{domain}\t{host}\n") });
    }
    out.push_str(&alias_lines(aliases));
    out
}

/// A pod in the host's network gets the host's file with its own aliases.
pub fn host_network_hosts_file(of_node: &str, aliases: &[HostAlias]) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{of_node}{}", alias_lines(aliases))
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let lines: String = aliases.iter().map(|a| format!("{}\t{}\n", a.ip, a.hostnames.as_deref().unwrap_or_default().join("\t"))).collect();
    format!("\n# Entries added by HostAliases.\n{lines}")
}
