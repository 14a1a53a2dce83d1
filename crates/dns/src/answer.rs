//! One question about the cluster, answered. Pure.
//!
//! Follows the specification of DNS-based service discovery 1.1 and, where it is silent, CoreDNS: a name that exists without such a
//! record gives an empty answer, one that does not gives NXDOMAIN, both with the zone's SOA.
// Upstream: coredns/coredns plugin/kubernetes/{kubernetes,parse,ns,reverse}.go.

use std::net::IpAddr;
use std::str::FromStr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::zone::{Endpoint, Entry, Port, Zone};

const TTL: u32 = 5;
const VERSION: &str = "1.1.0";

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// Not about the cluster: ask others.
    Elsewhere,
    /// The name exists.
    Found { answers: Vec<Record>, additionals: Vec<Record> },
    /// Another name stands for this one; addresses are to be asked of others.
    Alias { cname: Record, target: Name },
    NoSuchName,
}

impl Answer {
    fn records(answers: Vec<Record>) -> Self {
        Self::Found { answers, additionals: Vec::new() }
    }
    fn empty() -> Self {
        Self::records(Vec::new())
    }
}

pub(crate) fn answer(zone: &Zone, name: &Name, kind: RecordType) -> Answer {
    let text = name.to_ascii().to_ascii_lowercase();
    let text = text.trim_end_matches('.');
    if let Some(address) = reverse_address(text) {
        return answer_reverse(zone, name, kind, address);
    }
    let Some(rest) = strip_domain(text, &zone.domain) else { return Answer::Elsewhere };
    let labels: Vec<&str> = rest.split('.').filter(|label| !label.is_empty()).collect();
    let question = Question { zone, name, kind };
    match labels.as_slice() {
        [] => question.apex(),
        ["dns-version"] => question.text(VERSION),
        ["dns"] | ["svc"] | ["pod"] => Answer::empty(),
        ["ns", "dns"] => question.addresses(zone.dns_address),
        [namespace, "svc" | "pod"] => question.namespace(namespace),
        [pod, namespace, "pod"] => question.pod(pod, namespace),
        [service, namespace, "svc"] => question.service(service, namespace),
        [endpoint, service, namespace, "svc"] if !endpoint.starts_with('_') => question.endpoint(endpoint, service, namespace),
        [protocol, service, namespace, "svc"] => question.ports(None, protocol, service, namespace),
        [port, protocol, service, namespace, "svc"] => question.ports(Some(port), protocol, service, namespace),
        _ => Answer::NoSuchName,
    }
}

/// The record that tells for how long a missing name is missing.
pub(crate) fn start_of_authority(zone: &Zone) -> Option<Record> {
    let domain = Name::from_str(&format!("{}.", zone.domain)).ok()?;
    let (server, person) = (Name::from_str("ns.dns").ok()?, Name::from_str("hostmaster").ok()?);
    let (server, person) = (server.append_domain(&domain).ok()?, person.append_domain(&domain).ok()?);
    Some(Record::from_rdata(domain, TTL, RData::SOA(SOA::new(server, person, 1, 7_200, 1_800, 86_400, TTL))))
}

fn strip_domain<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    let rest = name.strip_suffix(domain)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_suffix('.') }
}

struct Question<'a> {
    zone: &'a Zone,
    name: &'a Name,
    kind: RecordType,
}

impl Question<'_> {
    fn record(&self, data: RData) -> Record {
        Record::from_rdata(self.name.clone(), TTL, data)
    }

    /// The addresses of the kind asked for, under the name asked for.
    fn addresses(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Answer {
        Answer::records(addresses.into_iter().filter_map(|ip| of_kind(ip, self.kind)).map(|data| self.record(data)).collect())
    }

    fn text(&self, text: &str) -> Answer {
        let wanted = self.kind == RecordType::TXT;
        Answer::records(wanted.then(|| self.record(RData::TXT(TXT::new(vec![text.to_owned()])))).into_iter().collect())
    }

    fn apex(&self) -> Answer {
        match self.kind {
            RecordType::SOA => Answer::records(start_of_authority(self.zone).into_iter().collect()),
            RecordType::NS => {
                let Ok(server) = Name::from_str(&format!("ns.dns.{}.", self.zone.domain)) else { return Answer::empty() };
                let additionals = self.zone.dns_address.map(|ip| Record::from_rdata(server.clone(), TTL, data_of(ip)));
                Answer::Found { answers: vec![self.record(RData::NS(NS(server)))], additionals: additionals.into_iter().collect() }
            }
            _ => Answer::empty(),
        }
    }

    fn namespace(&self, namespace: &str) -> Answer {
        if self.zone.namespaces.contains(namespace) { Answer::empty() } else { Answer::NoSuchName }
    }

    /// `1-2-3-4.namespace.pod`: any address is confirmed, as CoreDNS does in its mode `insecure`, which kubeadm sets.
    fn pod(&self, pod: &str, namespace: &str) -> Answer {
        let address = pod.replace('-', ".").parse::<IpAddr>().ok().or_else(|| pod.replace('-', ":").parse().ok());
        match address {
            Some(ip) if self.zone.namespaces.contains(namespace) => self.addresses([ip]),
            _ => Answer::NoSuchName,
        }
    }

    fn find(&self, service: &str, namespace: &str) -> Option<&Entry> {
        self.zone.services.get(&(namespace.to_owned(), service.to_owned()))
    }

    fn service(&self, service: &str, namespace: &str) -> Answer {
        let Some(entry) = self.find(service, namespace) else { return Answer::NoSuchName };
        if let Some(target) = &entry.external_name {
            return self.alias(target);
        }
        if self.kind == RecordType::SRV {
            return self.srv(entry, service, namespace, |_| true);
        }
        if entry.cluster_ips.is_empty() {
            // Upstream: a headless service without a ready endpoint does not exist for CoreDNS.
            if entry.endpoints.is_empty() {
                return Answer::NoSuchName;
            }
            let mut addresses: Vec<IpAddr> = entry.endpoints.iter().map(|e| e.address).collect();
            addresses.dedup();
            return self.addresses(addresses);
        }
        self.addresses(entry.cluster_ips.iter().copied())
    }

    fn alias(&self, target: &str) -> Answer {
        if let Ok(address) = target.parse::<IpAddr>() {
            return self.addresses([address]);
        }
        let Ok(target) = Name::from_str(&format!("{target}.")) else { return Answer::empty() };
        match self.kind {
            RecordType::A | RecordType::AAAA | RecordType::CNAME => {
                let cname = self.record(RData::CNAME(CNAME(target.clone())));
                Answer::Alias { cname, target }
            }
            _ => Answer::empty(),
        }
    }

    fn endpoint(&self, endpoint: &str, service: &str, namespace: &str) -> Answer {
        let Some(entry) = self.find(service, namespace) else { return Answer::NoSuchName };
        let matching: Vec<&Endpoint> = entry.endpoints.iter().filter(|e| e.name == endpoint).collect();
        if matching.is_empty() {
            return Answer::NoSuchName;
        }
        let mut addresses: Vec<IpAddr> = matching.iter().map(|e| e.address).collect();
        addresses.dedup();
        self.addresses(addresses)
    }

    fn ports(&self, port: Option<&str>, protocol: &str, service: &str, namespace: &str) -> Answer {
        let Some(protocol) = protocol.strip_prefix('_') else { return Answer::NoSuchName };
        let port = match port.map(|p| p.strip_prefix('_')) {
            Some(None) => return Answer::NoSuchName,
            Some(Some(port)) => Some(port),
            None => None,
        };
        let Some(entry) = self.find(service, namespace) else { return Answer::NoSuchName };
        self.srv(entry, service, namespace, |p| p.protocol == protocol && port.is_none_or(|name| p.name == name))
    }

    fn srv(&self, entry: &Entry, service: &str, namespace: &str, wanted: impl Fn(&Port) -> bool) -> Answer {
        let own = format!("{service}.{namespace}.svc.{}.", self.zone.domain);
        let mut targets: Vec<(String, IpAddr, u16)> = Vec::new();
        if entry.cluster_ips.is_empty() {
            for endpoint in &entry.endpoints {
                let ports = endpoint.ports.iter().filter(|p| wanted(p));
                targets.extend(ports.map(|port| (format!("{}.{own}", endpoint.name), endpoint.address, port.number)));
            }
        } else {
            for port in entry.ports.iter().filter(|p| wanted(p)) {
                targets.extend(entry.cluster_ips.iter().map(|ip| (own.clone(), *ip, port.number)));
            }
        }
        if targets.is_empty() {
            return Answer::NoSuchName;
        }
        if self.kind != RecordType::SRV {
            return Answer::empty();
        }
        let weight = u16::try_from(100 / targets.len()).unwrap_or(1).max(1);
        let (mut answers, mut additionals) = (Vec::new(), Vec::new());
        for (target, ip, port) in targets {
            let Ok(target) = Name::from_str(&target) else { continue };
            answers.push(self.record(RData::SRV(SRV::new(0, weight, port, target.clone()))));
            additionals.push(Record::from_rdata(target, TTL, data_of(ip)));
        }
        answers.dedup();
        additionals.sort_by_key(ToString::to_string);
        additionals.dedup();
        Answer::Found { answers, additionals }
    }
}

fn answer_reverse(zone: &Zone, name: &Name, kind: RecordType, address: IpAddr) -> Answer {
    let Some(names) = zone.by_address.get(&address) else { return Answer::Elsewhere };
    if kind != RecordType::PTR {
        return Answer::empty();
    }
    let targets = names.iter().filter_map(|n| Name::from_str(&format!("{n}.{}.", zone.domain)).ok());
    Answer::records(targets.map(|target| Record::from_rdata(name.clone(), TTL, RData::PTR(PTR(target)))).collect())
}

/// The address behind `4.3.2.1.in-addr.arpa` or its IPv6 like; only whole addresses.
fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = labels.split('.').map(|l| l.parse().ok()).collect::<Option<_>>()?;
        let [d, c, b, a] = octets.try_into().ok()?;
        return Some(IpAddr::from([a, b, c, d]));
    }
    let digits: Vec<u8> = name.strip_suffix(".ip6.arpa")?.split('.').map(|l| u8::from_str_radix(l, 16).ok().filter(|d| *d < 16)).collect::<Option<_>>()?;
    let digits: [u8; 32] = digits.try_into().ok()?;
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = digits[31 - 2 * index] << 4 | digits[30 - 2 * index];
    }
    Some(IpAddr::from(bytes))
}

fn data_of(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

fn of_kind(ip: IpAddr, kind: RecordType) -> Option<RData> {
    match (ip, kind) {
        (IpAddr::V4(_), RecordType::A) | (IpAddr::V6(_), RecordType::AAAA) => Some(data_of(ip)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn build(given: &str) -> Zone {
        let (mut namespaces, mut services, mut slices) = (vec![], vec![], vec![]);
        for document in given.split("\n---\n") {
            let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
            match value["kind"].as_str().unwrap_or_default() {
                "Namespace" => namespaces.push(Arc::new(serde_json::from_value(value).unwrap())),
                "Service" => services.push(Arc::new(serde_json::from_value(value).unwrap())),
                _ => slices.push(Arc::new(serde_json::from_value(value).unwrap())),
            }
        }
        Zone::build("cluster.local", Some("10.43.0.10".parse().unwrap()), &namespaces, &services, &slices)
    }

    /// A case holds objects, a line `====`, and questions of a name and a record type.
    #[test]
    fn cases() {
        casefile::run("cases", |given| {
            let (objects, questions) = given.split_once("\n====\n").unwrap();
            let zone = build(objects);
            let mut text = String::new();
            for question in questions.lines() {
                let (name, kind) = question.split_once(' ').unwrap();
                text.push_str(&format!("? {question}\n"));
                match answer(&zone, &Name::from_str(name).unwrap(), kind.parse().unwrap()) {
                    Answer::Elsewhere => text.push_str("elsewhere\n"),
                    Answer::NoSuchName => text.push_str("no such name\n"),
                    Answer::Alias { cname, target } => text.push_str(&format!("{cname}\n+ addresses of {target}\n")),
                    Answer::Found { answers, additionals } => {
                        text.push_str(if answers.is_empty() { "nothing of that kind\n" } else { "" });
                        answers.iter().for_each(|r| text.push_str(&format!("{r}\n")));
                        additionals.iter().for_each(|r| text.push_str(&format!("+ {r}\n")));
                    }
                }
            }
            text
        });
    }
}
