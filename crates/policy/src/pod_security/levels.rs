//! Levels, versions of the standards, and the policy that a namespace's labels make.
//!
//! Upstream: `k8s.io/pod-security-admission/api/helpers.go`.

use std::fmt;

use api::{FieldError, Path, meta};
use serde_json::Value;

use super::Settings;

pub const PREFIX: &str = "pod-security.kubernetes.io/";
/// How a level is meant: refuse, record, warn.
pub const MODES: [&str; 3] = ["enforce", "audit", "warn"];
pub const LEVELS: &str = "privileged, baseline, restricted";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            "restricted" => Self::Restricted,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// The minor version of the standards; the latest is later than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32);

impl Version {
    pub const LATEST: Self = Self(u32::MAX);

    pub fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::LATEST);
        }
        let minor = text.strip_prefix("v1.")?;
        let is_plain = minor == "0" || (minor.starts_with(|c: char| matches!(c, '1'..='9')) && minor.bytes().all(|b| b.is_ascii_digit()));
        minor.parse().ok().filter(|number| is_plain && *number != u32::MAX).map(Self)
    }

    /// Whether what 1.`minor` brought holds.
    pub fn has(self, minor: u32) -> bool {
        self.0 >= minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LATEST { f.write_str("latest") } else { write!(f, "v1.{}", self.0) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelVersion {
    pub level: Level,
    pub version: Version,
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level, self.version)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub enforce: LevelVersion,
    pub audit: LevelVersion,
    pub warn: LevelVersion,
}

impl Policy {
    /// What the settings say where no label does.
    pub fn usual(settings: &Settings) -> Self {
        let said = |key: String| settings.defaults.get(&key);
        let of = |mode: &str| LevelVersion {
            level: said(mode.to_owned()).and_then(|text| Level::parse(text)).unwrap_or(Level::Privileged),
            version: said(format!("{mode}-version")).and_then(|text| Version::parse(text)).unwrap_or(Version::LATEST),
        };
        Self { enforce: of("enforce"), audit: of("audit"), warn: of("warn") }
    }

    /// What a namespace's labels say, and what is wrong with them. Where they are wrong, `restricted` is enforced and nothing recorded or warned of.
    pub fn of(namespace: &Value, settings: &Settings) -> (Self, Vec<FieldError>) {
        let (mut policy, mut errors) = (Self::usual(settings), Vec::new());
        for (mode, of) in MODES.iter().zip([&mut policy.enforce, &mut policy.audit, &mut policy.warn]) {
            let label = format!("{PREFIX}{mode}");
            if let Some(text) = meta::label(namespace, &label) {
                let otherwise = if *mode == "enforce" { Level::Restricted } else { Level::Privileged };
                of.level = Level::parse(text).unwrap_or(otherwise);
                if Level::parse(text).is_none() {
                    errors.push(invalid(&label, text, &format!("must be one of {LEVELS}")));
                }
            }
            let label = format!("{label}-version");
            if let Some(text) = meta::label(namespace, &label) {
                of.version = Version::parse(text).unwrap_or(Version::LATEST);
                if Version::parse(text).is_none() {
                    errors.push(invalid(&label, text, "must be \"latest\" or \"v1.x\""));
                }
            }
        }
        (policy, errors)
    }

    /// Each mode by its name.
    pub fn modes(&self) -> [(&'static str, LevelVersion); 3] {
        [(MODES[0], self.enforce), (MODES[1], self.audit), (MODES[2], self.warn)]
    }
}

fn invalid(label: &str, value: &str, why: &str) -> FieldError {
    FieldError::invalid(&Path::new("metadata").child("labels").key(label), value, why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_make_a_policy() {
        let namespace = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.25", "pod-security.kubernetes.io/warn": "strict", "pod-security.kubernetes.io/audit-version": "v1.07"}}});
        let (policy, errors) = Policy::of(&namespace, &Settings::default());
        assert_eq!((policy.enforce.to_string().as_str(), policy.warn.to_string().as_str()), ("baseline:v1.25", "privileged:latest"));
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told, [
            "metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: \"v1.07\": must be \"latest\" or \"v1.x\"",
            "metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"strict\": must be one of privileged, baseline, restricted",
        ]);
    }
}
