//! Command-line flags as Go's pflag reads them: bundled short ones, `--flag=value`, bare defaults, the same faults.
//!
//! Never prints and never exits. A flag that was not given has its default; lists keep the order given.
// Upstream: spf13/pflag flag.go (parsing, messages), bool.go, string_slice.go, duration.go.

use std::collections::HashMap;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Text,
    Int,
    Duration,
    /// Repeated, each may hold several separated by commas.
    Slice,
    /// Repeated, each as it is.
    Array,
}

#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub kind: Kind,
    pub default: &'static str,
    /// What the flag means when it stands without a value.
    pub bare: Option<&'static str>,
    /// The variable of the environment that must be true for the flag to be there.
    pub gate: Option<&'static str>,
    /// What to do instead.
    pub deprecated: Option<&'static str>,
    pub help: &'static str,
}

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, kind, default, bare: None, gate: None, deprecated: None, help }
}

pub const fn yes_no(name: &'static str, help: &'static str) -> Flag {
    Flag { bare: Some("true"), ..flag(name, Kind::Bool, "false", help) }
}

pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Text, default, help)
}

pub const fn int(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Int, default, help)
}

pub const fn duration(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Duration, default, help)
}

pub const fn slice(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Slice, "", help)
}

pub const fn array(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Array, "", help)
}

impl Flag {
    pub const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    pub const fn bare(self, bare: &'static str) -> Self {
        Self { bare: Some(bare), ..self }
    }

    pub const fn gate(self, gate: &'static str) -> Self {
        Self { gate: Some(gate), ..self }
    }

    pub const fn deprecated(self, why: &'static str) -> Self {
        Self { deprecated: Some(why), ..self }
    }

    // Upstream: kubectl pkg/cmd/util/helpers.go (FeatureGate).
    pub fn is_there(&self) -> bool {
        self.gate.is_none_or(|gate| std::env::var(gate).is_ok_and(|value| value.eq_ignore_ascii_case("true")))
    }

    pub const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    fn shown(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.name), |s| format!("-{s}, --{}", self.name))
    }

    fn check(&self, value: &str) -> Result<(), String> {
        let fault = match self.kind {
            Kind::Bool => parse_bool(value).is_none().then(|| format!("strconv.ParseBool: parsing {value:?}: invalid syntax")),
            Kind::Int => parse_int(value).err().map(|why| format!("strconv.ParseInt: parsing {value:?}: {why}")),
            Kind::Duration => parse_duration(value).err(),
            Kind::Text | Kind::Slice | Kind::Array => None,
        };
        fault.map_or(Ok(()), |why| Err(format!("invalid argument {value:?} for {:?} flag: {why}", self.shown())))
    }
}

pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn parse_int(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("invalid syntax");
    }
    text.trim_start_matches('+').parse().map_err(|_| "value out of range")
}

/// Seconds of one of Go's durations: `1h30m`, `1.5s`, `-2ms`, `0`.
pub fn parse_duration(text: &str) -> Result<f64, String> {
    gotime::parse(text).map(|nanos| nanos as f64 / 1e9)
}

/// What a command line said.
#[derive(Debug, Default)]
pub struct Flags {
    known: HashMap<&'static str, Flag>,
    given: HashMap<&'static str, Vec<String>>,
    /// The same in the order of the command line.
    pub said: Vec<(&'static str, String)>,
    pub args: Vec<String>,
    /// How many arguments stood before `--`.
    pub dash: Option<usize>,
    pub help: bool,
}

impl Flags {
    pub fn new(known: impl Iterator<Item = Flag>) -> Self {
        let mut flags = Self::default();
        for flag in known.filter(Flag::is_there) {
            flags.known.entry(flag.name).or_insert(flag);
        }
        flags
    }

    pub fn long(&self, name: &str) -> Option<&Flag> {
        self.known.get(name)
    }

    pub fn by_short(&self, short: char) -> Option<Flag> {
        self.known.values().find(|f| f.short == Some(short)).copied()
    }

    pub fn parse(&mut self, words: &[String]) -> Result<(), String> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                self.dash = Some(self.args.len());
                self.args.extend(words.cloned());
                return Ok(());
            }
            if let Some(long) = word.strip_prefix("--") {
                self.read_long(word, long, &mut words)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.read_shorts(&word[1..], &mut words)?;
            } else {
                self.args.push(word.clone());
            }
        }
        Ok(())
    }

    fn read_long(&mut self, word: &str, long: &str, words: &mut std::slice::Iter<String>) -> Result<(), String> {
        let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
        if name.is_empty() || name.starts_with('-') {
            return Err(format!("bad flag syntax: {word}"));
        }
        // Underscores of old are dashes.
        let name = name.replace('_', "-");
        let Some(flag) = self.known.get(name.as_str()).copied() else {
            if name == "help" {
                self.help = true;
                return Ok(());
            }
            return Err(format!("unknown flag: --{name}"));
        };
        let value = match (value, flag.bare) {
            (Some(value), _) => value,
            (None, Some(bare)) => bare.to_owned(),
            (None, None) => words.next().cloned().ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        };
        self.put(&flag, value)
    }

    fn read_shorts(&mut self, shorts: &str, words: &mut std::slice::Iter<String>) -> Result<(), String> {
        for (at, short) in shorts.char_indices() {
            let rest = &shorts[at + short.len_utf8()..];
            let Some(flag) = self.by_short(short) else {
                if short == 'h' {
                    self.help = true;
                    return Ok(());
                }
                return Err(format!("unknown shorthand flag: {short:?} in -{}", &shorts[at..]));
            };
            if let Some(value) = rest.strip_prefix('=') {
                return self.put(&flag, value.to_owned());
            }
            if let Some(bare) = flag.bare {
                self.put(&flag, bare.to_owned())?;
                continue;
            }
            let value = if rest.is_empty() { words.next().cloned().ok_or_else(|| format!("flag needs an argument: {short:?} in -{}", &shorts[at..]))? } else { rest.to_owned() };
            return self.put(&flag, value);
        }
        Ok(())
    }

    fn put(&mut self, flag: &Flag, value: String) -> Result<(), String> {
        flag.check(&value)?;
        self.said.push((flag.name, value.clone()));
        let values = self.given.entry(flag.name).or_default();
        match flag.kind {
            Kind::Slice => values.extend(split_csv(&value)),
            Kind::Array => values.push(value),
            _ => *values = vec![value],
        }
        Ok(())
    }

    /// Sets a known flag that was not given; a value that the flag does not take is an error all the same.
    pub fn prefer(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some(flag) = self.known.get(name).copied() else { return Ok(()) };
        if self.given(name) { flag.check(value) } else { self.put(&flag, value.to_owned()) }
    }

    pub fn given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub fn text(&self, name: &str) -> &str {
        match self.given.get(name) {
            Some(values) => values.last().map_or("", String::as_str),
            None => self.known.get(name).map_or("", |f| f.default),
        }
    }

    /// A flag's text where no flag of another kind has taken its name: `create rolebinding --user` is no kubeconfig's user.
    pub fn global(&self, name: &str) -> &str {
        if self.known.get(name).is_some_and(|f| f.kind == Kind::Text) { self.text(name) } else { "" }
    }

    pub fn yes(&self, name: &str) -> bool {
        parse_bool(self.text(name)).unwrap_or(false)
    }

    pub fn int(&self, name: &str) -> i64 {
        parse_int(self.text(name)).unwrap_or(0)
    }

    /// Seconds; negative ones say "forever" or "the default" to most flags.
    pub fn seconds(&self, name: &str) -> f64 {
        parse_duration(self.text(name)).unwrap_or(0.0)
    }

    pub fn duration(&self, name: &str) -> Duration {
        Duration::try_from_secs_f64(self.seconds(name)).unwrap_or_default()
    }

    pub fn list(&self, name: &str) -> Vec<String> {
        match self.given.get(name) {
            Some(values) => values.clone(),
            None => self.known.get(name).map(|f| f.default).filter(|d| !d.is_empty()).map(split_csv).unwrap_or_default(),
        }
    }
}

/// One line of comma-separated values, quotes as in CSV.
pub fn split_csv(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let (mut out, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => out.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    out.push(field);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Flags, String> {
        let known = [yes_no("watch", "").short('w'), text("namespace", "", "").short('n'), int("chunk-size", "500", ""), slice("filename", "").short('f'), text("dry-run", "none", "").bare("unchanged"), duration("timeout", "0s", "")];
        let mut flags = Flags::new(known.into_iter());
        flags.parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())?;
        Ok(flags)
    }

    #[test]
    fn forms_of_flags() {
        let flags = parse(&["get", "-wn", "x", "-fa,b", "-f=c", "--dry-run", "--watch=false", "--", "-z"]).unwrap();
        assert!(!flags.yes("watch") && flags.given("watch"));
        assert_eq!((flags.text("namespace"), flags.text("dry-run"), flags.int("chunk-size")), ("x", "unchanged", 500));
        assert_eq!(flags.list("filename"), ["a", "b", "c"]);
        assert_eq!((flags.args, flags.dash), (vec!["get".to_owned(), "-z".to_owned()], Some(1)));
    }

    #[test]
    fn faults_read_as_upstreams() {
        for (words, why) in [
            (&["--foo"][..], "unknown flag: --foo"),
            (&["-z"], "unknown shorthand flag: 'z' in -z"),
            (&["-n"], "flag needs an argument: 'n' in -n"),
            (&["--namespace"], "flag needs an argument: --namespace"),
            (&["--watch=x"], "invalid argument \"x\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"x\": invalid syntax"),
            (&["--chunk-size=a"], "invalid argument \"a\" for \"--chunk-size\" flag: strconv.ParseInt: parsing \"a\": invalid syntax"),
            (&["--timeout=5"], "invalid argument \"5\" for \"--timeout\" flag: time: missing unit in duration \"5\""),
            (&["--timeout=5x"], "invalid argument \"5x\" for \"--timeout\" flag: time: unknown unit \"x\" in duration \"5x\""),
        ] {
            assert_eq!(parse(words).unwrap_err(), why);
        }
    }
}
