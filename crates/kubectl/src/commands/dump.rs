//! `kubectl cluster-info dump`: objects and logs of the cluster, to standard output or into a folder.
// Upstream: kubectl pkg/cmd/clusterinfo/clusterinfo_dump.go.

use std::path::PathBuf;

use serde_json::Value;

use crate::call::{Call, out};
use crate::client::{JSON, request};
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, path_error};
use crate::flags::{Flag, duration, slice, text, yes_no};
use crate::{print, run};

const FLAGS: &[Flag] = &[
    text("output-directory", "", "A folder to write into instead of standard output; - is standard output."),
    slice("namespaces", "The namespaces to look into; kube-system and the current one unless said."),
    yes_no("all-namespaces", "Look into every namespace.").short('A'),
    duration("pod-running-timeout", "20s", "How long to wait for a pod's logs."),
    text("output", "json", "json or yaml.").short('o'),
];

pub const COMMAND: Command = Command {
    name: "dump",
    about: "Collect what one needs to look for a fault: nodes, and of each namespace events, workloads, services, pods and their logs.",
    examples: "# To standard output\nkubectl cluster-info dump\n\n# Into a folder\nkubectl cluster-info dump --output-directory=/path/to/cluster-state",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

/// Each: where it is asked for, the file it goes to.
const OBJECTS: [(&str, &str); 7] = [
    ("/api/v1/namespaces/{}/events", "events"),
    ("/api/v1/namespaces/{}/replicationcontrollers", "replication-controllers"),
    ("/api/v1/namespaces/{}/services", "services"),
    ("/apis/apps/v1/namespaces/{}/daemonsets", "daemonsets"),
    ("/apis/apps/v1/namespaces/{}/deployments", "deployments"),
    ("/apis/apps/v1/namespaces/{}/replicasets", "replicasets"),
    ("/api/v1/namespaces/{}/pods", "pods"),
];

struct Target {
    folder: Option<PathBuf>,
    yaml: bool,
}

impl Target {
    fn write(&self, name: &str, text: &str) -> Outcome {
        let Some(folder) = &self.folder else {
            out(text);
            return Ok(());
        };
        let file = folder.join(name);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
            std::fs::write(&file, text)
        };
        write().map_err(|e| Failure::Text(path_error("open", &file.display().to_string(), &e)))
    }

    fn object(&self, name: &str, object: &Value) -> Outcome {
        let bare = print::without_managed_fields(object);
        let object = bare.as_ref().unwrap_or(object);
        if self.yaml { self.write(&format!("{name}.yaml"), &print::yaml(&print::typed(object))) } else { self.write(&format!("{name}.json"), &(print::pretty_typed(object) + "\n")) }
    }
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    let folder = Some(flags.text("output-directory")).filter(|f| !f.is_empty() && *f != "-").map(PathBuf::from);
    let target = Target { folder, yaml: flags.text("output") == "yaml" };
    let api = call.api().await?;
    target.object("nodes", &api.get("/api/v1/nodes").await?)?;
    let mut namespaces = flags.list("namespaces");
    if flags.yes("all-namespaces") {
        namespaces = api.get("/api/v1/namespaces").await?["items"].as_array().into_iter().flatten().map(|n| api::meta::name(n).to_owned()).collect();
    } else if namespaces.is_empty() {
        namespaces = vec!["kube-system".into(), call.namespace()?.name];
        namespaces.dedup();
    }
    for namespace in &namespaces {
        let mut pods = Value::Null;
        for (path, name) in OBJECTS {
            let list = api.get(&path.replace("{}", namespace)).await?;
            target.object(&format!("{namespace}/{name}"), &list)?;
            pods = list;
        }
        for pod in pods["items"].as_array().into_iter().flatten() {
            let name = api::meta::name(pod);
            let mut text = String::new();
            for list in ["initContainers", "containers"] {
                for container in pod["spec"][list].as_array().into_iter().flatten() {
                    let container = container["name"].as_str().unwrap_or_default();
                    text.push_str(&format!("==== START logs for container {container} of pod {namespace}/{name} ====\n"));
                    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/log?container={container}");
                    match api.bytes(request(http::Method::GET, &path, JSON, None)).await {
                        Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                        Err(e) => text.push_str(&format!("Request log error: {}\n", e.message())),
                    }
                    text.push_str(&format!("==== END logs for container {container} of pod {namespace}/{name} ====\n"));
                }
            }
            target.write(&format!("{namespace}/{name}/logs.txt"), &text)?;
        }
    }
    if let Some(folder) = &target.folder {
        crate::say!("Cluster info dumped to {}", folder.display());
    }
    Ok(())
}
