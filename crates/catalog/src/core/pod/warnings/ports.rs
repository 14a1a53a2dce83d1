//! Warnings of ports that containers of a pod say twice.

use serde_json::Value;

use super::{MOST, MOST_COMPARED, containers_of};
use crate::walk;

/// A port, and where it stands.
#[derive(Clone, Copy)]
struct Port<'a> {
    list: &'static str,
    container: usize,
    index: usize,
    said: &'a Value,
}

impl<'a> Port<'a> {
    fn number(self) -> i64 {
        walk::int(self.said, "containerPort")
    }

    fn on_host(self) -> i64 {
        walk::int(self.said, "hostPort")
    }

    fn text(self, key: &str) -> &'a str {
        walk::text(self.said, key)
    }

    fn path(self, within: &str) -> String {
        format!("{within}spec.{}[{}].ports[{}]", self.list, self.container, self.index)
    }
}

fn ports(spec: &Value) -> impl Iterator<Item = Port<'_>> {
    let of = |(list, container, value)| walk::list(value, "ports").iter().enumerate().map(move |(index, said)| Port { list, container, index, said });
    containers_of(spec).flat_map(of).take(MOST_COMPARED)
}

pub fn overlapping(told: &mut Vec<String>, spec: &Value, within: &str) {
    if containers_of(spec).all(|(_, _, container)| walk::list(container, "ports").is_empty()) {
        return;
    }
    for (i, port) in ports(spec).enumerate() {
        if !port.text("hostIP").is_empty() && port.on_host() == 0 {
            told.push(format!("{}: hostIP set without hostPort: {}", port.path(within), as_go(port)));
        }
        let same = |other: &Port<'_>| other.number() == port.number() && other.text("protocol") == port.text("protocol");
        for other in ports(spec).take(i).filter(same) {
            if told.len() >= MOST {
                return;
            }
            if let Some(how) = conflict(port, other) {
                told.push(format!("{}: {how} port definition with {}", port.path(within), other.path(within)));
            }
        }
    }
    names(told, spec, within);
}

fn conflict(port: Port<'_>, other: Port<'_>) -> Option<&'static str> {
    let (a, b) = (port.text("hostIP"), other.text("hostIP"));
    if a == b && port.on_host() == other.on_host() {
        Some("duplicate")
    } else if port.on_host() == 0 || other.on_host() == 0 {
        Some("overlapping")
    } else {
        (port.on_host() == other.on_host() && a.is_empty() != b.is_empty()).then_some("dangerously ambiguous")
    }
}

/// Of several ports of one name the first is found.
fn names(told: &mut Vec<String>, spec: &Value, within: &str) {
    for (i, port) in ports(spec).enumerate().filter(|(_, port)| !port.text("name").is_empty()) {
        let name = port.text("name");
        if let Some(first) = ports(spec).take(i).find(|other| other.text("name") == name) {
            let first = first.path(within);
            told.push(format!("{}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}", port.path(within)));
        }
    }
}

/// A port as Go prints its struct.
fn as_go(port: Port<'_>) -> String {
    format!("{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}", port.text("name"), port.on_host(), port.number(), port.text("protocol"), port.text("hostIP"))
}
