//! Rules as text, for goldens and for people.

use std::fmt::{self, Display, Write as _};

use crate::{Chain, RuleSet, Target};

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(name) => f.write_str(name),
            Self::Reject => f.write_str("reject"),
            Self::Drop => f.write_str("drop"),
        }
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoints { masquerade_outside, affinity_seconds, endpoints, .. } => {
                f.write_str("one of")?;
                endpoints.iter().try_for_each(|e| write!(f, " {e}"))?;
                if let Some(seconds) = affinity_seconds {
                    write!(f, ", the same for {seconds} s")?;
                }
                if *masquerade_outside { f.write_str(", masquerade from outside") } else { Ok(()) }
            }
            Self::External { sources, masquerade, inside, next } => {
                let mut text = String::new();
                if !sources.is_empty() {
                    text.push_str("only from");
                    sources.iter().try_for_each(|s| write!(text, " {s}"))?;
                    text.push_str(", ");
                }
                if let Some(inside) = inside {
                    write!(text, "from inside {inside}, ")?;
                }
                if *masquerade {
                    text.push_str("masquerade, ");
                }
                write!(f, "{text}{}", next.as_deref().unwrap_or("drop"))
            }
        }
    }
}

impl Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (front, target) in &self.frontends {
            writeln!(f, "{} {}:{} -> {target}", front.protocol.word(), front.ip, front.port)?;
        }
        for ((protocol, port), target) in &self.node_ports {
            writeln!(f, "{} node:{port} -> {target}", protocol.word())?;
        }
        for (door, backend) in &self.host_ports {
            let ip = door.ip.map_or("host".to_owned(), |ip| ip.to_string());
            writeln!(f, "{} {ip}:{} -> {backend}", door.protocol.word(), door.port)?;
        }
        for (port, check) in &self.health_checks {
            writeln!(f, "health {port} -> {}/{} {}", check.namespace, check.name, check.local_endpoints)?;
        }
        for (name, chain) in &self.chains {
            writeln!(f, "{name}: {chain}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Node, Observed, Range, plan, plan_stale};
    use std::sync::Arc;

    fn observe(given: &str) -> Observed {
        let node = Node { name: "here".into(), pod_range: Range::parse("10.42.0.0/24").unwrap(), service_range: Range::parse("10.43.0.0/16").unwrap() };
        let mut observed = Observed { node, services: vec![], slices: vec![], pods: vec![] };
        for document in given.split("\n---\n") {
            let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
            match value["kind"].as_str().unwrap_or_default() {
                "Service" => observed.services.push(Arc::new(serde_json::from_value(value).unwrap())),
                "EndpointSlice" => observed.slices.push(Arc::new(serde_json::from_value(value).unwrap())),
                "Pod" => observed.pods.push(Arc::new(serde_json::from_value(value).unwrap())),
                other => panic!("kind {other}"),
            }
        }
        observed
    }

    /// A case holds the objects before and, after a line `====`, the objects later; the golden then also shows the flows to forget.
    #[test]
    fn cases() {
        casefile::run("cases", |given| {
            let mut parts = given.split("\n====\n").map(|part| plan(&observe(part)));
            let first = parts.next().unwrap();
            match parts.next() {
                None => first.to_string(),
                Some(second) => {
                    let forget: String = plan_stale(&first, &second).iter().map(|s| format!("forget {s:?}\n")).collect();
                    format!("{second}{forget}")
                }
            }
        });
    }
}
