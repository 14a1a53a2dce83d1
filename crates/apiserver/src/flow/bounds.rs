//! Two plain bounds of what is in flight, where priority and fairness are off.
// Upstream: apiserver pkg/server/filters/maxinflight.go

use std::sync::Arc;

use api::request::Info;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Inflight;
use crate::user::User;

/// Of requests that change nothing, and of those that do; none where nothing is bounded.
pub struct Bounds {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
}

impl Bounds {
    pub fn new(inflight: Inflight) -> Self {
        let of = |count: u32| (count > 0).then(|| Arc::new(Semaphore::new(count as usize)));
        Self { reads: of(inflight.reads), writes: of(inflight.writes) }
    }

    /// The place of a request, or none at all; nobody refuses an administrator.
    pub fn enter(&self, user: &User, info: &Info) -> Option<Option<OwnedSemaphorePermit>> {
        // Upstream: watches are long, and long requests are not counted.
        if info.verb == "watch" {
            return Some(None);
        }
        let bound = if matches!(info.verb, "get" | "list") { &self.reads } else { &self.writes };
        let Some(bound) = bound else { return Some(None) };
        match bound.clone().try_acquire_owned() {
            Ok(place) => Some(Some(place)),
            Err(_) => user.is_in("system:masters").then_some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::query::Query;
    use http::Method;

    #[test]
    fn reads_and_writes_are_bounded_apart() {
        let bounds = Bounds::new(Inflight { reads: 1, writes: 0, fair: false });
        let of = |method: Method| Info::parse(&method, "/api/v1/namespaces/a/pods/x", &Query::parse(""));
        let eva = User::new("eva", &[]);
        let place = bounds.enter(&eva, &of(Method::GET));
        assert!(matches!(place, Some(Some(_))) && bounds.enter(&eva, &of(Method::GET)).is_none());
        assert!(matches!(bounds.enter(&User::new("root", &["system:masters"]), &of(Method::GET)), Some(None)));
        assert!(matches!(bounds.enter(&eva, &of(Method::PUT)), Some(None)), "0 is no bound");
        drop(place);
        assert!(matches!(bounds.enter(&eva, &of(Method::GET)), Some(Some(_))));
    }
}
