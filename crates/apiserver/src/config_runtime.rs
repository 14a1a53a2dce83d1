//! Which versions of the API are served: `--runtime-config`.
// Upstream: apiserver pkg/server/resourceconfig/helpers.go, pkg/server/options/api_enablement.go

use catalog::Resource;

/// Choices by `api/all`, `api/ga`, `api/beta`, `api/alpha`, `group/version` and `group/version/resource`.
#[derive(Debug, Clone, Default)]
pub struct RuntimeConfig {
    kinds: Vec<(Stage, bool)>,
    versions: Vec<(String, String, bool)>,
    resources: Vec<(String, String, String, bool)>,
}

/// In the order in which they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    All,
    Ga,
    Beta,
    Alpha,
}

impl Stage {
    fn parse(key: &str) -> Option<Self> {
        match key {
            "api/all" => Some(Self::All),
            "api/ga" => Some(Self::Ga),
            "api/beta" => Some(Self::Beta),
            "api/alpha" => Some(Self::Alpha),
            _ => None,
        }
    }

    /// `v1`, `v1beta1`, `v1alpha1`.
    fn fits(self, version: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let Some(rest) = version.strip_prefix('v') else { return self == Self::All };
        let of = |word: &str| rest.split_once(word).is_some_and(|(major, minor)| digits(major) && digits(minor));
        match self {
            Self::All => true,
            Self::Ga => digits(rest),
            Self::Beta => of("beta"),
            Self::Alpha => of("alpha"),
        }
    }
}

impl RuntimeConfig {
    /// Reads `key=value` pairs.
    ///
    /// # Errors
    /// Keys and values that upstream refuses, and groups and versions that are not there.
    pub fn read(pairs: &[String]) -> Result<Self, String> {
        let mut read = Self::default();
        let known = catalog::builtin();
        let mut unknown: Vec<&str> = Vec::new();
        if let [only] = pairs
            && only == "api/all=false"
        {
            return Err("invalid key with only api/all=false".into());
        }
        for pair in pairs {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (key.trim(), value.trim());
            if let Some(stage) = Stage::parse(key) {
                let on = value.parse().map_err(|_| format!("invalid value {key}={value}"))?;
                read.kinds.push((stage, on));
                continue;
            }
            let parts: Vec<&str> = key.split('/').collect();
            let (group, version) = match parts.as_slice() {
                // Upstream: the core group is the empty one.
                [group, version] | [group, version, _] => (*group, *version),
                _ => return Err(format!("runtime-config invalid key {key}")),
            };
            let of_group = |r: &&Resource| r.group == group;
            if !known.iter().any(|r| of_group(&r)) {
                unknown.push(group);
                continue;
            }
            if !known.iter().filter(of_group).any(|r| r.version == version) {
                return Err(format!("group version {group}/{version} that has not been registered"));
            }
            let on = boolean(value).ok_or_else(|| format!("invalid value of {key}: {value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax"))?;
            match parts.get(2) {
                None => read.versions.push((group.to_owned(), version.to_owned(), on)),
                Some(resource) if resource.to_lowercase() != *resource => {
                    return Err(format!("invalid key {key}: group/version/resource and resource is always lowercase plural, not {resource:?}"));
                }
                Some(resource) => read.resources.push((group.to_owned(), version.to_owned(), (*resource).to_owned(), on)),
            }
        }
        if !unknown.is_empty() {
            return Err(format!("unknown api groups {}", unknown.join(",")));
        }
        read.kinds.sort_by_key(|(stage, _)| *stage);
        Ok(read)
    }

    /// Whether a resource is served.
    pub(crate) fn serves(&self, resource: &Resource) -> bool {
        let mut on = true;
        for (stage, chosen) in &self.kinds {
            if stage.fits(&resource.version) {
                on = *chosen;
            }
        }
        for (group, version, chosen) in &self.versions {
            if resource.group == *group && resource.version == *version {
                on = *chosen;
            }
        }
        for (group, version, plural, chosen) in &self.resources {
            if resource.group == *group && resource.version == *version && resource.plural == *plural {
                on = *chosen;
            }
        }
        on
    }
}

/// Upstream: Go's `strconv.ParseBool`, and nothing is true.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "" | "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(pairs: &[&str], group: &str, version: &str, plural: &str) -> bool {
        let read = RuntimeConfig::read(&pairs.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).expect("a configuration");
        catalog::builtin().iter().any(|r| r.group == group && r.version == version && r.plural == plural && read.serves(r))
    }

    #[test]
    fn versions_and_resources_are_switched() {
        assert!(served(&[], "apps", "v1", "deployments"));
        assert!(!served(&["apps/v1=false"], "apps", "v1", "deployments"));
        assert!(!served(&["apps/v1/deployments=false"], "apps", "v1", "deployments") && served(&["apps/v1/deployments=false"], "apps", "v1", "daemonsets"));
        assert!(served(&["api/all=false", "apps/v1"], "apps", "v1", "deployments") && !served(&["api/all=false", "apps/v1"], "batch", "v1", "jobs"));
        assert!(served(&["api/ga=true", "api/all=false"], "batch", "v1", "jobs"), "the special ones count in their order");
        assert!(Stage::Beta.fits("v2beta12") && !Stage::Beta.fits("v2") && Stage::Alpha.fits("v1alpha1") && !Stage::Ga.fits("v1beta1"));
    }

    #[test]
    fn what_upstream_refuses_is_refused() {
        let fails = |pair: &str| RuntimeConfig::read(&[pair.to_owned()]).expect_err(pair);
        assert_eq!(fails("api/all=false"), "invalid key with only api/all=false");
        assert_eq!(fails("apiall=true"), "runtime-config invalid key apiall");
        assert_eq!(fails("none/v1=true"), "unknown api groups none");
        assert_eq!(fails("apps/v9=true"), "group version apps/v9 that has not been registered");
        assert!(fails("apps/v1=x").contains("invalid syntax") && fails("apps/v1/Deployments=true").contains("lowercase plural"));
        assert_eq!(fails("api/beta=1"), "invalid value api/beta=1");
    }
}
