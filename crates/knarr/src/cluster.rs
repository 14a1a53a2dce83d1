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

