//! What the machine has: processors, memory, disk, names. Read once from /proc, /sys and /etc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use quantity::{Format, Quantity};

#[derive(Clone, Debug, Default)]
pub struct Machine {
    pub cpus: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
    pub hugepages: BTreeMap<String, i64>,
    pub machine_id: String,
    pub system_uuid: String,
    pub boot_id: String,
    pub kernel: String,
    pub os_image: String,
}

impl Machine {
    pub fn read(root_dir: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
        let os_release = text("/etc/os-release");
        let pretty = os_release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).map(|v| v.trim_matches('"').to_owned());
        let machine_id = text("/etc/machine-id");
        let uuid = text("/sys/class/dmi/id/product_uuid");
        let disk = nix::sys::statvfs::statvfs(root_dir).map(|s| i64::try_from(s.blocks() as u128 * s.fragment_size() as u128).unwrap_or(i64::MAX));
        Self {
            cpus: std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(1)),
            memory_bytes: meminfo("MemTotal").unwrap_or(0),
            disk_bytes: disk.unwrap_or(0),
            hugepages: hugepages(),
            system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
            machine_id,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: pretty.unwrap_or_else(|| "Linux".into()),
        }
    }

    pub fn capacity(&self, max_pods: u32) -> BTreeMap<String, String> {
        let mut all = self.hugepage_quantities();
        all.insert("cpu".into(), self.cpus.to_string());
        all.insert("memory".into(), kibi(self.memory_bytes));
        all.insert("ephemeral-storage".into(), kibi(self.disk_bytes));
        all.insert("pods".into(), max_pods.to_string());
        all
    }

    /// Upstream's defaults: hard eviction thresholds of 100 MiB of memory and a tenth of the disk are kept back.
    pub fn allocatable(&self, max_pods: u32) -> BTreeMap<String, String> {
        let mut all = self.capacity(max_pods);
        all.insert("memory".into(), kibi((self.memory_bytes - (100 << 20)).max(0)));
        all.insert("ephemeral-storage".into(), (self.disk_bytes / 10 * 9).to_string());
        all
    }

    fn hugepage_quantities(&self) -> BTreeMap<String, String> {
        self.hugepages.iter().map(|(name, bytes)| (name.clone(), Quantity::from_value(*bytes, Format::BinarySi).to_string())).collect()
    }
}

fn kibi(bytes: i64) -> String {
    format!("{}Ki", bytes / 1024)
}

/// A line of /proc/meminfo in bytes.
pub fn meminfo(name: &str) -> Option<i64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<i64>().ok().map(|k| k * 1024)
}

fn hugepages() -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(kib) = name.strip_prefix("hugepages-").and_then(|n| n.strip_suffix("kB")).and_then(|n| n.parse::<i64>().ok()) else { continue };
        let count = fs::read_to_string(entry.path().join("nr_hugepages")).ok().and_then(|t| t.trim().parse::<i64>().ok()).unwrap_or(0);
        let size = if kib >= 1 << 20 { format!("{}Gi", kib >> 20) } else { format!("{}Mi", kib >> 10) };
        found.insert(format!("hugepages-{size}"), count * kib * 1024);
    }
    found
}
