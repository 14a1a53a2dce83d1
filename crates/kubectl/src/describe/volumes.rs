//! Volumes of pods, persistent volumes, claims, storage classes.

use serde_json::Value;

use super::{Described, Writer, events, head, join, labels, list, or_none, text};

pub fn of_pod(w: &mut Writer, volumes: &Value, space: &str) {
    if list(volumes).is_empty() {
        w.line(0, &format!("{space}Volumes:\t<none>"));
        return;
    }
    w.line(0, &format!("{space}Volumes:"));
    for volume in list(volumes) {
        w.line(1, &format!("{}{}:", if space.is_empty() { "" } else { " " }, text(&volume["name"])));
        source(w, volume);
    }
}

/// Sources that are a few fields: key, sentence, fields by title.
const PLAIN: [(&str, &str, &[(&str, &str)]); 5] = [
    ("configMap", "ConfigMap (a volume populated by a ConfigMap)", &[("Name", "name"), ("Optional", "optional?")]),
    ("secret", "Secret (a volume populated by a Secret)", &[("SecretName", "secretName"), ("Optional", "optional?")]),
    ("persistentVolumeClaim", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)", &[("ClaimName", "claimName"), ("ReadOnly", "readOnly?")]),
    ("nfs", "NFS (an NFS mount that lasts the lifetime of a pod)", &[("Server", "server"), ("Path", "path"), ("ReadOnly", "readOnly?")]),
    ("image", "Image (a container image or OCI artifact)", &[("Reference", "reference"), ("PullPolicy", "pullPolicy")]),
];

fn plain(w: &mut Writer, source: &Value, fields: &[(&str, &str)]) {
    for (title, key) in fields {
        match key.strip_suffix('?') {
            Some(key) => w.pair(2, title, source[key] == true),
            None => w.pair(2, title, text(&source[*key])),
        }
    }
}

fn source(w: &mut Writer, volume: &Value) {
    if let Some((key, sentence, fields)) = PLAIN.iter().find(|(key, ..)| volume[*key].is_object()) {
        w.pair(2, "Type", sentence);
        plain(w, &volume[*key], fields);
        return;
    }
    let get = |key: &str| Some(&volume[key]).filter(|v| v.is_object());
    if let Some(path) = get("hostPath") {
        w.pair(2, "Type", "HostPath (bare host directory volume)");
        w.pair(2, "Path", text(&path["path"]));
        w.pair(2, "HostPathType", path["type"].as_str().unwrap_or("<none>"));
    } else if let Some(dir) = get("emptyDir") {
        w.pair(2, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
        w.pair(2, "Medium", text(&dir["medium"]));
        w.pair(2, "SizeLimit", super::or_unset(&dir["sizeLimit"]));
    } else if let Some(projected) = get("projected") {
        w.pair(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
        for source in list(&projected["sources"]) {
            projection(w, source);
        }
    } else if let Some(downward) = get("downwardAPI") {
        w.pair(2, "Type", "DownwardAPI (a volume populated by information about the pod)");
        w.line(2, "Items:");
        for item in list(&downward["items"]) {
            let from = item["fieldRef"]["fieldPath"].as_str().or(item["resourceFieldRef"]["resource"].as_str()).unwrap_or_default();
            w.line(3, &format!("{from} -> {}", text(&item["path"])));
        }
    } else if let Some(csi) = get("csi") {
        w.pair(2, "Type", "CSI (a Container Storage Interface (CSI) volume source)");
        w.pair(2, "Driver", text(&csi["driver"]));
        w.pair(2, "FSType", text(&csi["fsType"]));
        w.pair(2, "ReadOnly", csi["readOnly"] == true);
        attributes(w, &csi["volumeAttributes"]);
    } else if let Some(ephemeral) = get("ephemeral") {
        w.pair(2, "Type", "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)");
        let claim = &ephemeral["volumeClaimTemplate"]["spec"];
        w.pair(2, "StorageClass", text(&claim["storageClassName"]));
        w.pair(2, "Volume", "");
        labels(w, "    Labels", &ephemeral["volumeClaimTemplate"]["metadata"]["labels"]);
        super::annotations(w, "    Annotations", &ephemeral["volumeClaimTemplate"]["metadata"]["annotations"]);
        w.pair(2, "Capacity", text(&claim["resources"]["requests"]["storage"]));
        w.pair(2, "Access Modes", modes(&claim["accessModes"]));
        w.pair(2, "VolumeMode", claim["volumeMode"].as_str().unwrap_or("Filesystem"));
    } else {
        w.line(1, "<unknown>");
    }
}

fn projection(w: &mut Writer, source: &Value) {
    let optional = |of: &Value| if of["optional"].is_null() { "<nil>".to_owned() } else { (of["optional"] == true).to_string() };
    if source["secret"].is_object() {
        w.pair(2, "SecretName", text(&source["secret"]["name"]));
        w.pair(2, "SecretOptionalName", optional(&source["secret"]));
    } else if source["downwardAPI"].is_object() {
        w.pair(2, "DownwardAPI", "true");
    } else if source["configMap"].is_object() {
        w.pair(2, "ConfigMapName", text(&source["configMap"]["name"]));
        w.pair(2, "Optional", if source["configMap"]["optional"].is_null() { "false".to_owned() } else { optional(&source["configMap"]) });
    } else if source["serviceAccountToken"].is_object() {
        w.pair(2, "TokenExpirationSeconds", source["serviceAccountToken"]["expirationSeconds"].as_i64().unwrap_or(3600));
    }
}

fn attributes(w: &mut Writer, attributes: &Value) {
    super::labels_indented(w, "    ", "VolumeAttributes", "\t", attributes, &[]);
}

/// `RWO,ROX`
fn modes(modes: &Value) -> String {
    let short = |m: &Value| match m.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    let all: Vec<&str> = list(modes).iter().map(short).collect();
    ["RWO", "ROX", "RWX", "RWOP"].into_iter().filter(|m| all.contains(m)).collect::<Vec<_>>().join(",")
}

pub fn persistent_volume(w: &mut Writer, of: &Described) {
    let (object, spec) = (of.object, &of.object["spec"]);
    head(w, object);
    w.pair(0, "Finalizers", format!("[{}]", join(&object["metadata"]["finalizers"], " ")));
    w.pair(0, "StorageClass", text(&spec["storageClassName"]));
    let terminating = object["metadata"]["deletionTimestamp"].as_str();
    match terminating {
        Some(since) => w.pair(0, "Status", format!("Terminating (lasts {})", crate::time::since(Some(since)))),
        None => w.pair(0, "Status", text(&object["status"]["phase"])),
    }
    let claim = &spec["claimRef"];
    w.pair(0, "Claim", if claim.is_object() { format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])) } else { String::new() });
    w.pair(0, "Reclaim Policy", text(&spec["persistentVolumeReclaimPolicy"]));
    w.pair(0, "Access Modes", modes(&spec["accessModes"]));
    if let Some(mode) = spec["volumeMode"].as_str() {
        w.pair(0, "VolumeMode", mode);
    }
    w.pair(0, "Capacity", text(&spec["capacity"]["storage"]));
    let affinity = &spec["nodeAffinity"];
    if !affinity.is_object() {
        w.pair(0, "Node Affinity", "<none>");
    } else {
        w.line(0, "Node Affinity:");
        w.line(1, "Required Terms:");
        for (i, term) in list(&affinity["required"]["nodeSelectorTerms"]).iter().enumerate() {
            let shown: Vec<String> = list(&term["matchExpressions"]).iter().map(|e| format!("{} {} [{}]", text(&e["key"]), text(&e["operator"]).to_lowercase(), join(&e["values"], ", "))).collect();
            w.pair(2, &format!("Term {i}"), or_none(&shown.join("\n                   ")));
        }
    }
    w.pair(0, "Message", text(&object["status"]["message"]));
    w.line(0, "Source:");
    let mut shown = Writer::default();
    source(&mut shown, spec);
    if spec["local"].is_object() {
        shown = Writer::default();
        shown.pair(2, "Type", "LocalVolume (a persistent volume backed by local storage on a node)");
        shown.pair(2, "Path", text(&spec["local"]["path"]));
    }
    w.text.push_str(&shown.text);
    events(w, of);
}

pub fn claim(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Namespace", api::meta::namespace(object));
    w.pair(0, "StorageClass", text(&spec["storageClassName"]));
    match object["metadata"]["deletionTimestamp"].as_str() {
        Some(since) => w.pair(0, "Status", format!("Terminating (lasts {})", crate::time::since(Some(since)))),
        None => w.pair(0, "Status", text(&status["phase"])),
    }
    w.pair(0, "Volume", text(&spec["volumeName"]));
    labels(w, "Labels", &object["metadata"]["labels"]);
    super::annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.pair(0, "Finalizers", format!("[{}]", join(&object["metadata"]["finalizers"], " ")));
    let bound = !text(&spec["volumeName"]).is_empty();
    w.pair(0, "Capacity", if bound { text(&status["capacity"]["storage"]) } else { String::new() });
    w.pair(0, "Access Modes", if bound { modes(&status["accessModes"]) } else { String::new() });
    if let Some(mode) = spec["volumeMode"].as_str() {
        w.pair(0, "VolumeMode", mode);
    }
    if spec["dataSource"].is_object() {
        w.line(0, "DataSource:");
        w.pair(1, "APIGroup", text(&spec["dataSource"]["apiGroup"]));
        w.pair(1, "Kind", text(&spec["dataSource"]["kind"]));
        w.pair(1, "Name", text(&spec["dataSource"]["name"]));
    }
    let name = api::meta::name(object);
    let users: Vec<String> = of.related.get("pods").map(list).unwrap_or_default().iter().filter(|p| list(&p["spec"]["volumes"]).iter().any(|v| v["persistentVolumeClaim"]["claimName"] == name)).map(|p| api::meta::name(p).to_owned()).collect();
    if users.is_empty() {
        w.pair(0, "Used By", "<none>");
    }
    for (i, user) in users.iter().enumerate() {
        w.line(0, &format!("{}\t{user}", if i == 0 { "Used By:" } else { "" }));
    }
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage");
        w.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
        for c in conditions {
            w.line(1, &format!("{} \t{} \t{} \t{} \t{} \t{}", text(&c["type"]), text(&c["status"]), crate::time::rfc1123(&text(&c["lastProbeTime"])), crate::time::rfc1123(&text(&c["lastTransitionTime"])), text(&c["reason"]), text(&c["message"])));
        }
    }
    events(w, of);
}

pub fn storage_class(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    let default = api::meta::annotation(object, "storageclass.kubernetes.io/is-default-class") == Some("true");
    w.pair(0, "IsDefaultClass", if default { "Yes" } else { "No" });
    let pairs = |map: &Value| or_none(&map.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(",")).to_owned();
    w.pair(0, "Annotations", pairs(&object["metadata"]["annotations"]));
    w.pair(0, "Provisioner", text(&object["provisioner"]));
    w.pair(0, "Parameters", pairs(&object["parameters"]));
    w.pair(0, "AllowVolumeExpansion", super::or_unset(&object["allowVolumeExpansion"]).replace("true", "True").replace("false", "False"));
    let options = list(&object["mountOptions"]);
    if options.is_empty() {
        w.pair(0, "MountOptions", "<none>");
    } else {
        w.line(0, "MountOptions:");
        for option in options {
            w.line(1, &text(option));
        }
    }
    w.pair(0, "ReclaimPolicy", text(&object["reclaimPolicy"]));
    w.pair(0, "VolumeBindingMode", text(&object["volumeBindingMode"]));
    let topologies = list(&object["allowedTopologies"]);
    if !topologies.is_empty() {
        w.line(0, "AllowedTopologies:");
        for (i, term) in topologies.iter().enumerate() {
            let shown: Vec<String> = list(&term["matchLabelExpressions"]).iter().map(|e| format!("{} in [{}]", text(&e["key"]), join(&e["values"], ", "))).collect();
            w.pair(1, &format!("Term {i}"), shown.join(" "));
        }
    }
    events(w, of);
}

pub fn csi_node(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    super::annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.pair(0, "CreationTimestamp", crate::time::rfc1123(&text(&object["metadata"]["creationTimestamp"])));
    w.line(0, "Spec:");
    let drivers = list(&object["spec"]["drivers"]);
    if !drivers.is_empty() {
        w.line(1, "Drivers:");
        for driver in drivers {
            w.line(2, &format!("{}:", text(&driver["name"])));
            w.pair(3, "Node ID", text(&driver["nodeID"]));
            if let Some(count) = driver["allocatable"]["count"].as_i64() {
                w.line(3, "Allocatables:");
                w.pair(4, "Count", count);
            }
            if !list(&driver["topologyKeys"]).is_empty() {
                w.pair(3, "Topology Keys", format!("[{}]", join(&driver["topologyKeys"], " ")));
            }
        }
    }
    events(w, of);
}
