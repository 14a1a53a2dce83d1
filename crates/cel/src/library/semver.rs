//! Semantic versions. Upstream: k8s.io/apiserver/pkg/cel/library/semverlib.go, blang/semver.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::functions::{Table, fail, mismatch};
use crate::value::{Evaluated, Value as V};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Number(u64),
    Word(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semver {
    numbers: [u64; 3],
    pre: Vec<Part>,
}

impl Semver {
    pub(crate) fn parse(text: &str) -> Result<Semver, String> {
        if text.is_empty() {
            return Err("Version string empty".into());
        }
        let pieces: Vec<&str> = text.splitn(3, '.').collect();
        let [major, minor, patch] = pieces[..] else { return Err("No Major.Minor.Patch elements found".into()) };
        let (patch, build) = patch.split_once('+').map_or((patch, None), |(p, b)| (p, Some(b)));
        let (patch, pre) = patch.split_once('-').map_or((patch, None), |(p, s)| (p, Some(s)));
        let numbers = [number(major, "Major")?, number(minor, "Minor")?, number(patch, "Patch")?];
        let pre = pre.map_or(Ok(Vec::new()), |s| s.split('.').map(part).collect())?;
        for piece in build.map(|b| b.split('.')).into_iter().flatten() {
            if piece.is_empty() {
                return Err("Build meta data is empty".into());
            }
            if !piece.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(format!("Invalid character(s) found in build meta data {piece:?}"));
            }
        }
        Ok(Semver { numbers, pre })
    }

    fn normalized(text: &str) -> Result<Semver, String> {
        let mut parts: Vec<String> = text.strip_prefix('v').unwrap_or(text).splitn(3, '.').map(str::to_owned).collect();
        for part in &mut parts {
            if part.len() > 1 {
                let stripped = part.trim_start_matches('0');
                *part = if stripped.starts_with(|c: char| c.is_ascii_digit()) { stripped.to_owned() } else { format!("0{stripped}") };
            }
        }
        if parts.len() < 3 && parts.last().is_some_and(|p| p.contains(['+', '-'])) {
            return Err("short version cannot contain PreRelease/Build meta data".into());
        }
        parts.resize(3, "0".into());
        Semver::parse(&parts.join("."))
    }

    pub(crate) fn compare(&self, other: &Semver) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.iter().zip(&other.pre).map(|(a, b)| order(a, b)).find(|o| o.is_ne()).unwrap_or_else(|| self.pre.len().cmp(&other.pre.len())),
        })
    }
}

fn order(a: &Part, b: &Part) -> Ordering {
    match (a, b) {
        (Part::Number(a), Part::Number(b)) => a.cmp(b),
        (Part::Number(_), Part::Word(_)) => Ordering::Less,
        (Part::Word(_), Part::Number(_)) => Ordering::Greater,
        (Part::Word(a), Part::Word(b)) => a.cmp(b),
    }
}

fn number(text: &str, what: &str) -> Result<u64, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {} number {text:?}", what.to_lowercase()));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!("{what} number must not contain leading zeroes {text:?}"));
    }
    text.parse().map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"))
}

fn part(text: &str) -> Result<Part, String> {
    if text.is_empty() {
        return Err("Prerelease is empty".into());
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        if text.len() > 1 && text.starts_with('0') {
            return Err(format!("Numeric PreRelease version must not contain leading zeroes {text:?}"));
        }
        return text.parse().map(Part::Number).map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(format!("Invalid character(s) found in prerelease {text:?}"));
    }
    Ok(Part::Word(text.to_owned()))
}

fn parse<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let V::String(s) = &a[0] else { return mismatch() };
    let normalize = matches!(a.get(1), Some(V::Bool(true)));
    let parsed = if normalize { Semver::normalized(s) } else { Semver::parse(s) };
    parsed.map_or_else(fail, |v| Ok(V::Semver(Arc::new(v))))
}

fn compare<'a>(a: &[V<'a>], answer: fn(Ordering) -> V<'static>) -> Evaluated<'a> {
    match a {
        [V::Semver(x), V::Semver(y)] => Ok(answer(x.compare(y))),
        _ => mismatch(),
    }
}

fn component<'a>(a: &[V<'a>], at: usize) -> Evaluated<'a> {
    match &a[0] {
        V::Semver(v) => Ok(V::Int(v.numbers[at] as i64)),
        _ => mismatch(),
    }
}

pub(crate) fn add(table: &mut Table) {
    const TYPE: &str = "kubernetes.Semver";
    table.add("semver", "string_to_semver", "(string) -> kubernetes.Semver", parse);
    table.add("semver", "string_bool_to_semver", "(string, bool) -> kubernetes.Semver", parse);
    table.add("isSemver", "is_semver_string", "(string) -> bool", |a| Ok(V::Bool(parse(a).is_ok())));
    table.add("isSemver", "is_semver_string_bool", "(string, bool) -> bool", |a| Ok(V::Bool(parse(a).is_ok())));
    table.add_method("isGreaterThan", "semver_is_greater_than", TYPE, TYPE, "bool", |a| compare(a, |o| V::Bool(o.is_gt())));
    table.add_method("isLessThan", "semver_is_less_than", TYPE, TYPE, "bool", |a| compare(a, |o| V::Bool(o.is_lt())));
    table.add_method("compareTo", "semver_compare_to", TYPE, TYPE, "int", |a| compare(a, |o| V::Int(o as i64)));
    table.add_method("major", "semver_major", TYPE, "", "int", |a| component(a, 0));
    table.add_method("minor", "semver_minor", TYPE, "", "int", |a| component(a, 1));
    table.add_method("patch", "semver_patch", TYPE, "", "int", |a| component(a, 2));
}
