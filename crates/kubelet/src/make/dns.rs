//! The resolv.conf of a pod. Upstream: pkg/kubelet/network/dns/dns.go.

use std::net::IpAddr;

use cri::DnsConfig;
use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// What the node itself resolves with.
pub fn parse_resolv_conf(text: &str) -> DnsConfig {
    let mut found = DnsConfig::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => found.servers.extend(words.next().map(str::to_owned)),
            Some("search") => found.searches = words.filter(|w| *w != ".").map(|w| w.trim_end_matches('.').to_owned()).collect(),
            Some("options") => found.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    found
}

/// The pod's settings by its policy, with warnings for events.
pub fn pod_dns(pod: &Pod, cluster_dns: &[IpAddr], cluster_domain: &str, of_node: &DnsConfig) -> (DnsConfig, Vec<String>) {
    let spec = pod.spec.as_ref();
    let policy = spec.and_then(|s| s.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let host_network = pod_lifecycle::is_host_network(pod);
    let mut warnings = Vec::new();
    let cluster = match policy {
        "ClusterFirst" => !host_network,
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut found = match policy {
        "None" => DnsConfig::default(),
        _ if cluster && cluster_dns.is_empty() => {
            warnings.push(format!("kubelet does not have ClusterDNS IP configured and cannot create Pod using {policy:?} policy. Falling back to \"Default\" policy."));
            of_node.clone()
        }
        _ if cluster => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let mut searches: Vec<String> = Vec::new();
            if !cluster_domain.is_empty() {
                searches = vec![format!("{namespace}.svc.{cluster_domain}"), format!("svc.{cluster_domain}"), cluster_domain.to_owned()];
            }
            for search in &of_node.searches {
                if !searches.contains(search) {
                    searches.push(search.clone());
                }
            }
            DnsConfig { servers: cluster_dns.iter().map(ToString::to_string).collect(), searches, options: vec!["ndots:5".into()] }
        }
        _ => of_node.clone(),
    };
    if let Some(own) = spec.and_then(|s| s.dns_config.as_ref()) {
        add_own(&mut found, own);
    }
    limit(&mut found, &mut warnings);
    (found, warnings)
}

fn add_own(found: &mut DnsConfig, own: &PodDNSConfig) {
    for (list, more) in [(&mut found.servers, &own.nameservers), (&mut found.searches, &own.searches)] {
        for one in more.iter().flatten() {
            if !list.contains(one) {
                list.push(one.clone());
            }
        }
    }
    for option in own.options.iter().flatten() {
        let Some(name) = option.name.as_deref() else { continue };
        let text = match option.value.as_deref().filter(|v| !v.is_empty()) {
            Some(value) => format!("{name}:{value}"),
            None => name.to_owned(),
        };
        // A later option of the same name replaces the earlier one.
        found.options.retain(|o| o.split(':').next() != Some(name));
        found.options.push(text);
    }
}

fn limit(found: &mut DnsConfig, warnings: &mut Vec<String>) {
    if found.servers.len() > MAX_SERVERS {
        found.servers.truncate(MAX_SERVERS);
        warnings.push(format!("Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}", found.servers.join(" ")));
    }
    let before = found.searches.len();
    found.searches.truncate(MAX_SEARCHES);
    while found.searches.join(" ").len() > MAX_SEARCH_CHARS {
        found.searches.pop();
    }
    if found.searches.len() < before {
        warnings.push(format!("Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}", found.searches.join(" ")));
    }
}
