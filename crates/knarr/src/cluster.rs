//! A whole cluster in one process: its parts, their order, its ground and its end.

pub mod addons;
pub mod daemon;
pub mod identity;
pub mod kubeconfig;
pub mod parts;
pub mod ready;
pub mod shutdown;
pub mod teardown;

/// Threads for asynchronous work: the work is waiting, so few suffice, and each costs memory.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

/// glibc gives each thread an arena of its own that grows and never shrinks; two are enough.
pub fn keep_memory_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets one number of the allocator before any thread starts.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 * 1024);
    }
}
