//! Services, endpoints, ingresses, network policies.

use serde_json::Value;

use super::{Described, Writer, annotations, events, head, int, join, labels, list, or_none, selector_text, text};

pub fn service(w: &mut Writer, of: &Described) {
    let (object, spec, status) = (of.object, &of.object["spec"], &of.object["status"]);
    head(w, object);
    w.pair(0, "Selector", crate::print::labels_text(&spec["selector"]));
    w.pair(0, "Type", text(&spec["type"]));
    if !spec["ipFamilyPolicy"].is_null() {
        w.pair(0, "IP Family Policy", text(&spec["ipFamilyPolicy"]));
    }
    w.pair(0, "IP Families", or_none(&join(&spec["ipFamilies"], ",")));
    w.pair(0, "IP", text(&spec["clusterIP"]));
    w.pair(0, "IPs", or_none(&join(&spec["clusterIPs"], ",")));
    if !list(&spec["externalIPs"]).is_empty() {
        w.pair(0, "External IPs", join(&spec["externalIPs"], ","));
    }
    for (key, title) in [("loadBalancerIP", "Desired LoadBalancer IP"), ("externalName", "External Name")] {
        if let Some(value) = spec[key].as_str().filter(|v| !v.is_empty()) {
            w.pair(0, title, value);
        }
    }
    let ingress = list(&status["loadBalancer"]["ingress"]);
    if !ingress.is_empty() {
        let shown: Vec<String> = ingress
            .iter()
            .map(|i| {
                let address = i["ip"].as_str().or(i["hostname"].as_str()).unwrap_or_default();
                i["ipMode"].as_str().map_or_else(|| address.to_owned(), |mode| format!("{address} ({mode})"))
            })
            .collect();
        w.pair(0, "LoadBalancer Ingress", shown.join(", "));
    }
    for port in list(&spec["ports"]) {
        let name = port["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unset>");
        let protocol = text(&port["protocol"]);
        w.line(0, &format!("Port:\t{name}\t{}/{protocol}", int(&port["port"])));
        w.pair(0, "TargetPort", format!("{}/{protocol}", text(&port["targetPort"])));
        if let Some(protocol) = port["appProtocol"].as_str() {
            w.pair(0, "AppProtocol", protocol);
        }
        if int(&port["nodePort"]) != 0 {
            w.line(0, &format!("NodePort:\t{name}\t{}/{protocol}", int(&port["nodePort"])));
        }
        w.pair(0, "Endpoints", addresses(of, port["name"].as_str().unwrap_or_default()));
    }
    w.pair(0, "Session Affinity", text(&spec["sessionAffinity"]));
    for (key, title) in [("externalTrafficPolicy", "External Traffic Policy"), ("internalTrafficPolicy", "Internal Traffic Policy")] {
        if let Some(value) = spec[key].as_str().filter(|v| !v.is_empty()) {
            w.pair(0, title, value);
        }
    }
    if int(&spec["healthCheckNodePort"]) != 0 {
        w.pair(0, "HealthCheck NodePort", int(&spec["healthCheckNodePort"]));
    }
    if !list(&spec["loadBalancerSourceRanges"]).is_empty() {
        w.pair(0, "LoadBalancer Source Ranges", join(&spec["loadBalancerSourceRanges"], ","));
    }
    if let Some(distribution) = spec["trafficDistribution"].as_str() {
        w.pair(0, "Traffic Distribution", distribution);
    }
    events(w, of);
}

/// Ready addresses behind a port, at most three and how many more.
fn addresses(of: &Described, port: &str) -> String {
    let (mut shown, mut count) = (Vec::new(), 0);
    for slice in of.related.get("slices").map(list).unwrap_or_default() {
        let ports: Vec<&Value> = list(&slice["ports"]).iter().filter(|p| p["name"].as_str().unwrap_or_default() == port).collect();
        for endpoint in list(&slice["endpoints"]).iter().filter(|e| e["conditions"]["ready"] != false) {
            for port in &ports {
                for address in list(&endpoint["addresses"]) {
                    count += 1;
                    if shown.len() < 3 {
                        let address = text(address);
                        let address = if address.contains(':') { format!("[{address}]") } else { address };
                        shown.push(format!("{address}:{}", int(&port["port"])));
                    }
                }
            }
        }
    }
    let more = if count > shown.len() { format!(" + {} more...", count - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(","))
}

pub fn endpoints(w: &mut Writer, of: &Described) {
    head(w, of.object);
    w.line(0, "Subsets:");
    for subset in list(&of.object["subsets"]) {
        for (key, title) in [("addresses", "Addresses"), ("notReadyAddresses", "NotReadyAddresses")] {
            let all: Vec<String> = list(&subset[key]).iter().map(|a| text(&a["ip"])).collect();
            w.pair(1, title, or_none(&all.join(",")));
        }
        if !list(&subset["ports"]).is_empty() {
            w.line(1, "Ports:");
            w.line(2, "Name\tPort\tProtocol");
            w.line(2, "----\t----\t--------");
            for port in list(&subset["ports"]) {
                w.line(2, &format!("{}\t{}\t{}", port["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unset>"), int(&port["port"]), text(&port["protocol"])));
            }
        }
        w.line(0, "");
    }
    events(w, of);
}

pub fn slice(w: &mut Writer, of: &Described) {
    let object = of.object;
    head(w, object);
    w.pair(0, "AddressType", text(&object["addressType"]));
    if list(&object["ports"]).is_empty() {
        w.line(0, "Ports: <unset>");
    } else {
        w.line(0, "Ports:");
        w.line(1, "Name\tPort\tProtocol");
        w.line(1, "----\t----\t--------");
        for port in list(&object["ports"]) {
            w.line(1, &format!("{}\t{}\t{}", port["name"].as_str().filter(|n| !n.is_empty()).unwrap_or("<unset>"), super::or_unset(&port["port"]), text(&port["protocol"])));
        }
    }
    if list(&object["endpoints"]).is_empty() {
        w.line(0, "Endpoints: <none>");
    } else {
        w.line(0, "Endpoints:");
        for endpoint in list(&object["endpoints"]) {
            w.pair(1, "- Addresses", join(&endpoint["addresses"], ", "));
            w.line(2, "Conditions:");
            w.pair(3, "Ready", super::or_unset(&endpoint["conditions"]["ready"]));
            w.pair(2, "Hostname", super::or_unset(&endpoint["hostname"]));
            if endpoint["targetRef"].is_object() {
                w.pair(2, "TargetRef", format!("{}/{}", text(&endpoint["targetRef"]["kind"]), text(&endpoint["targetRef"]["name"])));
            }
            w.pair(2, "NodeName", super::or_unset(&endpoint["nodeName"]));
            w.pair(2, "Zone", super::or_unset(&endpoint["zone"]));
        }
    }
    events(w, of);
}

fn backend(of: &Described, backend: &Value) -> String {
    if backend["resource"].is_object() && !backend["service"].is_object() {
        let resource = &backend["resource"];
        return format!("APIGroup: {}, Kind: {}, Name: {}", text(&resource["apiGroup"]), text(&resource["kind"]), text(&resource["name"]));
    }
    let service = &backend["service"];
    let number = int(&service["port"]["number"]);
    let port = if number == 0 { text(&service["port"]["name"]) } else { number.to_string() };
    let name = text(&service["name"]);
    let found = of.related.get("services").map(list).unwrap_or_default().iter().find(|s| api::meta::name(s) == name);
    let behind = match found {
        None => format!("<error: services \"{name}\" not found>"),
        Some(found) => {
            let wanted = list(&found["spec"]["ports"]).iter().find(|p| p["name"] == *port || int(&p["port"]).to_string() == port);
            let slices: Vec<Value> = of.related.get("slices").map(list).unwrap_or_default().iter().filter(|s| api::meta::label(s, "kubernetes.io/service-name") == Some(&name)).cloned().collect();
            let mut related = serde_json::Map::new();
            related.insert("slices".into(), Value::Array(slices));
            addresses(&Described { object: of.object, events: None, related: &related }, wanted.and_then(|p| p["name"].as_str()).unwrap_or_default())
        }
    };
    format!("{name}:{port} ({behind})")
}

pub fn ingress(w: &mut Writer, of: &Described) {
    let (object, spec) = (of.object, &of.object["spec"]);
    w.pair(0, "Name", api::meta::name(object));
    labels(w, "Labels", &object["metadata"]["labels"]);
    w.pair(0, "Namespace", api::meta::namespace(object));
    let address: Vec<String> = list(&object["status"]["loadBalancer"]["ingress"]).iter().map(|i| text(if i["ip"].is_null() { &i["hostname"] } else { &i["ip"] })).collect();
    w.pair(0, "Address", address.join(","));
    w.pair(0, "Ingress Class", spec["ingressClassName"].as_str().unwrap_or("<none>"));
    let default = if spec["defaultBackend"].is_object() { backend(of, &spec["defaultBackend"]) } else { "<default>".to_owned() };
    w.pair(0, "Default backend", &default);
    if !list(&spec["tls"]).is_empty() {
        w.line(0, "TLS:");
        for tls in list(&spec["tls"]) {
            match tls["secretName"].as_str().filter(|s| !s.is_empty()) {
                Some(secret) => w.line(1, &format!("{secret} terminates {}", join(&tls["hosts"], ","))),
                None => w.line(1, &format!("SNI routes {}", join(&tls["hosts"], ","))),
            }
        }
    }
    w.line(0, "Rules:");
    w.line(1, "Host\tPath\tBackends");
    w.line(1, "----\t----\t--------");
    let mut some = false;
    for rule in list(&spec["rules"]).iter().filter(|r| r["http"].is_object()) {
        some = true;
        w.line(1, &format!("{}\t", rule["host"].as_str().filter(|h| !h.is_empty()).unwrap_or("*")));
        for path in list(&rule["http"]["paths"]) {
            w.line(2, &format!("\t{} \t{}", text(&path["path"]), backend(of, &path["backend"])));
        }
    }
    if !some {
        w.line(1, &format!("*\t*\t{default}"));
    }
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    events(w, of);
}

pub fn ingress_class(w: &mut Writer, of: &Described) {
    head(w, of.object);
    let spec = &of.object["spec"];
    w.pair(0, "Controller", text(&spec["controller"]));
    if spec["parameters"].is_object() {
        w.line(0, "Parameters:");
        if let Some(group) = spec["parameters"]["apiGroup"].as_str() {
            w.pair(1, "APIGroup", group);
        }
        w.pair(1, "Kind", text(&spec["parameters"]["kind"]));
        w.pair(1, "Name", text(&spec["parameters"]["name"]));
    }
    events(w, of);
}

pub fn network_policy(w: &mut Writer, of: &Described) {
    let (object, spec) = (of.object, &of.object["spec"]);
    w.pair(0, "Name", api::meta::name(object));
    w.pair(0, "Namespace", api::meta::namespace(object));
    let created = object["metadata"]["creationTimestamp"].as_str().and_then(crate::time::parse);
    w.pair(0, "Created on", created.map(|t| t.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()).unwrap_or_default());
    labels(w, "Labels", &object["metadata"]["labels"]);
    annotations(w, "Annotations", &object["metadata"]["annotations"]);
    w.line(0, "Spec:");
    let selects = selector_text(&spec["podSelector"]);
    w.line(1, &format!("PodSelector:     {}", if selects == "<none>" { "<none> (Allowing the specific traffic to all pods in this namespace)".to_owned() } else { selects }));
    let kinds: Vec<String> = list(&spec["policyTypes"]).iter().map(text).collect();
    for (kind, field, peers, word) in [("Ingress", "ingress", "from", "From"), ("Egress", "egress", "to", "To")] {
        let lower = kind.to_lowercase();
        if !kinds.iter().any(|k| k == kind) {
            w.line(1, &format!("Not affecting {lower} traffic"));
            continue;
        }
        w.line(1, &format!("Allowing {lower} traffic:"));
        let rules = list(&spec[field]);
        if rules.is_empty() {
            w.line(2, &format!("<none> (Selected pods are isolated for {lower} connectivity)"));
        }
        for (i, rule) in rules.iter().enumerate() {
            policy_rule(w, rule, peers, word);
            if i + 1 < rules.len() {
                w.line(2, "----------");
            }
        }
    }
    w.line(1, &format!("Policy Types: {}", kinds.join(", ")));
}

fn policy_rule(w: &mut Writer, rule: &Value, peers: &str, word: &str) {
    let ports = list(&rule["ports"]);
    if ports.is_empty() {
        w.line(2, "To Port: <any> (traffic allowed to all ports)");
    }
    for port in ports {
        let number = if port["port"].is_null() { "<any>".to_owned() } else { text(&port["port"]) };
        w.line(2, &format!("To Port: {number}/{}", port["protocol"].as_str().unwrap_or("TCP")));
    }
    let all = list(&rule[peers]);
    if all.is_empty() {
        w.line(2, &format!("{word}: <any> (traffic not restricted by {})", if word == "From" { "source" } else { "destination" }));
        return;
    }
    for peer in all {
        w.line(2, &format!("{word}:"));
        if peer["ipBlock"].is_object() {
            w.line(3, "IPBlock:");
            w.line(4, &format!("CIDR: {}", text(&peer["ipBlock"]["cidr"])));
            w.line(4, &format!("Except: {}", join(&peer["ipBlock"]["except"], ", ")));
            continue;
        }
        if peer["namespaceSelector"].is_object() {
            w.line(3, &format!("NamespaceSelector: {}", selector_text(&peer["namespaceSelector"])));
        }
        if peer["podSelector"].is_object() {
            w.line(3, &format!("PodSelector: {}", selector_text(&peer["podSelector"])));
        }
    }
}

pub fn service_cidr(w: &mut Writer, of: &Described) {
    head(w, of.object);
    w.pair(0, "CIDRs", join(&of.object["spec"]["cidrs"], ", "));
    let conditions = list(&of.object["status"]["conditions"]);
    if !conditions.is_empty() {
        w.line(0, "Status:");
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
        w.line(1, "----\t------\t------------------\t------\t-------");
        for c in conditions {
            w.line(1, &format!("{}\t{}\t{}\t{}\t{}", text(&c["type"]), text(&c["status"]), crate::time::rfc1123(&text(&c["lastTransitionTime"])), text(&c["reason"]), text(&c["message"])));
        }
    }
    events(w, of);
}

pub fn ip_address(w: &mut Writer, of: &Described) {
    head(w, of.object);
    let parent = &of.object["spec"]["parentRef"];
    if parent.is_object() {
        w.line(0, "Parent Reference:");
        for (title, key) in [("Group", "group"), ("Resource", "resource"), ("Namespace", "namespace"), ("Name", "name")] {
            w.pair(1, title, text(&parent[key]));
        }
    }
    events(w, of);
}
