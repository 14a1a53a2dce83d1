//! KMS plugins while the server runs: how they are, and when the key that they encrypt with is another.
//!
//! Keeps true: a new key of the plugin that encrypts brings a new data key; a plugin that is gone stops no request, for the data
//! key at hand stays in use, and it is heard of again when its socket comes back.
//!
//! Upstream: apiserver `pkg/server/options/encryptionconfig/config.go`, `pkg/storage/value/encrypt/envelope/kmsv2`.
// Differs: upstream refuses writes when a plugin has been gone for three minutes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use file_events::{ARRIVALS, Inotify};
use kms::{EncryptResponse, Plugin};
use parking_lot::Mutex;

use super::Chain;
use crate::server::Server;

/// Upstream: `kmsv2PluginHealthzPositiveInterval`, and that for what fails; ours begins sooner.
const GOOD: Duration = Duration::from_secs(60);
const BAD: Duration = Duration::from_secs(10);
const BAD_AT_FIRST: Duration = Duration::from_millis(100);
/// Upstream: `kmsPluginHealthzPositiveTTL`, `kmsPluginHealthzNegativeTTL`: so old may be what health tells.
const GOOD_HOLDS: Duration = Duration::from_secs(20);
const BAD_HOLDS: Duration = Duration::from_secs(3);

/// A plugin, and how it was when it was last asked.
pub struct Kms {
    pub name: String,
    pub plugin: Plugin,
    socket: PathBuf,
    /// The key that wrapped the data key in use.
    used: Mutex<Option<String>>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Kms {
    pub fn new(name: &str, socket: &Path, limit: Duration) -> Result<Self, String> {
        let plugin = Plugin::new(name, socket, limit).map_err(|e| e.to_string())?;
        Ok(Self { name: name.to_owned(), plugin, socket: socket.to_owned(), used: Mutex::default(), last: Mutex::default() })
    }

    /// Encrypts a data key.
    pub fn wrap(&self, key: &[u8]) -> Result<EncryptResponse, kms::Error> {
        self.plugin.status()?;
        let encrypted = self.plugin.encrypt(key)?;
        *self.used.lock() = Some(encrypted.key_id.clone());
        *self.last.lock() = Some((Instant::now(), Ok(())));
        Ok(encrypted)
    }

    /// Asks how it is: whether its key is another than the one in use.
    fn ask(&self) -> Result<bool, String> {
        let asked = self.plugin.status().map_err(|e| e.to_string());
        *self.last.lock() = Some((Instant::now(), asked.as_ref().map(|_| ()).map_err(Clone::clone)));
        let status = asked?;
        Ok(self.used.lock().as_ref().is_some_and(|used| *used != status.key_id))
    }

    fn is_stale(&self) -> bool {
        self.last.lock().as_ref().is_none_or(|(at, how)| at.elapsed() > if how.is_ok() { GOOD_HOLDS } else { BAD_HOLDS })
    }

    fn is_well(&self) -> bool {
        self.last.lock().as_ref().is_some_and(|(_, how)| how.is_ok())
    }
}

/// Asks all plugins, and has a data key made where a key changed; whether all are well. Blocks.
fn look(server: &Server, chain: &Chain) -> bool {
    let mut well = true;
    for kms in &chain.plugins {
        let is_writer = chain.writer.as_deref().and_then(|w| w.strip_prefix("kms/")) == Some(&kms.name);
        match kms.ask() {
            Ok(true) if is_writer => match server.store.renew_seal(server.encryption.options()) {
                Ok(()) => tracing::info!(plugin = kms.name, "a KMS plugin has another key: what is written from now on has a new data key"),
                Err(error) => {
                    well = false;
                    tracing::error!(plugin = kms.name, %error, "a KMS plugin has another key, but did not encrypt with it");
                }
            },
            Ok(_) => {}
            Err(why) => {
                well = false;
                tracing::warn!(plugin = kms.name, why, "a KMS plugin is not well");
            }
        }
    }
    well
}

async fn look_aside(server: &Arc<Server>, chain: Arc<Chain>) -> bool {
    let server = server.clone();
    tokio::task::spawn_blocking(move || look(&server, &chain)).await.unwrap_or(false)
}

/// Whether plugins are well, by the names of upstream's checks; asked anew where what is known is old.
pub async fn checks(server: &Arc<Server>) -> Vec<(String, bool)> {
    let chain = server.encryption.current.load().chain.clone();
    if chain.plugins.iter().any(Kms::is_stale) {
        look_aside(server, chain.clone()).await;
    }
    if server.config.encryption_reload {
        return vec![("kms-providers".into(), chain.plugins.iter().all(Kms::is_well))];
    }
    chain.plugins.iter().enumerate().map(|(i, kms)| (format!("kms-provider-{i}"), kms.is_well())).collect()
}

/// Follows the plugins until the server ends: a socket that comes is asked at once, the others now and then.
pub async fn follow(server: Arc<Server>) {
    let mut bad = BAD_AT_FIRST;
    loop {
        let chain = server.encryption.current.load().chain.clone();
        let watch = Inotify::new().ok().filter(|_| !chain.plugins.is_empty());
        if let Some(watch) = &watch {
            for folder in chain.plugins.iter().filter(|kms| kms.socket.is_absolute()).filter_map(|kms| kms.socket.parent()) {
                if let Err(error) = watch.add(folder, ARRIVALS) {
                    tracing::warn!(folder = %folder.display(), %error, "the folder of a KMS plugin's socket is not followed");
                }
            }
        }
        while !chain.plugins.is_empty() {
            let arrival = async {
                if let Some(watch) = &watch
                    && watch.changed().await.is_ok()
                {
                    return;
                }
                std::future::pending().await

            };
            let pause = if chain.plugins.iter().all(Kms::is_well) { GOOD } else { bad };
            tokio::select! {
                () = arrival => bad = BAD_AT_FIRST,
                () = tokio::time::sleep(pause) => bad = (bad * 2).min(BAD),
                () = server.encryption.changed.notified() => break,
                () = server.closing.cancelled() => return,
            }
            if look_aside(&server, chain.clone()).await {
                bad = BAD_AT_FIRST;
            }
        }
        if chain.plugins.is_empty() {
            tokio::select! {
                () = server.encryption.changed.notified() => {}
                () = server.closing.cancelled() => return,
            }
        }
    }
}
