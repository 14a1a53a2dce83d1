//! Semantic versions and constraints. Upstream: Masterminds/semver 3.4.

use std::any::Any;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::LazyLock;

use gotemplate::{Failure, Functions, Kind, Method, Object, Signature, Str, Type, UintType, Value};
use regex::{Captures, Regex};

use crate::args::text;

const T: Signature = Signature::fixed(&[Type::String]);
const NONE: Signature = Signature::fixed(&[]);
const OTHER: Signature = Signature::fixed(&[Type::NamedPointer("*semver.Version")]);

const TAIL: &str = r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

fn pattern(build: impl Fn(&str) -> String) -> Option<Regex> {
    Regex::new(&build(&format!(r"v?([0-9|xX\*]+)(\.[0-9|xX\*]+)?(\.[0-9|xX\*]+)?{TAIL}"))).ok()
}

static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{TAIL}$")).ok());
static ONE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(|v| format!(r"^\s*({OPERATORS})\s*({v})\s*$")));
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(|v| format!(r"\s*({v})\s+-\s+({v})\s*")));
static EACH: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(|v| format!(r"({OPERATORS})\s*({v})")));
static VALID: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(|v| format!(r"^(\s*({OPERATORS})\s*({v})\s*)((?:\s+|,\s*)({OPERATORS})\s*({v})\s*)*$")));

#[derive(Clone, Debug)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    metadata: String,
    original: String,
}

fn group<'t>(captures: &Captures<'t>, at: usize) -> &'t str {
    captures.get(at).map_or("", |m| m.as_str())
}

impl Version {
    /// `semver.NewVersion`: also `1`, `v1.2` and leading zeros.
    pub fn parse(text: &str) -> Result<Version, Failure> {
        let Some(captures) = VERSION.as_ref().and_then(|regex| regex.captures(text)) else { return Err("invalid semantic version".into()) };
        let segment = |at: usize| {
            let digits = group(&captures, at).trim_start_matches('.');
            if digits.is_empty() {
                return Ok(0);
            }
            digits.parse::<u64>().map_err(|_| {
                Failure::new(format!("error parsing version segment: strconv.ParseUint: parsing \"{digits}\": value out of range"))
            })
        };
        let pre = group(&captures, 5).to_owned();
        let version = Version {
            major: segment(1)?,
            minor: segment(2)?,
            patch: segment(3)?,
            metadata: group(&captures, 8).to_owned(),
            original: text.to_owned(),
            pre,
        };
        let zero_led = |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
        if version.pre.split('.').any(zero_led) {
            return Err("version segment starts with 0".into());
        }
        Ok(version)
    }

    fn shown(&self) -> String {
        let mut out = format!("{}.{}.{}", self.major, self.minor, self.patch);
        if !self.pre.is_empty() {
            out.push_str(&format!("-{}", self.pre));
        }
        if !self.metadata.is_empty() {
            out.push_str(&format!("+{}", self.metadata));
        }
        out
    }

    pub fn compare(&self, other: &Version) -> Ordering {
        (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch)).then_with(|| {
            match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_prereleases(&self.pre, &other.pre),
            }
        })
    }

    fn next(&self, major: u64, minor: u64, patch: u64) -> Version {
        let mut next = Version { major, minor, patch, pre: String::new(), metadata: String::new(), original: String::new() };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{}", next.shown());
        next
    }
}

fn compare_prereleases(first: &str, second: &str) -> Ordering {
    let mut a = first.split('.');
    let mut b = second.split('.');
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

struct Constraint {
    operator: String,
    version: Version,
    minor_dirty: bool,
    patch_dirty: bool,
    dirty: bool,
}

fn improper<T>(text: &str) -> Result<T, Failure> {
    Err(Failure::new(format!("improper constraint: {text}")))
}

fn is_x(text: &str) -> bool {
    matches!(text, "x" | "X" | "*" | "")
}

impl Constraint {
    fn parse(text: &str) -> Result<Constraint, Failure> {
        let Some(m) = ONE.as_ref().and_then(|regex| regex.captures(text)) else { return improper(text) };
        let (major, minor, patch, pre) = (group(&m, 3), group(&m, 4), group(&m, 5), group(&m, 6));
        let (mut version, mut minor_dirty, mut patch_dirty, mut dirty) = (group(&m, 2).to_owned(), false, false, true);
        if is_x(major) {
            version = format!("0.0.0{pre}");
        } else if is_x(minor.trim_start_matches('.')) {
            minor_dirty = true;
            version = format!("{major}.0.0{pre}");
        } else if is_x(patch.trim_start_matches('.')) {
            patch_dirty = true;
            version = format!("{major}{minor}.0{pre}");
        } else {
            dirty = false;
        }
        let version = Version::parse(&version).map_err(|_| Failure::new("constraint parser error"))?;
        Ok(Constraint { operator: group(&m, 1).to_owned(), version, minor_dirty, patch_dirty, dirty })
    }

    fn admits(&self, v: &Version, with_prereleases: bool) -> bool {
        let c = &self.version;
        if self.operator == "!=" && !self.dirty {
            return v.compare(c) != Ordering::Equal;
        }
        if !v.pre.is_empty() && c.pre.is_empty() && !with_prereleases {
            return false;
        }
        match self.operator.as_str() {
            "!=" => self.differs(v),
            ">" => self.is_below(v),
            "<" => v.compare(c) == Ordering::Less,
            ">=" | "=>" => v.compare(c) != Ordering::Less,
            "<=" | "=<" => {
                if !self.dirty {
                    return v.compare(c) != Ordering::Greater;
                }
                !(v.major > c.major || (v.major == c.major && v.minor > c.minor && !self.minor_dirty))
            }
            "~" | "~>" => self.tilde(v),
            "^" => self.caret(v),
            _ if self.dirty => self.tilde(v),
            _ => v.compare(c) == Ordering::Equal,
        }
    }

    /// `!=` of a partial version.
    fn differs(&self, v: &Version) -> bool {
        let c = &self.version;
        if c.major != v.major {
            return true;
        }
        if self.minor_dirty {
            return false;
        }
        if c.minor != v.minor {
            return true;
        }
        if self.patch_dirty {
            let prereleases = !v.pre.is_empty() || !c.pre.is_empty();
            return prereleases && compare_prereleases(&v.pre, &c.pre) != Ordering::Equal;
        }
        c.patch != v.patch || v.compare(c) != Ordering::Equal
    }

    /// `>`: a partial version stands for all it begins.
    fn is_below(&self, v: &Version) -> bool {
        let c = &self.version;
        if !self.dirty {
            return v.compare(c) == Ordering::Greater;
        }
        match v.major.cmp(&c.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.minor_dirty => false,
            Ordering::Equal if self.patch_dirty => v.minor > c.minor,
            Ordering::Equal => v.compare(c) == Ordering::Greater,
        }
    }

    fn tilde(&self, v: &Version) -> bool {
        let c = &self.version;
        if v.compare(c) == Ordering::Less {
            return false;
        }
        if (c.major, c.minor, c.patch) == (0, 0, 0) && !self.minor_dirty && !self.patch_dirty {
            return true;
        }
        v.major == c.major && (v.minor == c.minor || self.minor_dirty)
    }

    fn caret(&self, v: &Version) -> bool {
        let c = &self.version;
        if v.compare(c) == Ordering::Less {
            return false;
        }
        if c.major > 0 || self.minor_dirty {
            return v.major == c.major;
        }
        if v.major > 0 {
            return false;
        }
        if c.minor > 0 || self.patch_dirty {
            return v.minor == c.minor;
        }
        v.minor == 0 && c.patch == v.patch
    }
}

/// Whether a version meets a constraint such as `>=1.2, <2 || ^3`.
pub fn satisfies(constraint: &str, version: &str) -> Result<bool, Failure> {
    let groups = parse_constraints(constraint)?;
    let version = Version::parse(version)?;
    Ok(groups.iter().any(|group| {
        // Upstream: one prerelease among the parts lets all of them see prereleases.
        let with_prereleases = group.iter().any(|c| !c.version.pre.is_empty());
        group.iter().all(|c| c.admits(&version, with_prereleases))
    }))
}

fn parse_constraints(text: &str) -> Result<Vec<Vec<Constraint>>, Failure> {
    let rewritten = rewrite_ranges(text);
    let mut groups = Vec::new();
    for part in rewritten.split("||") {
        if !VALID.as_ref().is_some_and(|regex| regex.is_match(part)) {
            return improper(part);
        }
        let each = EACH.as_ref().map(|regex| regex.find_iter(part).map(|m| Constraint::parse(m.as_str())).collect::<Result<Vec<_>, _>>());
        groups.push(each.transpose()?.unwrap_or_default());
    }
    Ok(groups)
}

/// `1.2 - 1.4` to `>= 1.2, <= 1.4`.
fn rewrite_ranges(text: &str) -> String {
    let Some(regex) = RANGE.as_ref() else { return text.to_owned() };
    let mut out = text.to_owned();
    for captures in regex.captures_iter(text) {
        out = out.replacen(group(&captures, 0), &format!(">= {}, <= {}", group(&captures, 1), group(&captures, 11)), 1);
    }
    out
}

pub fn register(f: &mut Functions) {
    f.add("semver", T, |a| Ok(Value::Object(Rc::new(Version::parse(&text(a, 0).text())?))));
    f.add("semverCompare", Signature::fixed(&[Type::String, Type::String]), |a| {
        Ok(Value::Bool(satisfies(&text(a, 0).text(), &text(a, 1).text())?))
    });
}

impl Object for Version {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed("*semver.Version")
    }

    fn kind(&self) -> Kind {
        Kind::Pointer
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn target(&self) -> Option<Value> {
        Some(Value::Object(Rc::new(Fields(self.clone()))))
    }

    fn stringer(&self) -> Option<Str> {
        Some(Str::from(self.shown()))
    }

    fn json(&self) -> Option<Value> {
        Some(Value::str(self.shown()))
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any().downcast_ref::<Version>()?;
        Some(self.shown() == other.shown() && self.original == other.original)
    }

    fn method(&self, name: &str) -> Option<Method> {
        let version = self.clone();
        let constant = |value: Value| Some(Method::new(NONE, move |_| Ok(value.clone())));
        let made = |version: Version| constant(Value::Object(Rc::new(version)));
        match name {
            "Major" => constant(Value::Uint(UintType::Uint64, self.major)),
            "Minor" => constant(Value::Uint(UintType::Uint64, self.minor)),
            "Patch" => constant(Value::Uint(UintType::Uint64, self.patch)),
            "Prerelease" => constant(Value::str(&*self.pre)),
            "Metadata" => constant(Value::str(&*self.metadata)),
            "Original" => constant(Value::str(&*self.original)),
            "String" => constant(Value::str(self.shown())),
            "IncMajor" => made(self.next(self.major + 1, 0, 0)),
            "IncMinor" => made(self.next(self.major, self.minor + 1, 0)),
            "IncPatch" => made(self.next(self.major, self.minor, if self.pre.is_empty() { self.patch + 1 } else { self.patch })),
            "Compare" => compared(version, |order| Value::int(order as i64)),
            "Equal" => compared(version, |order| Value::Bool(order == Ordering::Equal)),
            "LessThan" => compared(version, |order| Value::Bool(order == Ordering::Less)),
            "LessThanEqual" => compared(version, |order| Value::Bool(order != Ordering::Greater)),
            "GreaterThan" => compared(version, |order| Value::Bool(order == Ordering::Greater)),
            "GreaterThanEqual" => compared(version, |order| Value::Bool(order != Ordering::Less)),
            _ => None,
        }
    }
}

/// The struct behind the pointer, for verbs that do not call its methods.
struct Fields(Version);

impl Object for Fields {
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed("semver.Version")
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let Version { major, minor, patch, pre, metadata, original } = &self.0;
        vec![
            ("major", Value::Uint(UintType::Uint64, *major)),
            ("minor", Value::Uint(UintType::Uint64, *minor)),
            ("patch", Value::Uint(UintType::Uint64, *patch)),
            ("pre", Value::str(pre.as_str())),
            ("metadata", Value::str(metadata.as_str())),
            ("original", Value::str(original.as_str())),
        ]
    }
}

fn compared(version: Version, shown: fn(Ordering) -> Value) -> Option<Method> {
    Some(Method::new(OTHER, move |args| match args.first() {
        Some(Value::Object(other)) => match other.as_any().downcast_ref::<Version>() {
            Some(other) => Ok(shown(version.compare(other))),
            None => Err(crate::args::NIL_POINTER.into()),
        },
        _ => Err(crate::args::NIL_POINTER.into()),
    }))
}
