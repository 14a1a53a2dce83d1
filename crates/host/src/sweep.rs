//! Tear-down: what is left of a cluster after its pods were stopped, and everything if they were not.
//!
//! Goes by what the kernel shows (processes, mounts, links, groups), never by memory, so it also cleans up after a crash.
//! Never touches what does not carry the cluster's tag or lie in its folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;
use nlink::netlink::nftables::Family;
use nlink::netlink::{Connection, Nftables, Route};

use crate::network::{parse_cidr, routed_ranges};
use crate::{Containerd, Error, Layout, Network, Process, Waited, process};

const GRACE: Duration = Duration::from_secs(10);

/// What was found and removed, and what would not go.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Swept {
    pub processes: usize,
    pub mounts: usize,
    pub links: usize,
    pub groups: usize,
    pub left: Vec<String>,
}

/// Ends containerd and its shims and removes mounts, links, the table, CNI state and groups. `pod_cidr` tells the pods' links.
pub async fn sweep(layout: &Layout, pod_cidr: &str) -> Swept {
    let mut swept = Swept::default();
    let containers = containers(layout);
    end_processes(layout, &mut swept).await;
    unmount_all(layout, &mut swept);
    clear_network(layout, pod_cidr, &mut swept).await;
    clear_cni(layout, &containers);
    clear_groups(layout, &mut swept);
    if let Err(e) = remove_tree(&layout.run) {
        swept.left.push(format!("{}: {e}", layout.run.display()));
    }
    let _ = std::fs::remove_dir("/run/knarr");
    swept
}

/// Removes the data folder. Only after [`sweep`].
pub fn purge(layout: &Layout) -> Result<(), Error> {
    if mounts_below(&layout.data).is_empty() {
        return remove_tree(&layout.data).map_err(Error::file(&layout.data));
    }
    Err(Error::File { path: layout.data.clone(), source: std::io::Error::other("something is still mounted below it; nothing was removed") })
}

async fn end_processes(layout: &Layout, swept: &mut Swept) {
    // containerd first, so that it does not see its shims go one by one.
    if let Some(containerd) = Containerd::running(layout) {
        swept.processes += 1;
        if containerd.stop(GRACE).await == Waited::StillRuns {
            swept.left.push(format!("containerd (process {})", containerd.pid));
        }
    }
    let mut doomed: Vec<Process> = shims(layout);
    for group in group_folders(layout) {
        doomed.extend(members_of(&group));
    }
    // One process is a member of one group in each hierarchy.
    doomed.sort_by_key(|process| process.pid);
    doomed.dedup();
    for process in &doomed {
        process.signal(Signal::SIGKILL);
    }
    for process in &doomed {
        swept.processes += 1;
        if process.wait(Some(GRACE)).await == Waited::StillRuns {
            swept.left.push(format!("process {}", process.pid));
        }
    }
    for socket in shim_sockets(layout) {
        let _ = std::fs::remove_file(socket);
    }
}

fn bundles(layout: &Layout) -> impl Iterator<Item = std::fs::DirEntry> {
    let folder = layout.containerd_state().join("io.containerd.runtime.v2.task/k8s.io");
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}

/// The ids of what containerd holds.
fn containers(layout: &Layout) -> Vec<String> {
    bundles(layout).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A shim's socket lies outside the state folder, named by a hash that its bundle keeps; a killed shim cannot remove it.
fn shim_sockets(layout: &Layout) -> Vec<PathBuf> {
    bundles(layout)
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("address")).ok())
        .filter_map(|address| Some(PathBuf::from(address.trim().strip_prefix("unix://")?)))
        .filter(|socket| socket.starts_with("/run/containerd/s"))
        .collect()
}

/// Shims carry the socket of their containerd on their command line; the processes they hold are their children.
fn shims(layout: &Layout) -> Vec<Process> {
    let socket = layout.containerd_socket().display().to_string();
    let all = process::all();
    let shims: BTreeSet<i32> = all
        .iter()
        .filter(|(_, words)| words.first().is_some_and(|w| w.contains("containerd-shim")) && words.contains(&socket))
        .map(|(process, _)| process.pid)
        .collect();
    let children = all.iter().filter(|(process, _)| parent_of(process.pid).is_some_and(|parent| shims.contains(&parent)));
    let children: Vec<Process> = children.map(|(process, _)| *process).collect();
    all.iter().map(|(process, _)| *process).filter(|process| shims.contains(&process.pid)).chain(children).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.get(stat.rfind(')')? + 2..)?.split(' ').nth(1)?.parse().ok()
}

fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape).filter(|path| path.starts_with(folder)).collect()
}

/// The kernel writes space, tab, newline and backslash as octal.
fn unescape(text: &str) -> PathBuf {
    PathBuf::from(text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\"))
}

fn unmount_all(layout: &Layout, swept: &mut Swept) {
    for folder in [&layout.run, &layout.data] {
        // The newest mounts first: they may lie on top of older ones.
        for path in mounts_below(folder).iter().rev() {
            match umount2(path, MntFlags::MNT_DETACH) {
                Ok(()) => swept.mounts += 1,
                Err(e) => swept.left.push(format!("mount {}: {}", path.display(), e.desc())),
            }
        }
    }
}

async fn clear_network(layout: &Layout, pod_cidr: &str, swept: &mut Swept) {
    let table = async { Connection::<Nftables>::new()?.del_table_if_exists(layout.nft_table().as_str(), Family::Ip).await };
    if let Err(e) = table.await {
        swept.left.push(format!("nft table {}: {e}", layout.nft_table()));
    }
    // The host's end of a pod's pair is known by its route: one address of the pod range.
    let own = layout.link();
    let mut links: BTreeSet<String> = BTreeSet::new();
    if let (Ok((base, prefix)), Ok(routes)) = (parse_cidr(pod_cidr), routed_ranges().await) {
        let inside = |to: std::net::Ipv4Addr| (to.to_bits() ^ base.to_bits()) >> (32 - u32::from(prefix)) == 0;
        links.extend(routes.into_iter().filter(|(to, length, link)| *length == 32 && inside(*to) && *link != own).map(|(_, _, link)| link));
    }
    for link in links.iter().filter(|link| link.starts_with("veth")) {
        let removed = async { Connection::<Route>::new()?.del_link_if_exists(link.as_str()).await };
        match removed.await {
            Ok(true) => swept.links += 1,
            Ok(false) => {}
            Err(e) => swept.left.push(format!("link {link}: {e}")),
        }
    }
    match Network::clear(layout).await {
        Ok(removed) => swept.links += usize::from(removed),
        Err(e) => swept.left.push(e.to_string()),
    }
}

/// libcni keeps one result per attachment, named after the network and the sandbox; the loopback network is common to all clusters.
fn clear_cni(layout: &Layout, containers: &[String]) {
    let prefix = format!("{}-", layout.tag);
    for folder in ["/var/lib/cni/results", "/var/lib/cni/cache/results"] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) || containers.iter().any(|id| name.contains(id.as_str())) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// The cluster's folder in each mounted hierarchy.
fn group_folders(layout: &Layout) -> Vec<PathBuf> {
    let name = layout.cgroup();
    let name = name.trim_start_matches('/');
    let base = Path::new("/sys/fs/cgroup");
    let mut folders = vec![base.join(name)];
    folders.extend(std::fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path().join(name)));
    let mut seen = BTreeSet::new();
    folders.retain(|folder| folder.is_dir() && folder.canonicalize().is_ok_and(|real| seen.insert(real)));
    folders
}

fn members_of(group: &Path) -> Vec<Process> {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let mut members: Vec<Process> = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != own).filter_map(Process::of).collect();
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
        members.extend(members_of(&entry.path()));
    }
    members
}

fn clear_groups(layout: &Layout, swept: &mut Swept) {
    for folder in group_folders(layout) {
        match remove_group(&folder) {
            Ok(count) => swept.groups += count,
            Err(e) => swept.left.push(format!("{}: {e}", folder.display())),
        }
    }
}

fn remove_group(folder: &Path) -> std::io::Result<usize> {
    let mut count = 1;
    for entry in std::fs::read_dir(folder)?.flatten().filter(|e| e.path().is_dir()) {
        count += remove_group(&entry.path())?;
    }
    std::fs::remove_dir(folder)?;
    Ok(count)
}

fn remove_tree(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
