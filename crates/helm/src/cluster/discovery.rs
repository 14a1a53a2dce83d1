//! Which kinds the cluster knows, by two requests of aggregated discovery; of servers without it, group by group.

use serde_json::Value;

use super::connect::{Cluster, Denied};

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A kind and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `v1` or `apps/v1`.
    pub group_version: String,
    pub kind: String,
    pub plural: String,
    pub namespaced: bool,
}

impl Resource {
    /// The path of the collection, in a namespace where the kind has them.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group_version.contains('/') { "/apis" } else { "/api" };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{}/namespaces/{namespace}/{}", self.group_version, self.plural),
            None => format!("{root}/{}/{}", self.group_version, self.plural),
        }
    }

    /// The group and the kind: `apps/v1, Kind=Deployment`, as Go prints it; the core group is empty.
    pub fn go_name(&self) -> String {
        let group_version = if self.group_version.contains('/') { self.group_version.clone() } else { format!("/{}", self.group_version) };
        format!("{group_version}, Kind={}", self.kind)
    }
}

#[derive(Debug, Default)]
pub struct Discovery {
    pub resources: Vec<Resource>,
    /// Groups' versions as the server names them, preferred ones first within a group.
    pub group_versions: Vec<String>,
}

impl Discovery {
    pub async fn read(cluster: &Cluster) -> Result<Discovery, Denied> {
        let (core, groups) = futures::try_join!(cluster.get_as("/api", ACCEPT), cluster.get_as("/apis", ACCEPT))?;
        let mut out = Discovery::default();
        for document in [&core, &groups] {
            if document["kind"] == "APIGroupDiscoveryList" {
                out.add_aggregated(document);
            }
        }
        if core["kind"] != "APIGroupDiscoveryList" {
            out.add_one_by_one(cluster, &core, &groups).await?;
        }
        Ok(out)
    }

    fn add_aggregated(&mut self, document: &Value) {
        for group in document["items"].as_array().into_iter().flatten() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().into_iter().flatten() {
                let version_name = version["version"].as_str().unwrap_or_default();
                let group_version = if name.is_empty() { version_name.to_string() } else { format!("{name}/{version_name}") };
                for resource in version["resources"].as_array().into_iter().flatten() {
                    let kind = resource["responseKind"]["kind"].as_str().unwrap_or_default();
                    if !kind.is_empty() {
                        self.resources.push(Resource {
                            group_version: group_version.clone(),
                            kind: kind.to_string(),
                            plural: resource["resource"].as_str().unwrap_or_default().to_string(),
                            namespaced: resource["scope"] == "Namespaced",
                        });
                    }
                }
                self.group_versions.push(group_version);
            }
        }
    }

    async fn add_one_by_one(&mut self, cluster: &Cluster, core: &Value, groups: &Value) -> Result<(), Denied> {
        let core = core["versions"].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_string));
        let others = groups["groups"].as_array().into_iter().flatten().flat_map(|g| g["versions"].as_array().into_iter().flatten());
        let names: Vec<String> = core.chain(others.filter_map(|v| v["groupVersion"].as_str().map(str::to_string))).collect();
        for name in names {
            let root = if name.contains('/') { "/apis" } else { "/api" };
            // A group whose server is away takes its kinds along, nothing else.
            if let Ok(list) = cluster.get(&format!("{root}/{name}")).await {
                for resource in list["resources"].as_array().into_iter().flatten() {
                    let plural = resource["name"].as_str().unwrap_or_default();
                    if !plural.contains('/') {
                        self.resources.push(Resource {
                            group_version: name.clone(),
                            kind: resource["kind"].as_str().unwrap_or_default().to_string(),
                            plural: plural.to_string(),
                            namespaced: resource["namespaced"] == true,
                        });
                    }
                }
            }
            self.group_versions.push(name);
        }
        Ok(())
    }

    pub fn find(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.kind == kind && r.group_version == api_version)
    }

    /// What templates see as `.Capabilities.APIVersions`: versions of groups, and each with its kinds.
    pub fn api_versions(&self) -> Vec<String> {
        let mut out = self.group_versions.clone();
        out.extend(self.resources.iter().map(|r| format!("{}/{}", r.group_version, r.kind)));
        out
    }
}
