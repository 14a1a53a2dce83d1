//! Feature gates by upstream's names: which there are, and which are on.
//!
//! Upstream: `component-base/featuregate/feature_gate.go`; the gates themselves are data (`gates.txt`).

use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Alpha,
    Beta,
    General,
    Deprecated,
}

impl Stage {
    /// As the metric tells it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
            Self::General => "",
            Self::Deprecated => "DEPRECATED",
        }
    }
}

/// One gate as upstream defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    pub stage: Stage,
    pub default: bool,
    pub locked: bool,
}

/// What opens or closes all gates of a stage that nobody names.
const GROUPS: [(&str, Stage); 2] = [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)];
/// Gates that change what knarr does.
const OBEYED: [&str; 2] = ["CBORServingAndStorage", "PodLogsQuerySplitStreams"];

/// Upstream's gates by name.
pub fn known() -> BTreeMap<&'static str, Gate> {
    include_str!("gates.txt").lines().filter(|line| !line.starts_with('#')).filter_map(read).collect()
}

fn read(line: &'static str) -> Option<(&'static str, Gate)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let stage = match words.next()? {
        "alpha" => Stage::Alpha,
        "beta" => Stage::Beta,
        "ga" => Stage::General,
        "deprecated" => Stage::Deprecated,
        _ => return None,
    };
    Some((name, Gate { stage, default: words.next()? == "on", locked: words.next() == Some("locked") }))
}

/// Which gates are not as upstream leaves them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// Gates that were named.
    given: BTreeMap<String, bool>,
    /// Groups that were named.
    groups: Vec<(Stage, bool)>,
}

impl Features {
    /// Reads `--feature-gates`: `Name=true` each; `kube:Name=true` is the same.
    pub fn read(words: &[String]) -> Result<Self, String> {
        let (known, mut features) = (known(), Self::default());
        for word in words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
            let fail = |why: String| format!("invalid argument {word:?} for \"--feature-gates\" flag: {why}");
            let (name, text) = word.split_once('=').ok_or_else(|| fail(format!("missing bool value for {word}")))?;
            let (name, text) = (name.trim(), text.trim());
            let name = name.strip_prefix("kube:").unwrap_or(name);
            if let Some((component, _)) = name.split_once(':') {
                return Err(fail(format!("component not registered: {component}")));
            }
            let on = boolean(text).ok_or_else(|| fail(format!("invalid value of {name}={text}, err: strconv.ParseBool: parsing {text:?}: invalid syntax")))?;
            let gate = known.get(name).ok_or_else(|| fail(format!("unrecognized feature gate: {name}")))?;
            if gate.locked && gate.default != on {
                return Err(fail(format!("cannot set feature gate {name} to {on}, feature is locked to {}", gate.default)));
            }
            features.given.insert(name.to_owned(), on);
        }
        features.groups = GROUPS.iter().filter_map(|(name, stage)| Some((*stage, *features.given.get(*name)?))).collect();
        Ok(features)
    }

    /// Whether a gate is on.
    pub fn is_on(&self, name: &str) -> bool {
        known().get(name).is_some_and(|gate| self.state(name, *gate))
    }

    fn state(&self, name: &str, gate: Gate) -> bool {
        let group = || self.groups.iter().find(|(stage, _)| *stage == gate.stage && !gate.locked && !GROUPS.iter().any(|(group, _)| *group == name)).map(|(_, on)| *on);
        self.given.get(name).copied().or_else(group).unwrap_or(gate.default)
    }

    /// Every gate, its stage, and whether it is on.
    pub fn all(&self) -> Vec<(&'static str, Stage, bool)> {
        known().into_iter().map(|(name, gate)| (name, gate.stage, self.state(name, gate))).collect()
    }

    /// What whoever named gates should know.
    pub fn warnings(&self) -> Vec<String> {
        let known = known();
        let named = self.given.iter().filter_map(|(name, on)| Some((name, *on, *known.get(name.as_str())?)));
        named.flat_map(|(name, on, gate)| {
            let goes = match gate.stage {
                Stage::General => Some("GA"),
                Stage::Deprecated => Some("deprecated"),
                Stage::Alpha | Stage::Beta => None,
            };
            let goes = goes.map(|stage| format!("Setting {stage} feature gate {name}={on}. It will be removed in a future release."));
            let idle = (on != gate.default && !OBEYED.contains(&name.as_str()) && !GROUPS.iter().any(|(group, _)| group == name))
                .then(|| format!("feature gate {name}={on} changes nothing here: leave it out"));
            goes.into_iter().chain(idle)
        }).collect()
    }
}

/// What Go's `strconv.ParseBool` takes.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(words: &[&str]) -> Result<Features, String> {
        Features::read(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_line_is_a_gate() {
        let lines = include_str!("gates.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(known().len(), lines);
        assert_eq!(known()["ImageVolume"], Gate { stage: Stage::General, default: true, locked: true });
    }

    #[test]
    fn groups_move_what_nobody_names() {
        let all = features(&["AllAlpha=true", "EventedPLEG=false"]).unwrap();
        assert!(all.is_on("CBORServingAndStorage") && !all.is_on("EventedPLEG") && !all.is_on("DRAWorkloadResourceClaims") && all.is_on("ImageVolume"));
        let beta = features(&["AllBeta=false", "kube:WatchList=1"]).unwrap();
        assert!(!beta.is_on("OpenAPIEnums") && beta.is_on("WatchList") && beta.all().contains(&("AllBeta", Stage::Beta, false)));
    }

    #[test]
    fn faults_are_told_as_upstream_tells_them() {
        for (word, why) in [
            ("Nothing=true", "invalid argument \"Nothing=true\" for \"--feature-gates\" flag: unrecognized feature gate: Nothing"),
            ("ImageVolume=false", "cannot set feature gate ImageVolume to false, feature is locked to true"),
            ("WatchList", "missing bool value for WatchList"),
            ("WatchList=yes", "invalid value of WatchList=yes, err: strconv.ParseBool: parsing \"yes\": invalid syntax"),
            ("other:WatchList=true", "component not registered: other"),
        ] {
            let told = features(&[word]).unwrap_err();
            assert!(told.ends_with(why), "{told}");
        }
    }

    #[test]
    fn what_changes_nothing_is_told() {
        let told = features(&["ImageVolume=true", "KMSv1=true", "EventedPLEG=true", "CBORServingAndStorage=true", "WatchList=true"]).unwrap().warnings();
        assert_eq!(told, [
            "feature gate EventedPLEG=true changes nothing here: leave it out",
            "Setting GA feature gate ImageVolume=true. It will be removed in a future release.",
            "Setting deprecated feature gate KMSv1=true. It will be removed in a future release.",
            "feature gate KMSv1=true changes nothing here: leave it out",
        ]);
    }
}
