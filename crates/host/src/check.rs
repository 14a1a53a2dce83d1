//! What the machine must offer, each point tried for real where that is cheap, and how to mend what is missing.
//!
//! Changes nothing that lasts: test mounts and links are gone again when a check returns.

use std::net::Ipv4Addr;
use std::path::Path;

use nlink::netlink::link::VethLink;
use nlink::netlink::{Connection, Nftables, Route};

use crate::network::{parse_cidr, routed_ranges};
use crate::{Layout, find_plugins, port_holder};

/// What will be asked of the machine.
#[derive(Debug, Clone)]
pub struct Demands {
    /// Port and what it is for.
    pub ports: Vec<(u16, String)>,
    pub pod_cidr: String,
    pub service_cidr: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Good(String),
    /// Works, but the user should know.
    Doubtful { what: String, mend: String },
    Bad { what: String, mend: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
}

impl Check {
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Bad { .. })
    }
}

const GIB: u64 = 1 << 30;
const DISK_NEEDED: u64 = GIB;
const DISK_WANTED: u64 = 5 * GIB;

pub async fn check_all(layout: &Layout, demands: &Demands) -> Vec<Check> {
    let root = root();
    let is_root = matches!(root, Outcome::Good(_));
    // The kernel takes its time to remove a link: meanwhile the other points are looked at.
    let veth = is_root.then(|| tokio::spawn(veth()));
    let mut checks = vec![Check { name: "root", outcome: root }, Check { name: "tools", outcome: tools() }];
    checks.push(Check { name: "cgroups", outcome: cgroups() });
    for (port, purpose) in &demands.ports {
        checks.push(Check { name: "port", outcome: port_free(*port, purpose) });
    }
    if is_root {
        checks.push(Check { name: "disk", outcome: disk(&layout.data) });
        checks.push(Check { name: "overlayfs", outcome: overlayfs(&layout.data) });
        checks.push(Check { name: "nf_tables", outcome: nf_tables().await });
        checks.push(Check { name: "ranges", outcome: ranges(layout, demands).await });
        checks.push(Check { name: "ip_forward", outcome: ip_forward() });
        checks.push(Check { name: "forwarding", outcome: forward_policy().await });
    }
    if let Some(veth) = veth {
        let outcome = veth.await.unwrap_or_else(|e| bad(format!("the test of virtual interfaces broke off: {e}"), "run `knarr up` again"));
        checks.push(Check { name: "veth", outcome });
    }
    checks
}

fn good(text: impl Into<String>) -> Outcome {
    Outcome::Good(text.into())
}

fn bad(what: impl Into<String>, mend: impl Into<String>) -> Outcome {
    Outcome::Bad { what: what.into(), mend: mend.into() }
}

fn doubtful(what: impl Into<String>, mend: impl Into<String>) -> Outcome {
    Outcome::Doubtful { what: what.into(), mend: mend.into() }
}

fn root() -> Outcome {
    if nix::unistd::geteuid().is_root() {
        good("yes")
    } else {
        bad("not running as root, and containers, mounts and network links need it", "run the same command with sudo")
    }
}

fn tools() -> Outcome {
    let missing: Vec<&str> = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"].into_iter().filter(|tool| !in_path(tool)).collect();
    if !missing.is_empty() {
        return bad(
            format!("not found in PATH: {}", missing.join(", ")),
            "on Debian and Ubuntu: apt-get install containerd runc; elsewhere: install containerd 1.6 or later with runc",
        );
    }
    match find_plugins() {
        Ok(folder) => good(format!("containerd, runc, CNI plugins in {}", folder.display())),
        Err(e) => bad(e.to_string(), "install the package containernetworking-plugins, or unpack the CNI plugins' release into /opt/cni/bin"),
    }
}

fn in_path(tool: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

fn cgroups() -> Outcome {
    let needed = ["cpu", "cpuset", "memory", "pids"];
    let unified = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if !unified.trim().is_empty() {
        let has: Vec<&str> = unified.split_whitespace().collect();
        let missing: Vec<&str> = needed.into_iter().filter(|c| !has.contains(c)).collect();
        if missing.is_empty() {
            return good("version 2");
        }
        return bad(
            format!("cgroup version 2 without the controllers {}", missing.join(", ")),
            "add cgroup_enable=memory (and the like) to the kernel's command line, or let the container or VM around pass them on",
        );
    }
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted: Vec<&str> = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.get(2) == Some(&"cgroup"))
        .flat_map(|fields| fields.get(3).copied().unwrap_or_default().split(','))
        .collect();
    let all = ["cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer"];
    let missing: Vec<&str> = all.into_iter().filter(|c| !mounted.contains(c)).collect();
    if missing.is_empty() {
        return good("version 1");
    }
    bad(
        format!("neither cgroup version 2 nor version 1 with {} is mounted below /sys/fs/cgroup", missing.join(", ")),
        "mount -t cgroup2 none /sys/fs/cgroup (as systemd does at boot)",
    )
}

fn port_free(port: u16, purpose: &str) -> Outcome {
    match port_holder(port) {
        None => good(format!("{port} is free ({purpose})")),
        Some(holder) => bad(
            format!("port {port}, wanted for {purpose}, is held by {holder}"),
            format!("stop that process, or choose another port (--{})", if purpose == "the kubelet" { "kubelet-port" } else { "port" }),
        ),
    }
}

fn disk(data: &Path) -> Outcome {
    let Some(folder) = data.ancestors().find(|folder| folder.exists()) else { return bad("no folder to look at", "give --data-dir") };
    match nix::sys::statvfs::statvfs(folder) {
        Err(e) => bad(format!("{}: {e}", folder.display()), "give another folder with --data-dir"),
        Ok(facts) => {
            let free = facts.blocks_available().saturating_mul(facts.fragment_size());
            let text = format!("{:.1} GiB free for {}", free as f64 / GIB as f64, data.display());
            if free < DISK_NEEDED {
                bad(format!("only {text}"), "free at least 1 GiB, or give a folder on another disk with --data-dir")
            } else if free < DISK_WANTED {
                doubtful(format!("only {text}"), "images and logs will soon want more: 5 GiB are comfortable")
            } else {
                good(text)
            }
        }
    }
}

fn overlayfs(data: &Path) -> Outcome {
    let place = data.join(format!(".overlay-check-{}", std::process::id()));
    let outcome = try_overlay(&place);
    let _ = std::fs::remove_dir_all(&place);
    // Of a cluster that is never started nothing stays: this succeeds only where the folder is empty.
    let _ = std::fs::remove_dir(data);
    match outcome {
        Ok(()) => good("mounts"),
        Err(why) => bad(
            format!("an overlay file system could not be mounted below {}: {why}", data.display()),
            "modprobe overlay; if that folder is itself on an overlay (a container), give --data-dir on a real disk",
        ),
    }
}

fn try_overlay(place: &Path) -> Result<(), String> {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    for folder in ["lower", "upper", "work", "merged"] {
        std::fs::create_dir_all(place.join(folder)).map_err(|e| e.to_string())?;
    }
    let at = |folder: &str| place.join(folder).display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
    let target = place.join("merged");
    mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options.as_str())).map_err(|e| e.desc().to_owned())?;
    umount2(&target, MntFlags::MNT_DETACH).map_err(|e| e.desc().to_owned())
}

async fn nf_tables() -> Outcome {
    let tried = async { Connection::<Nftables>::new()?.list_tables().await };
    match tried.await {
        Ok(_) => good("answers"),
        Err(e) => bad(format!("the kernel does not answer for nf_tables: {e}"), "modprobe nf_tables (kernel 5.10 or later with CONFIG_NF_TABLES)"),
    }
}

async fn veth() -> Outcome {
    let number = std::process::id() % 100_000;
    let (one, two) = (format!("kncheck{number}a"), format!("kncheck{number}b"));
    let tried = async {
        let connection = Connection::<Route>::new()?;
        connection.add_link(VethLink::new(&one, &two)).await?;
        connection.del_link(one.as_str()).await
    };
    match tried.await {
        Ok(()) => good("pairs can be made"),
        Err(e) => bad(format!("a pair of virtual interfaces could not be made: {e}"), "modprobe veth, and run with CAP_NET_ADMIN"),
    }
}

async fn ranges(layout: &Layout, demands: &Demands) -> Outcome {
    let routes = match routed_ranges().await {
        Ok(routes) => routes,
        Err(e) => return bad(e.to_string(), "the kernel must answer for its routes"),
    };
    // A cluster that already runs here owns these routes itself.
    let own = layout.link();
    if routes.iter().any(|(_, _, link)| *link == own) {
        return good(format!("pods {}, services {}", demands.pod_cidr, demands.service_cidr));
    }
    for (range, flag) in [(&demands.pod_cidr, "--pod-cidr"), (&demands.service_cidr, "--service-cidr")] {
        let (base, prefix) = match parse_cidr(range) {
            Ok(range) => range,
            Err(e) => return bad(e.to_string(), format!("write {flag} like 10.42.0.0/24")),
        };
        if let Some((to, length, link)) = routes.iter().find(|(to, length, _)| overlap((base, prefix), (*to, *length))) {
            return bad(
                format!("the range {range} meets {to}/{length}, which this machine already reaches through {link}"),
                format!("choose another range with {flag}"),
            );
        }
    }
    good(format!("pods {}, services {}", demands.pod_cidr, demands.service_cidr))
}

fn overlap(a: (Ipv4Addr, u8), b: (Ipv4Addr, u8)) -> bool {
    let shift = 32 - u32::from(a.1.min(b.1));
    let cut = |address: Ipv4Addr| u64::from(address.to_bits()) >> shift;
    cut(a.0) == cut(b.0)
}

fn ip_forward() -> Outcome {
    let path = "/proc/sys/net/ipv4/ip_forward";
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim() == "1" => good("on"),
        Ok(_) if std::fs::OpenOptions::new().write(true).open(path).is_ok() => good("off; knarr switches it on"),
        Ok(_) => bad("forwarding is off and cannot be switched on from here", "sysctl -w net.ipv4.ip_forward=1 on the machine itself"),
        Err(e) => bad(format!("{path}: {e}"), "the kernel must offer IPv4 forwarding"),
    }
}

/// A table of its own cannot undo another table's drop, so a dropping FORWARD policy (Docker sets one) must be told.
async fn forward_policy() -> Outcome {
    // NF_INET_FORWARD and NF_DROP, as the kernel numbers them.
    const FORWARD: u32 = 2;
    const DROP: u32 = 0;
    let chains = match Connection::<Nftables>::new() {
        Ok(connection) => connection.list_chains().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    match chains.iter().find(|chain| chain.hook == Some(FORWARD) && chain.policy == Some(DROP)) {
        None => good("no table drops it"),
        Some(chain) => doubtful(
            format!("the chain {} of the table {} drops forwarded packets by default; pods may not reach each other", chain.name, chain.table),
            "with Docker: iptables -I DOCKER-USER -j ACCEPT; with another firewall: accept the pod range in it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_when_one_holds_the_other() {
        let range = |text: &str| parse_cidr(text).unwrap();
        assert!(overlap(range("10.42.0.0/24"), range("10.0.0.0/8")));
        assert!(overlap(range("10.0.0.0/8"), range("10.42.0.0/24")));
        assert!(!overlap(range("10.42.0.0/24"), range("10.43.0.0/16")));
    }
}
