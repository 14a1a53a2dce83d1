//! What the scheduler is told from outside, and what ends it.

/// Settings; `Config::default()` is upstream's default profile.
#[derive(Clone, Debug)]
pub struct Config {
    /// Pods that name another scheduler are left alone.
    pub scheduler_name: String,
    /// Run only while holding the lease `kube-scheduler` under this identity; empty: always run.
    pub leader_identity: String,
    /// Bindings under way at once.
    pub binds_at_once: usize,
    /// Paged lists in place of streaming ones, for API servers before 1.32.
    pub paged_lists: bool,
    /// Ask the server first what it has; kinds that it lacks count as empty. Off where both are one build.
    pub any_server: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { scheduler_name: "default-scheduler".into(), leader_identity: String::new(), binds_at_once: 128, paged_lists: false, any_server: false }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caches did not fill, or the API could not be asked.
    #[error(transparent)]
    Client(#[from] client::Error),
}
