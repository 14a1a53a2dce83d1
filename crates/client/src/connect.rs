//! Makes a client out of a kubeconfig file. Never looks at the environment: the caller names the file.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::Error;

/// A client for the current context of the kubeconfig at `path`.
pub async fn from_kubeconfig(path: impl AsRef<Path>) -> Result<kube::Client, Error> {
    let path = path.as_ref();
    let failed = |reason: String| Error::Kubeconfig { path: path.display().to_string(), reason };
    let file = Kubeconfig::read_from(path).map_err(|e| failed(e.to_string()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(|e| failed(e.to_string()))?;
    kube::Client::try_from(config).map_err(|e| failed(e.to_string()))
}
