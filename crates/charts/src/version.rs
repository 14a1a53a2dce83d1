//! Versions and ranges of versions as Helm reads them: partial versions, a leading `v`, hyphen ranges, `||`, wildcards.
// Upstream: Masterminds/semver v3 version.go, constraints.go.

use std::cmp::Ordering;
use std::fmt;

/// A version; what was left out is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    inner: semver::Version,
    original: String,
}

impl Version {
    /// Reads `1`, `v1.2`, `1.2.3-rc.1+build`; nothing else.
    pub fn parse(text: &str) -> Option<Version> {
        Self::read(text, false)
    }

    /// Reads complete versions without a leading `v` only.
    pub fn parse_strict(text: &str) -> Option<Version> {
        Self::read(text, true)
    }

    fn read(text: &str, strict: bool) -> Option<Version> {
        let bare = if strict { text } else { text.strip_prefix('v').unwrap_or(text) };
        let core_end = bare.find(['-', '+']).unwrap_or(bare.len());
        let (core, rest) = bare.split_at(core_end);
        let mut parts: Vec<&str> = core.split('.').collect();
        if parts.len() > 3 || strict && parts.len() != 3 || parts.iter().any(|p| p.is_empty() || !p.bytes().all(|b| b.is_ascii_digit())) {
            return None;
        }
        parts.resize(3, "0");
        let inner = semver::Version::parse(&format!("{}{rest}", parts.join("."))).ok()?;
        Some(Version { inner, original: text.to_string() })
    }

    pub fn original(&self) -> &str {
        &self.original
    }

    pub fn major(&self) -> u64 {
        self.inner.major
    }

    pub fn minor(&self) -> u64 {
        self.inner.minor
    }

    pub fn patch(&self) -> u64 {
        self.inner.patch
    }

    pub fn prerelease(&self) -> &str {
        self.inner.pre.as_str()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    /// Build metadata does not count.
    fn cmp(&self, other: &Self) -> Ordering {
        self.inner.cmp_precedence(&other.inner)
    }
}

/// A range of versions: alternatives, each a list of conditions that hold together.
#[derive(Debug, Clone)]
pub struct Range {
    alternatives: Vec<Vec<Condition>>,
    original: String,
}

#[derive(Debug, Clone)]
struct Condition {
    operator: Operator,
    version: semver::Version,
    /// How many of major, minor, patch were given as numbers.
    given: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

impl Range {
    pub fn parse(text: &str) -> Option<Range> {
        let alternatives = text.split("||").map(parse_all).collect::<Option<Vec<_>>>()?;
        Some(Range { alternatives, original: text.to_string() })
    }

    pub fn original(&self) -> &str {
        &self.original
    }

    /// Whether a version is in the range. Prereleases are only where a condition names one.
    pub fn contains(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|all| {
            let asks_prerelease = all.iter().any(|c| !c.version.pre.is_empty());
            all.iter().all(|c| c.holds(&version.inner, asks_prerelease))
        })
    }
}

fn parse_all(text: &str) -> Option<Vec<Condition>> {
    let spaced = hyphenated(text);
    let mut conditions = Vec::new();
    let mut rest = spaced.trim_start_matches([' ', ',']);
    if rest.trim().is_empty() {
        return None;
    }
    while !rest.trim().is_empty() {
        let end_of_operator = rest.find(|c: char| !"=!<>~^".contains(c)).unwrap_or(rest.len());
        let (operator, after) = rest.split_at(end_of_operator);
        let after = after.trim_start();
        let end = after.find([' ', ',']).unwrap_or(after.len());
        conditions.push(parse_one(operator, &after[..end])?);
        rest = after[end..].trim_start_matches([' ', ',']);
    }
    Some(conditions)
}

/// `1.2 - 1.4` becomes `>= 1.2 <= 1.4`.
fn hyphenated(text: &str) -> String {
    match text.split_once(" - ") {
        Some((low, high)) => {
            let low = low.trim();
            let (before, low) = low.rsplit_once([' ', ',']).map_or(("", low), |(b, l)| (b, l));
            format!("{before} >={low} <={}", hyphenated(high.trim()))
        }
        None => text.to_string(),
    }
}

fn parse_one(operator: &str, text: &str) -> Option<Condition> {
    let operator = match operator {
        "" | "=" | "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        "<" => Operator::Less,
        ">=" | "=>" => Operator::GreaterEqual,
        "<=" | "=<" => Operator::LessEqual,
        "~" | "~>" => Operator::Tilde,
        "^" => Operator::Caret,
        _ => return None,
    };
    let bare = text.strip_prefix('v').unwrap_or(text);
    let core_end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (core, rest) = bare.split_at(core_end);
    let parts: Vec<&str> = core.split('.').collect();
    let is_wild = |p: &&str| matches!(*p, "x" | "X" | "*");
    if parts.len() > 3 || parts.iter().any(|p| !is_wild(p) && (p.is_empty() || !p.bytes().all(|b| b.is_ascii_digit()))) {
        return None;
    }
    let given = parts.iter().take_while(|p| !is_wild(p)).count();
    let mut numbers: Vec<&str> = parts[..given].to_vec();
    numbers.resize(3, "0");
    let version = semver::Version::parse(&format!("{}{rest}", numbers.join("."))).ok()?;
    let operator = if operator == Operator::Equal && given < 3 { Operator::Tilde } else { operator };
    Some(Condition { operator, version, given })
}

impl Condition {
    fn holds(&self, v: &semver::Version, prereleases: bool) -> bool {
        if !v.pre.is_empty() && !prereleases {
            return false;
        }
        let order = v.cmp_precedence(&self.version);
        match self.operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => !self.same_as_given(v, order),
            Operator::Greater => self.greater(v, order),
            Operator::Less => order == Ordering::Less,
            Operator::GreaterEqual => order != Ordering::Less,
            Operator::LessEqual => order != Ordering::Greater || self.given < 3 && self.same_prefix(v),
            Operator::Tilde => self.given == 0 || order != Ordering::Less && self.same_prefix_up_to(v, 2),
            Operator::Caret => order != Ordering::Less && self.caret(v),
        }
    }

    fn same_as_given(&self, v: &semver::Version, order: Ordering) -> bool {
        if self.given == 3 { order == Ordering::Equal } else { self.same_prefix(v) }
    }

    fn same_prefix(&self, v: &semver::Version) -> bool {
        self.same_prefix_up_to(v, 3)
    }

    fn same_prefix_up_to(&self, v: &semver::Version, most: usize) -> bool {
        let pairs = [(v.major, self.version.major), (v.minor, self.version.minor), (v.patch, self.version.patch)];
        pairs.iter().take(self.given.min(most)).all(|(a, b)| a == b)
    }

    fn greater(&self, v: &semver::Version, order: Ordering) -> bool {
        order == Ordering::Greater && (self.given == 3 || !self.same_prefix(v))
    }

    fn caret(&self, v: &semver::Version) -> bool {
        let c = &self.version;
        if self.given == 0 {
            return true;
        }
        if c.major > 0 || self.given == 1 {
            return v.major == c.major;
        }
        if v.major != 0 {
            return false;
        }
        if c.minor > 0 || self.given == 2 {
            return v.minor == c.minor;
        }
        v.minor == 0 && v.patch == c.patch
    }
}

/// Whether a version is in a range; wrong ones are not.
pub fn is_compatible(range: &str, version: &str) -> bool {
    match (Range::parse(range), Version::parse(version)) {
        (Some(range), Some(version)) => range.contains(&version),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_upstream_holds() {
        let yes = [
            ("1.2.3", "1.2.3"), ("^1.2", "1.9.0"), ("~1.2.3", "1.2.9"), ("1.2 - 1.4", "1.4.9"), (">=1.20.0-0", "1.37.0-beta.1"), ("1.x", "1.99.0"),
            ("*", "3.1.0"), ("<1 || >=2", "2.0.0"), (">= 1.2, < 3.0.0", "2.9.9"), ("!=1.2.x", "1.3.0"), ("^0.2.3", "0.2.9"), ("<=1.2", "1.2.9"), ("v1.2.3", "v1.2.3"),
        ];
        let no = [
            ("1.2.3", "1.2.4"), ("^1.2", "2.0.0"), (">1.2", "1.2.5"), ("^0.2.3", "0.3.0"), ("*", "1.0.0-rc.1"), ("!=1.2.x", "1.2.7"), ("^0.0.3", "0.0.4"), (">1", "1.5.0"),
        ];
        yes.iter().for_each(|(range, version)| assert!(is_compatible(range, version), "{range} {version}"));
        no.iter().for_each(|(range, version)| assert!(!is_compatible(range, version), "{range} {version}"));
        assert!(Range::parse("1.2.3.4").is_none() && Range::parse("abc").is_none() && Range::parse("").is_none());
    }
}
