//! Pod security: what the levels `baseline` and `restricted` ask of a pod, by the version of the standards.
//!
//! Pure: level, version and pod in, every violation out in upstream's words. Upstream: `k8s.io/pod-security-admission`.

mod baseline;
mod checks;
mod levels;
mod namespace;
mod restricted;
mod settings;

use catalog::walk;
use serde_json::Value;

pub use self::levels::{Level, LevelVersion, PREFIX, Policy, Version};
pub use self::namespace::{Belongs, Existing, exempt_warning, needs_look};
pub use self::settings::{Exemptions, Settings};

/// One check that a pod does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub reason: String,
    pub detail: String,
}

/// What the pod, or the template of one, does that the level does not allow.
pub fn violations(of: LevelVersion, pod: &Value) -> Vec<Violation> {
    let looked = checks::Pod { pod, spec: walk::at(pod, "spec"), version: of.version, restricted: of.level == Level::Restricted };
    let mut found = Vec::new();
    if of.level != Level::Privileged {
        baseline::check(&looked, &mut found);
    }
    if of.level == Level::Restricted {
        restricted::check(&looked, &mut found);
    }
    found
}

/// `reason (detail), reason (detail)`.
pub fn detailed(found: &[Violation]) -> String {
    let all: Vec<_> = found.iter().map(|v| if v.detail.is_empty() { v.reason.clone() } else { format!("{} ({})", v.reason, v.detail) }).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::Value;

    use super::*;

    /// A case is a level with its version, and a pod; expected is every violation.
    #[test]
    fn pods_are_judged_as_upstream_judges_them() {
        casefile::run("cases/pod_security", |input| {
            let (of, pod) = input.split_once('\n').expect("a level, then a pod");
            let (level, version) = of.split_once(':').expect("level:version");
            let of = LevelVersion { level: Level::parse(level).expect("a level"), version: Version::parse(version).expect("a version") };
            let pod: Value = serde_json::from_str(pod).expect("a pod");
            let mut told = String::new();
            for violation in violations(of, &pod) {
                let _ = writeln!(told, "{} ({})", violation.reason, violation.detail);
            }
            told
        });
    }
}
