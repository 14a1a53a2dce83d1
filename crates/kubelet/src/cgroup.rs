//! Control groups: one per pod, below one per class, below a root that can be chosen; version 1 and 2.
//!
//! Never touches a group that is not below its root. Keeps true: a pod's group is there before its sandbox and goes after it.
//! Upstream: pkg/kubelet/cm/{cgroup_manager_linux,pod_container_manager_linux,qos_container_manager_linux}.go (cgroupfs driver).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use pod_lifecycle::{QosClass, qos_class};

use crate::make::resources::{PodTotals, QUOTA_PERIOD, cpu_quota, cpu_shares, pod_totals};

const V2_CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"];

#[derive(Clone, Debug)]
enum Version {
    /// Mount points of the hierarchies that limits are written to.
    One(Vec<PathBuf>),
    Two(PathBuf),
}

#[derive(Clone, Debug)]
pub struct Cgroups {
    version: Version,
    root: String,
    pids_limit: i64,
}

impl Cgroups {
    pub fn find(root: &str, pids_limit: i64) -> Self {
        let base = Path::new("/sys/fs/cgroup");
        let version = if base.join("cgroup.controllers").exists() {
            Version::Two(base.to_path_buf())
        } else {
            let names = ["cpu", "cpuacct", "memory", "pids", "cpuset", "hugetlb", "blkio", "devices", "freezer", "systemd"];
            Version::One(names.iter().map(|n| base.join(n)).filter(|p| p.join("cgroup.procs").exists()).collect())
        };
        Self { version, root: root.trim_matches('/').to_owned(), pids_limit }
    }

    /// The path given to the runtime, from the root of each hierarchy.
    pub fn pod_path(&self, pod: &Pod) -> String {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let class = match qos_class(pod) {
            QosClass::Guaranteed => "",
            QosClass::Burstable => "/burstable",
            QosClass::BestEffort => "/besteffort",
        };
        let root = if self.root.is_empty() { String::new() } else { format!("/{}", self.root) };
        format!("{root}/kubepods{class}/pod{uid}")
    }

    /// Makes the pod's group with its limits. Idempotent.
    pub fn ensure_pod(&self, pod: &Pod) -> io::Result<()> {
        let path = self.pod_path(pod);
        let totals = pod_totals(pod);
        match &self.version {
            Version::One(hierarchies) => {
                for hierarchy in hierarchies {
                    make_below(hierarchy, &path)?;
                }
                self.limit_v1(&path, &totals)
            }
            Version::Two(base) => {
                let mut at = base.clone();
                for part in path.split('/').filter(|p| !p.is_empty()) {
                    let wanted: Vec<String> = controllers(&at).into_iter().filter(|c| V2_CONTROLLERS.contains(&c.as_str())).map(|c| format!("+{c}")).collect();
                    fs::write(at.join("cgroup.subtree_control"), wanted.join(" "))?;
                    at.push(part);
                    make(&at)?;
                }
                self.limit_v2(&at, &totals)
            }
        }
    }

    fn limit_v1(&self, path: &str, totals: &PodTotals) -> io::Result<()> {
        let put = |controller: &str, file: &str, value: String| {
            let target = Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/')).join(file);
            if target.exists() { fs::write(target, value) } else { Ok(()) }
        };
        put("cpu", "cpu.shares", cpu_shares(totals.cpu_request_milli).to_string())?;
        if let Some(milli) = totals.cpu_limit_milli.filter(|m| *m > 0) {
            put("cpu", "cpu.cfs_period_us", QUOTA_PERIOD.to_string())?;
            put("cpu", "cpu.cfs_quota_us", cpu_quota(milli).to_string())?;
        }
        if let Some(bytes) = totals.memory_limit.filter(|b| *b > 0) {
            put("memory", "memory.limit_in_bytes", bytes.to_string())?;
        }
        if self.pids_limit > 0 {
            put("pids", "pids.max", self.pids_limit.to_string())?;
        }
        Ok(())
    }

    fn limit_v2(&self, at: &Path, totals: &PodTotals) -> io::Result<()> {
        let put = |file: &str, value: String| if at.join(file).exists() { fs::write(at.join(file), value) } else { Ok(()) };
        let shares = cpu_shares(totals.cpu_request_milli);
        put("cpu.weight", (1 + ((shares - 2) * 9999) / 262_142).to_string())?;
        if let Some(milli) = totals.cpu_limit_milli.filter(|m| *m > 0) {
            put("cpu.max", format!("{} {QUOTA_PERIOD}", cpu_quota(milli)))?;
        }
        if let Some(bytes) = totals.memory_limit.filter(|b| *b > 0) {
            put("memory.max", bytes.to_string())?;
        }
        if self.pids_limit > 0 {
            put("pids.max", self.pids_limit.to_string())?;
        }
        Ok(())
    }

    /// Removes the group of a pod whose sandbox is gone.
    pub fn remove_pod(&self, pod: &Pod) {
        let path = self.pod_path(pod);
        for base in self.bases() {
            remove_tree(&base.join(path.trim_start_matches('/')), 0);
        }
    }

    fn bases(&self) -> Vec<PathBuf> {
        match &self.version {
            Version::One(hierarchies) => hierarchies.clone(),
            Version::Two(base) => vec![base.clone()],
        }
    }
}

fn controllers(at: &Path) -> Vec<String> {
    fs::read_to_string(at.join("cgroup.controllers")).map(|t| t.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn make_below(hierarchy: &Path, path: &str) -> io::Result<()> {
    let mut at = hierarchy.to_path_buf();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        let parent = at.clone();
        at.push(part);
        if at.is_dir() {
            continue;
        }
        make(&at)?;
        // A new cpuset group has no processor and takes no process until it is given some.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if at.join(file).exists() {
                let value = fs::read_to_string(parent.join(file))?;
                fs::write(at.join(file), value.trim())?;
            }
        }
    }
    Ok(())
}

fn remove_tree(path: &Path, depth: usize) {
    if depth > 8 {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path(), depth + 1);
        }
    }
    let _ = fs::remove_dir(path);
}
