//! What registered servers publish as OpenAPI v2, for this server's own document.
//!
//! Each is asked after it was found available, apart from everything else: one that is slow, that sends too much or no
//! document at all costs itself its part alone. The last good answer counts as long as the registration is there.
// Upstream: kube-aggregator pkg/controllers/openapi/aggregator/{aggregator.go,downloader.go}

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use schema::openapi::Part;
use sha2::{Digest, Sha256};
use store::Store;
use tokio::sync::Semaphore;

use super::Aggregator;
use super::availability::Question;
use super::registrations::Remote;
use crate::server::Server;
use crate::user::User;

/// So long a download may take. Upstream: a minute.
const PATIENCE: Duration = Duration::from_secs(30);
/// Differs: upstream reads a document of any length.
const MAX_DOCUMENT: usize = 8 << 20;
/// Of one server, and of all together.
const MAX_PART: usize = 2 << 20;
const MAX_PARTS: usize = 8 << 20;
/// Documents in memory at once.
const DOWNLOADS: usize = 4;

/// What is kept of the documents.
pub struct Published {
    kept: Mutex<HashMap<String, Kept>>,
    room: Semaphore,
}

impl Default for Published {
    fn default() -> Self {
        Self { kept: Mutex::default(), room: Semaphore::new(DOWNLOADS) }
    }
}

/// Of one server, by the registration's name.
#[derive(Default, Clone)]
struct Kept {
    is_asked: bool,
    tag: Option<HeaderValue>,
    digest: Option<[u8; 32]>,
    part: Option<Arc<Part>>,
}

impl Published {
    /// Forgets registrations that went.
    pub fn retain(&self, names: impl Fn(&str) -> bool) {
        self.kept.lock().retain(|name, kept| kept.is_asked || names(name));
    }

    /// What is known already; none while somebody asks.
    fn begin(&self, name: &str) -> Option<Kept> {
        let mut all = self.kept.lock();
        let kept = all.entry(name.to_owned()).or_default();
        let before = kept.clone();
        kept.is_asked = true;
        (!before.is_asked).then_some(before)
    }

    fn ends(&self, name: &str, answer: Option<Kept>) {
        if let Some(kept) = self.kept.lock().get_mut(name) {
            *kept = Kept { is_asked: false, ..answer.unwrap_or_else(|| kept.clone()) };
        }
    }
}

impl Aggregator {
    /// What a server publishes that has the second version alone.
    pub fn legacy_part(&self, remote: &Remote) -> Option<Arc<Part>> {
        let part = self.published.kept.lock().get(&remote.name)?.part.clone()?;
        self.found(&remote.name).is_some_and(|found| found.openapi.is_none()).then_some(part)
    }

    /// What registered servers publish, those of the highest priority first, as much as there is room for.
    pub fn parts(&self, store: &Store) -> Vec<Arc<Part>> {
        let registered = self.remotes(store);
        if registered.remotes.is_empty() {
            return Vec::new();
        }
        let mut remotes: Vec<&Arc<Remote>> = registered.remotes.iter().collect();
        // Upstream: `sortByPriority`.
        remotes.sort_by(|a, b| (Reverse(a.priority.0), &a.group, Reverse(a.priority.1), &a.name).cmp(&(Reverse(b.priority.0), &b.group, Reverse(b.priority.1), &b.name)));
        let kept = self.published.kept.lock();
        let mut room = MAX_PARTS;
        let mut fits = |part: &Arc<Part>| room.checked_sub(part.size()).is_some_and(|left| { room = left; true });
        remotes.iter().filter_map(|r| kept.get(&r.name)?.part.clone()).filter(|part| fits(part)).collect()
    }
}

/// Asks a registered server for its document, unless it is being asked.
pub async fn renew(server: Arc<Server>, remote: Arc<Remote>) {
    let published = &server.aggregator.published;
    let Some(before) = published.begin(&remote.name) else { return };
    let answer = tokio::select! {
        answer = download(&server.aggregator, &remote, &before) => answer,
        () = server.closing.cancelled() => Ok(None),
    };
    if let Err(why) = &answer {
        tracing::warn!(registration = remote.name, why, "the server's OpenAPI v2 document could not be read");
    }
    published.ends(&remote.name, answer.unwrap_or_default());
}

/// None where what is known still counts.
async fn download(aggregator: &Aggregator, remote: &Remote, before: &Kept) -> Result<Option<Kept>, String> {
    let Ok(_room) = aggregator.published.room.acquire().await else { return Ok(None) };
    let endpoint = aggregator.services.resolve(&remote.service).map_err(|e| e.message)?;
    let user = User { name: "system:aggregator".into(), ..User::default() };
    let question = Question { path: "/openapi/v2", user: &user, settings: aggregator.front.settings(remote)?, held: before.tag.as_ref(), patience: PATIENCE, most: MAX_DOCUMENT };
    let (head, body) = aggregator.ask(remote, &endpoint, question).await?;
    match head.status {
        StatusCode::NOT_MODIFIED if before.tag.is_some() => return Ok(None),
        // Upstream: who publishes none is passed over.
        StatusCode::NOT_FOUND => return Ok(Some(Kept::default())),
        StatusCode::OK => {}
        other => return Err(format!("failed to retrieve openAPI spec, http error: {}", other.as_u16())),
    }
    let digest = Sha256::digest(&body).into();
    let tag = head.headers.get(header::ETAG).cloned();
    if before.digest == Some(digest) {
        return Ok(Some(Kept { tag, ..before.clone() }));
    }
    let prefix = format!("/apis/{}/{}/", remote.group, remote.version);
    let read = tokio::task::spawn_blocking(move || Part::of(&body, &prefix, MAX_PART)).await;
    let part = read.map_err(|e| e.to_string())??;
    Ok(Some(Kept { tag, digest: Some(digest), part: Some(Arc::new(part)), is_asked: false }))
}
