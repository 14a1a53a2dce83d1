//! Releases in the cluster: records in Secrets or ConfigMaps of the release's namespace.
// Upstream: helm pkg/storage/storage.go, driver/secrets.go, driver/cfgmaps.go.

use charts::record::{Driver, object, object_name, release_of};
use charts::{Release, Status};
use http::Method;
use serde_json::Value;

use crate::cluster::{Cluster, Denied};
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;

pub const NOT_FOUND: &str = "release: not found";

/// A release and the object that holds it.
#[derive(Debug, Clone)]
pub struct Record {
    pub release: Release,
    pub object: Value,
}

pub struct Storage<'a> {
    cluster: &'a Cluster,
    driver: Driver,
    /// Nothing is all namespaces.
    namespace: Option<String>,
}

/// The driver that the user chose.
pub fn driver(settings: &Settings) -> Outcome<Driver> {
    match settings.driver.as_str() {
        "" | "secret" | "secrets" => Ok(Driver::Secret),
        "configmap" | "configmaps" => Ok(Driver::ConfigMap),
        "memory" => Err(Failure::new("HELM_DRIVER=memory keeps nothing between commands and is not served; use secret or configmap")),
        "sql" => Err(Failure::new("HELM_DRIVER=sql is not served: releases are kept in the cluster itself; use secret or configmap")),
        other => Err(Failure::new(format!("unknown driver {other:?}"))),
    }
}

impl<'a> Storage<'a> {
    pub fn new(cluster: &'a Cluster, settings: &Settings, namespace: &str) -> Outcome<Storage<'a>> {
        Ok(Storage { cluster, driver: driver(settings)?, namespace: (!namespace.is_empty()).then(|| namespace.to_string()) })
    }

    fn collection(&self) -> String {
        let plural = if self.driver == Driver::Secret { "secrets" } else { "configmaps" };
        match &self.namespace {
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/{plural}"),
            None => format!("/api/v1/{plural}"),
        }
    }

    fn path(&self, name: &str, revision: u64) -> String {
        format!("{}/{}", self.collection(), object_name(name, revision))
    }

    /// The records that a selector of labels finds; broken ones are left out.
    pub async fn list(&self, selector: &str) -> Outcome<Vec<Record>> {
        let fault = |e: Denied| Failure::new(format!("list: failed to list: {}", e.message));
        let mut out = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("{}?labelSelector={}&limit=500{next}", self.collection(), escape(selector));
            let page = self.cluster.get(&path).await.map_err(fault)?;
            for mut item in page["items"].as_array().into_iter().flatten().cloned() {
                // Items of lists do not name their kind.
                item["kind"] = Value::String(if self.driver == Driver::Secret { "Secret" } else { "ConfigMap" }.into());
                if let Ok(mut release) = release_of(&item) {
                    release.namespace = item["metadata"]["namespace"].as_str().unwrap_or_default().to_string();
                    out.push(Record { release, object: item });
                }
            }
            match page["metadata"]["continue"].as_str().filter(|c| !c.is_empty()) {
                Some(token) => next = format!("&continue={}", escape(token)),
                None => return Ok(out),
            }
        }
    }

    /// All revisions of a release, the oldest first.
    pub async fn history(&self, name: &str) -> Outcome<Vec<Record>> {
        let mut out = self.list(&format!("name={name},owner=helm")).await?;
        if out.is_empty() {
            return Err(Failure::new(NOT_FOUND));
        }
        out.sort_by_key(|r| r.release.revision);
        Ok(out)
    }

    pub async fn last(&self, name: &str) -> Outcome<Record> {
        self.history(name).await?.pop().ok_or_else(|| Failure::new(NOT_FOUND))
    }

    /// A revision; zero is the last one.
    pub async fn get(&self, name: &str, revision: u64) -> Outcome<Record> {
        if revision == 0 {
            return self.last(name).await;
        }
        match self.cluster.get(&self.path(name, revision)).await {
            Ok(object) => Ok(Record { release: release_of(&object)?, object }),
            Err(e) if e.is_not_found() => Err(Failure::new(NOT_FOUND)),
            Err(e) => Err(Failure::new(format!("get: failed to get {:?}: {}", object_name(name, revision), e.message))),
        }
    }

    /// Keeps a new revision; that it is new is the lock among those who would make it.
    pub async fn create(&self, release: &Release, annotations: &[(&str, String)]) -> Outcome {
        let mut object = object(self.driver, release, ("createdAt", jiff::Timestamp::now().as_second()));
        for (key, value) in annotations {
            object["metadata"]["annotations"][*key] = Value::String(value.clone());
        }
        match self.cluster.send(Method::POST, &self.collection(), "application/json", Some(&object)).await {
            Ok(_) => Ok(()),
            Err(e) if e.already_exists() => Err(Failure::new("release: already exists")),
            Err(e) => Err(Failure::new(format!("create: failed to create: {}", e.message))),
        }
    }

    /// Writes a revision that is kept already. A lease on it ends.
    pub async fn update(&self, release: &Release) -> Outcome {
        let object = object(self.driver, release, ("modifiedAt", jiff::Timestamp::now().as_second()));
        let path = self.path(&release.name, release.revision);
        let sent = self.cluster.send(Method::PUT, &path, "application/json", Some(&object)).await;
        sent.map(|_| ()).map_err(|e| Failure::new(format!("update: failed to update: {}", e.message)))
    }

    /// Sets annotations of a record, nothing else.
    pub async fn annotate(&self, name: &str, revision: u64, annotations: &Value) -> Result<(), Denied> {
        let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
        self.cluster.send(Method::PATCH, &self.path(name, revision), "application/merge-patch+json", Some(&patch)).await.map(|_| ())
    }

    pub async fn delete(&self, name: &str, revision: u64) -> Outcome {
        match self.cluster.send(Method::DELETE, &self.path(name, revision), "", None).await {
            Ok(_) => Ok(()),
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Ends the oldest revisions until at most `keep` are left with the one to come; what is deployed stays.
    // Upstream: helm pkg/storage/storage.go removeLeastRecent.
    pub async fn trim(&self, name: &str, keep: u64) -> Outcome {
        if keep == 0 {
            return Ok(());
        }
        let Ok(history) = self.history(name).await else { return Ok(()) };
        let surplus = (history.len() as u64 + 1).saturating_sub(keep) as usize;
        let last_deployed = history.iter().rev().find(|r| r.release.info.status == Status::Deployed).map(|r| r.release.revision);
        let old = history.iter().filter(|r| Some(r.release.revision) != last_deployed).take(surplus);
        for record in old {
            self.delete(name, record.release.revision).await?;
        }
        Ok(())
    }
}

/// A text as part of a query.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
