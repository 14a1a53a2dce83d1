//! Configuration files that count while the server runs: the kernel tells that one changed, the next request follows.
//!
//! Keeps true: a file that cannot be used changes nothing; it is told, counted, and looked at again when it changes.
//!
//! Upstream: `pkg/kubeapiserver/options/authentication.go`, `pkg/kubeapiserver/authorizer/reload.go`, apiserver
//! `pkg/server/options/encryptionconfig/controller`, `pkg/server/dynamiccertificates`; each of them looks once a minute.

pub mod counts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use file_events::{FOLDER, Inotify};

use crate::config::{AuthorizationConfig, Config, ConfigFile};
use crate::server::Server;
use crate::bootstrap;

/// A configuration that could not be used for another's sake, such as a plugin's, is tried again after this long at first.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Authentication,
    Authorization,
    Encryption,
    ClientAuthority,
    FrontAuthority,
    Serving,
}

impl What {
    fn flag(self) -> &'static str {
        match self {
            Self::Authentication => "--authentication-config",
            Self::Authorization => "--authorization-config",
            Self::Encryption => "--encryption-provider-config",
            Self::ClientAuthority => "--client-ca-file",
            Self::FrontAuthority => "--requestheader-client-ca-file",
            Self::Serving => "--tls-cert-file",
        }
    }
}

/// A file, and what of it was last tried.
struct Followed {
    what: What,
    path: PathBuf,
    tried: String,
    /// When it is tried again without a change, and how long to wait then.
    again: Option<Duration>,
}

fn followed(config: &Config) -> Vec<Followed> {
    let access = &config.access;
    let authorization = if let AuthorizationConfig::File(file) = &access.authorization { Some(file) } else { None };
    let mut files: Vec<(What, &ConfigFile)> = Vec::new();
    files.extend(access.authentication.as_ref().map(|f| (What::Authentication, f)));
    files.extend(authorization.map(|f| (What::Authorization, f)));
    files.extend(config.encryption.as_ref().filter(|_| config.encryption_reload).map(|f| (What::Encryption, f)));
    files.extend(access.client_ca.as_ref().map(|f| (What::ClientAuthority, f)));
    files.extend(access.front_ca.as_ref().map(|f| (What::FrontAuthority, f)));
    files.extend(access.serving.files().map(|f| (What::Serving, f)));
    files.into_iter().map(|(what, file)| Followed { what, path: file.path.clone(), tried: file.text.clone(), again: None }).collect()
}

/// Follows all files until the server ends.
pub async fn run(server: Arc<Server>) {
    let mut files = followed(&server.config);
    if files.is_empty() {
        return;
    }
    for file in &files {
        server.metrics.reloads.in_use(file.what, &file.tried);
    }
    let watch = match Inotify::new() {
        Ok(watch) => watch,
        Err(error) => return tracing::error!(%error, "configuration files are read once: the kernel does not tell of changes"),
    };
    loop {
        // Before the look, so that no change falls between; a link may lead elsewhere now.
        for file in &files {
            observe(&watch, &file.path);
        }
        for file in &mut files {
            file.look(&server).await;
        }
        let pause = files.iter().filter_map(|f| f.again).min();
        let again = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = watch.changed() => if let Err(error) = changed {
                return tracing::error!(%error, "configuration files are no longer followed");
            },
            () = again => files.iter_mut().filter(|f| f.again.is_some()).for_each(|f| f.tried.clear()),
            () = server.closing.cancelled() => return,
        }
    }
}

/// Watches the folders of a file and of what it leads to: mounted configurations are links that are exchanged.
fn observe(watch: &Inotify, path: &Path) {
    let real = path.canonicalize().ok();
    for folder in [Some(path), real.as_deref()].into_iter().flatten().filter_map(Path::parent) {
        if let Err(error) = watch.add(folder, FOLDER) {
            tracing::warn!(folder = %folder.display(), %error, "a folder of a configuration file is not followed");
        }
    }
}

impl Followed {
    async fn look(&mut self, server: &Arc<Server>) {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) if text == self.tried => return,
            Ok(text) => text,
            Err(error) if self.tried.is_empty() => return tracing::debug!(%error, "still not readable"),
            Err(error) => {
                // Told once; whatever comes there is looked at.
                self.tried.clear();
                return self.failed(server, &error.to_string());
            }
        };
        self.tried.clone_from(&text);
        match apply(server, self.what, &text).await {
            Ok(()) => {
                self.again = None;
                server.metrics.reloads.succeeded(self.what, &text);
                tracing::info!(flag = self.what.flag(), file = %self.path.display(), "a changed configuration is in use");
            }
            Err(why) => {
                self.again = (self.what == What::Encryption).then(|| self.again.map_or(PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
                self.failed(server, &why);
            }
        }
    }

    fn failed(&self, server: &Server, why: &str) {
        server.metrics.reloads.failed(self.what);
        tracing::error!(flag = self.what.flag(), file = %self.path.display(), why, "a changed configuration cannot be used: the one before stays");
    }
}

async fn apply(server: &Arc<Server>, what: What, text: &str) -> Result<(), String> {
    match what {
        What::Authentication => server.authenticator.renew_providers(text, &server.config, &server.aggregator.services),
        What::Authorization => server.authorizer.renew(&server.aggregator.services, access::authorization::read(text)?),
        What::Encryption => {
            let (server, text) = (server.clone(), text.to_owned());
            // Plugins are asked, which blocks.
            tokio::task::spawn_blocking(move || server.encryption.renew(&server, &text)).await.map_err(|e| e.to_string())?
        }
        What::ClientAuthority | What::FrontAuthority => {
            server.renew_certificates()?;
            bootstrap::publish_authorities(server).await.map_err(|e| e.message)
        }
        What::Serving => server.renew_serving(),
    }
}
