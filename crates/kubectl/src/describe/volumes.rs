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
        source(w, volume, false);
    }
}

/// How a field is shown.
#[derive(Clone, Copy)]
enum Field {
    Text(&'static str),
    Int(&'static str),
    Bool(&'static str),
    /// `[a b]`
    List(&'static str),
    Secret,
    /// `a, b`
    Joined(&'static str),
    /// `map[a:b]`
    Map(&'static str),
    /// What is shown where there is nothing.
    Or(&'static str, &'static str),
    /// By its pointer, of persistent volumes alone.
    Persistent(&'static str, &'static str),
}
use Field::{Bool, Int, List, Or, Persistent, Secret, Text};

type Source = (&'static str, &'static str, &'static [(&'static str, Field)]);

/// Sources that are a few fields: key, sentence, fields by title. Upstream looks for them in this order; the others have functions of their own.
const SOURCES: [Source; 31] = [
    ("hostPath", "HostPath (bare host directory volume)", &[("Path", Text("path")), ("HostPathType", Or("type", "<none>"))]),
    ("emptyDir", "EmptyDir (a temporary directory that shares a pod's lifetime)", &[("Medium", Text("medium")), ("SizeLimit", Or("sizeLimit", "<unset>"))]),
    ("gcePersistentDisk", "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)", &[("PDName", Text("pdName")), ("FSType", Text("fsType")), ("Partition", Int("partition")), ("ReadOnly", Bool("readOnly"))]),
    ("awsElasticBlockStore", "AWSElasticBlockStore (a Persistent Disk resource in AWS)", &[("VolumeID", Text("volumeID")), ("FSType", Text("fsType")), ("Partition", Int("partition")), ("ReadOnly", Bool("readOnly"))]),
    ("gitRepo", "GitRepo (a volume that is pulled from git when the pod is created)", &[("Repository", Text("repository")), ("Revision", Text("revision"))]),
    ("secret", "Secret (a volume populated by a Secret)", &[("SecretName", Text("secretName")), ("Optional", Bool("optional"))]),
    ("configMap", "ConfigMap (a volume populated by a ConfigMap)", &[("Name", Text("name")), ("Optional", Bool("optional"))]),
    ("nfs", "NFS (an NFS mount that lasts the lifetime of a pod)", &[("Server", Text("server")), ("Path", Text("path")), ("ReadOnly", Bool("readOnly"))]),
    ("iscsi", "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)", ISCSI),
    ("glusterfs", "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)", &[("EndpointsName", Text("endpoints")), ("EndpointsNamespace", Persistent("/endpointsNamespace", "<unset>")), ("Path", Text("path")), ("ReadOnly", Bool("readOnly"))]),
    ("persistentVolumeClaim", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)", &[("ClaimName", Text("claimName")), ("ReadOnly", Bool("readOnly"))]),
    ("ephemeral", "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)", &[]),
    ("rbd", "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)", RBD),
    ("quobyte", "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)", &[("Registry", Text("registry")), ("Volume", Text("volume")), ("ReadOnly", Bool("readOnly"))]),
    ("downwardAPI", "DownwardAPI (a volume populated by information about the pod)", &[]),
    ("azureDisk", "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)", AZURE_DISK),
    ("vsphereVolume", "vSphereVolume (a Persistent Disk resource in vSphere)", &[("VolumePath", Text("volumePath")), ("FSType", Text("fsType")), ("StoragePolicyName", Text("storagePolicyName"))]),
    ("cinder", "Cinder (a Persistent Disk resource in OpenStack)", &[("VolumeID", Text("volumeID")), ("FSType", Text("fsType")), ("ReadOnly", Bool("readOnly")), ("SecretRef", Secret)]),
    ("photonPersistentDisk", "PhotonPersistentDisk (a Persistent Disk resource in photon platform)", &[("PdID", Text("pdID")), ("FSType", Text("fsType"))]),
    ("portworxVolume", "PortworxVolume (a Portworx Volume resource)", &[("VolumeID", Text("volumeID"))]),
    ("scaleIO", "ScaleIO (a persistent volume backed by a block device in ScaleIO)", SCALE_IO),
    ("cephfs", "CephFS (a CephFS mount on the host that shares a pod's lifetime)", CEPHFS),
    ("storageos", "StorageOS (a StorageOS Persistent Disk resource)", &[("VolumeName", Text("volumeName")), ("VolumeNamespace", Text("volumeNamespace")), ("FSType", Text("fsType")), ("ReadOnly", Bool("readOnly"))]),
    ("local", "LocalVolume (a persistent volume backed by local storage on a node)", &[("Path", Text("path"))]),
    ("fc", "FC (a Fibre Channel disk)", &[("TargetWWNs", Field::Joined("targetWWNs")), ("LUN", Or("lun", "<none>")), ("FSType", Text("fsType")), ("ReadOnly", Bool("readOnly"))]),
    ("azureFile", "AzureFile (an Azure File Service mount on the host and bind mount to the pod)", &[("SecretName", Text("secretName")), ("SecretNamespace", Persistent("/secretNamespace", "")), ("ShareName", Text("shareName")), ("ReadOnly", Bool("readOnly"))]),
    ("flexVolume", "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)", FLEX),
    ("flocker", "Flocker (a Flocker volume mounted by the Flocker agent)", &[("DatasetName", Text("datasetName")), ("DatasetUUID", Text("datasetUUID"))]),
    ("projected", "Projected (a volume that contains injected data from multiple sources)", &[]),
    ("csi", "CSI (a Container Storage Interface (CSI) volume source)", &[("Driver", Text("driver")), ("FSType", Text("fsType")), ("VolumeHandle", Persistent("/volumeHandle", "")), ("ReadOnly", Bool("readOnly"))]),
    ("image", "Image (a container image or OCI artifact)", &[("Reference", Text("reference")), ("PullPolicy", Text("pullPolicy"))]),
];

const ISCSI: &[(&str, Field)] = &[
    ("TargetPortal", Text("targetPortal")),
    ("IQN", Text("iqn")),
    ("Lun", Int("lun")),
    ("ISCSIInterface", Text("iscsiInterface")),
    ("FSType", Text("fsType")),
    ("ReadOnly", Bool("readOnly")),
    ("Portals", List("portals")),
    ("DiscoveryCHAPAuth", Bool("chapAuthDiscovery")),
    ("SessionCHAPAuth", Bool("chapAuthSession")),
    ("SecretRef", Secret),
    ("InitiatorName", Or("initiatorName", "<none>")),
];
const RBD: &[(&str, Field)] =
    &[("CephMonitors", List("monitors")), ("RBDImage", Text("image")), ("FSType", Text("fsType")), ("RBDPool", Text("pool")), ("RadosUser", Text("user")), ("Keyring", Text("keyring")), ("SecretRef", Secret), ("ReadOnly", Bool("readOnly"))];
const AZURE_DISK: &[(&str, Field)] = &[("DiskName", Text("diskName")), ("DiskURI", Text("diskURI")), ("Kind", Text("kind")), ("FSType", Text("fsType")), ("CachingMode", Text("cachingMode")), ("ReadOnly", Bool("readOnly"))];
const SCALE_IO: &[(&str, Field)] = &[
    ("Gateway", Text("gateway")),
    ("System", Text("system")),
    ("Protection Domain", Text("protectionDomain")),
    ("Storage Pool", Text("storagePool")),
    ("Storage Mode", Text("storageMode")),
    ("VolumeName", Text("volumeName")),
    ("SecretName", Persistent("/secretRef/name", "")),
    ("SecretNamespace", Persistent("/secretRef/namespace", "")),
    ("FSType", Text("fsType")),
    ("ReadOnly", Bool("readOnly")),
];
const CEPHFS: &[(&str, Field)] = &[("Monitors", List("monitors")), ("Path", Text("path")), ("User", Text("user")), ("SecretFile", Text("secretFile")), ("SecretRef", Secret), ("ReadOnly", Bool("readOnly"))];
const FLEX: &[(&str, Field)] = &[("Driver", Text("driver")), ("FSType", Text("fsType")), ("SecretRef", Secret), ("ReadOnly", Bool("readOnly")), ("Options", Field::Map("options"))];

fn shown(source: &Value, field: Field) -> String {
    match field {
        Text(key) => text(&source[key]),
        Int(key) => super::int(&source[key]).to_string(),
        Bool(key) => (source[key] == true).to_string(),
        List(key) => format!("[{}]", join(&source[key], " ")),
        Field::Joined(key) => join(&source[key], ", "),
        Or(key, nothing) => if source[key].is_null() { nothing.to_owned() } else { text(&source[key]) },
        Persistent(at, nothing) => source.pointer(at).map_or_else(|| nothing.to_owned(), text),
        Field::Map(key) => format!("map[{}]", source[key].as_object().into_iter().flatten().map(|(k, v)| format!("{k}:{}", text(v))).collect::<Vec<_>>().join(" ")),
        Secret => match &source["secretRef"] {
            Value::Null => "nil".to_owned(),
            secret if secret["namespace"].is_string() => format!("&SecretReference{{Name:{},Namespace:{},}}", text(&secret["name"]), text(&secret["namespace"])),
            secret => format!("&LocalObjectReference{{Name:{},}}", text(&secret["name"])),
        },
    }
}

fn source(w: &mut Writer, volume: &Value, is_persistent: bool) {
    let Some((key, sentence, fields)) = SOURCES.iter().find(|(key, ..)| volume[*key].is_object()) else {
        w.line(1, "<unknown>");
        return;
    };
    let source = &volume[*key];
    w.pair(2, "Type", sentence);
    for (title, field) in fields.iter().filter(|(_, field)| is_persistent || !matches!(field, Persistent(..))) {
        // Upstream: this one has no colon.
        let colon = if *title == "ISCSIInterface" { "" } else { ":" };
        w.line(2, &format!("{title}{colon}\t{}", shown(source, *field)));
    }
    match *key {
        "csi" => inset(w, "VolumeAttributes", "=", &source["volumeAttributes"]),
        "ephemeral" => ephemeral(w, &source["volumeClaimTemplate"]),
        "projected" => list(&source["sources"]).iter().for_each(|source| projection(w, source)),
        "downwardAPI" => {
            w.line(2, "Items:");
            for item in list(&source["items"]) {
                let from = [item["fieldRef"]["fieldPath"].as_str(), item["resourceFieldRef"]["resource"].as_str()];
                for from in from.into_iter().flatten() {
                    w.line(3, &format!("{from} -> {}", text(&item["path"])));
                }
            }
        }
        _ => {}
    }
}

fn ephemeral(w: &mut Writer, template: &Value) {
    let claim = &template["spec"];
    w.pair(2, "StorageClass", text(&claim["storageClassName"]));
    w.pair(2, "Volume", text(&claim["volumeName"]));
    inset(w, "Labels", "=", &template["metadata"]["labels"]);
    inset(w, "Annotations", ": ", &template["metadata"]["annotations"]);
    w.pair(2, "Capacity", amount(&claim["resources"]["requests"]["storage"]));
    w.pair(2, "Access Modes", modes(&claim["accessModes"]));
    if let Some(mode) = claim["volumeMode"].as_str() {
        w.pair(2, "VolumeMode", mode);
    }
    data_source(w, 2, claim);
}

fn data_source(w: &mut Writer, level: usize, claim: &Value) {
    let source = &claim["dataSource"];
    if source.is_object() {
        w.line(level, "DataSource:");
        if let Some(group) = source["apiGroup"].as_str() {
            w.pair(level + 1, "APIGroup", group);
        }
        w.pair(level + 1, "Kind", text(&source["kind"]));
        w.pair(level + 1, "Name", text(&source["name"]));
    }
}

fn projection(w: &mut Writer, source: &Value) {
    if source["secret"].is_object() {
        w.pair(2, "SecretName", text(&source["secret"]["name"]));
        w.pair(2, "Optional", source["secret"]["optional"] == true);
    } else if source["downwardAPI"].is_object() {
        w.pair(2, "DownwardAPI", "true");
    } else if source["configMap"].is_object() {
        w.pair(2, "ConfigMapName", text(&source["configMap"]["name"]));
        w.pair(2, "Optional", source["configMap"]["optional"] == true);
    } else if source["serviceAccountToken"].is_object() {
        w.pair(2, "TokenExpirationSeconds", source["serviceAccountToken"]["expirationSeconds"].as_i64().unwrap_or(3600));
    }
}

/// One below the other; upstream sets them in further than other values.
fn inset(w: &mut Writer, title: &str, separator: &str, pairs: &Value) {
    let shown: Vec<String> = pairs.as_object().into_iter().flatten().map(|(k, v)| format!("    {k}{separator}{}", text(v))).collect();
    if shown.is_empty() {
        w.pair(2, title, "<none>");
    }
    for (i, pair) in shown.iter().enumerate() {
        w.line(2, &format!("{}\t{pair}", if i == 0 { format!("{title}:") } else { String::new() }));
    }
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

/// `zone in [a, b]`, `zone exists`
fn requirement(of: &Value) -> String {
    let values = if list(&of["values"]).is_empty() { String::new() } else { format!(" [{}]", join(&of["values"], ", ")) };
    format!("{} {}{values}", text(&of["key"]), text(&of["operator"]).to_lowercase())
}

/// An amount that is not there is none.
fn amount(value: &Value) -> String {
    if value.is_null() { "0".to_owned() } else { text(value) }
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
    w.pair(0, "Capacity", amount(&spec["capacity"]["storage"]));
    let affinity = &spec["nodeAffinity"];
    if !affinity.is_object() {
        w.pair(0, "Node Affinity", "<none>");
    } else {
        w.line(0, "Node Affinity:\t");
        w.line(1, "Required Terms:\t");
        for (i, term) in list(&affinity["required"]["nodeSelectorTerms"]).iter().enumerate() {
            let shown: Vec<String> = list(&term["matchExpressions"]).iter().map(requirement).collect();
            w.pair(2, &format!("Term {i}"), or_none(&shown.join("\n                   ")));
        }
    }
    w.pair(0, "Message", text(&object["status"]["message"]));
    w.line(0, "Source:");
    source(w, spec, true);
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
    w.pair(0, "Capacity", if bound { amount(&status["capacity"]["storage"]) } else { String::new() });
    w.pair(0, "Access Modes", if bound { modes(&status["accessModes"]) } else { String::new() });
    if let Some(mode) = spec["volumeMode"].as_str() {
        w.pair(0, "VolumeMode", mode);
    }
    data_source(w, 0, spec);
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
        w.line(0, "AllowedTopologies:\t");
        for (i, term) in topologies.iter().enumerate() {
            let shown: Vec<String> = list(&term["matchLabelExpressions"]).iter().map(|e| format!("{} in [{}]", text(&e["key"]), join(&e["values"], ", "))).collect();
            w.pair(1, &format!("Term {i}"), shown.join(" "));
        }
    }
    events(w, of);
}

pub fn attributes_class(w: &mut Writer, of: &Described) {
    let object = of.object;
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Annotations", crate::print::labels_text(&object["metadata"]["annotations"]));
    w.pair(0, "DriverName", text(&object["driverName"]));
    w.pair(0, "Parameters", crate::print::labels_text(&object["parameters"]));
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
