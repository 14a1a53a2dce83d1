//! What a server serves: asked once, before caches are started against a server of another build.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;

use crate::Error;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// The resources of a server, by version.
#[derive(Clone, Debug, Default)]
pub struct Served(HashSet<(String, String)>);

impl Served {
    /// Asks until the server answers.
    pub async fn wait(client: &kube::Client) -> Self {
        let mut pause = FIRST;
        loop {
            match Self::ask(client).await {
                Ok(served) => return served,
                Err(error) => tracing::warn!(%error, retry_ms = pause.as_millis() as u64, "the server does not say what it serves"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Asks the plain discovery, which every server has. A group that cannot be asked just now counts as served.
    async fn ask(client: &kube::Client) -> Result<Self, Error> {
        let groups = client.list_api_groups().await?;
        let versions: Vec<String> = groups.groups.into_iter().flat_map(|g| g.versions).map(|v| v.group_version).collect();
        let core = async { ("v1".to_owned(), client.list_core_api_resources("v1").await) };
        let others = join_all(versions.into_iter().map(|version| async {
            let found = client.list_api_group_resources(&version).await;
            (version, found)
        }));
        let (core, others) = futures::join!(core, others);
        let mut served = HashSet::new();
        for (version, found) in others.into_iter().chain([core]) {
            match found {
                Ok(list) => served.extend(list.resources.into_iter().map(|r| (version.clone(), r.name))),
                Err(_) => drop(served.insert((version, "*".to_owned()))),
            }
        }
        Ok(Self(served))
    }

    pub fn has<K: kube::Resource<DynamicType = ()>>(&self) -> bool {
        let version = K::api_version(&()).into_owned();
        self.0.contains(&(version.clone(), K::plural(&()).into_owned())) || self.0.contains(&(version, "*".to_owned()))
    }
}
