//! Who the parts of a cluster are: certificates from the cluster's authority for the outside, user and groups for the inside.

use std::net::{IpAddr, Ipv4Addr};

use host::Layout;
use pki::{Authority, Issued, Leaf};

pub const ADMIN: (&str, &[&str]) = ("kubernetes-admin", &["system:masters"]);
pub const SCHEDULER: (&str, &[&str]) = ("system:kube-scheduler", &[]);
pub const CONTROLLERS: (&str, &[&str]) = ("system:kube-controller-manager", &[]);
pub const PROXY: (&str, &[&str]) = ("system:kube-proxy", &[]);
pub const DNS: (&str, &[&str]) = ("system:serviceaccount:kube-system:coredns", &["system:serviceaccounts", "system:serviceaccounts:kube-system"]);
pub const NODE_GROUPS: &[&str] = &["system:nodes"];

pub fn node_user(node: &str) -> String {
    format!("system:node:{node}")
}

/// The administrator's certificate, kept beside the authority.
pub fn admin(layout: &Layout, authority: &Authority) -> anyhow::Result<Issued> {
    let leaf = Leaf { common_name: ADMIN.0.into(), organizations: owned(ADMIN.1), client: true, ..Leaf::default() };
    Ok(authority.load_or_issue(layout.pki(), "admin", &leaf)?)
}

/// What the kubelet shows to the API server.
pub fn kubelet_serving(layout: &Layout, authority: &Authority, node: &str, ip: IpAddr) -> anyhow::Result<Issued> {
    let leaf = Leaf {
        common_name: node_user(node),
        organizations: owned(NODE_GROUPS),
        dns_names: vec![node.to_owned(), "localhost".into()],
        ips: vec![ip, IpAddr::V4(Ipv4Addr::LOCALHOST)],
        server: true,
        ..Leaf::default()
    };
    Ok(authority.load_or_issue(layout.pki(), "kubelet-serving", &leaf)?)
}

fn owned(groups: &[&str]) -> Vec<String> {
    groups.iter().map(|g| (*g).to_owned()).collect()
}
