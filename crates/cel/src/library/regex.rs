//! `matches`, `find`, `findAll`. Upstream: cel-go common/stdlib, k8s.io/apiserver/pkg/cel/library/regex.go.

use regex::Regex;

use crate::functions::{Table, fail, mismatch};
use crate::library::go_regex;
use crate::value::{Evaluated, Value as V};

/// The three functions over a compiled pattern; the planner compiles constant patterns once.
pub(crate) fn run<'a>(function: &str, text: &str, regex: &Regex, limit: Option<i64>) -> Evaluated<'a> {
    match function {
        "matches" => Ok(V::Bool(regex.is_match(text))),
        "find" => Ok(V::string(regex.find(text).map_or("", |m| m.as_str()))),
        _ => {
            let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
            Ok(V::list(regex.find_iter(text).take(limit).map(|m| V::string(m.as_str())).collect()))
        }
    }
}

fn call<'a>(a: &[V<'a>], function: &str) -> Evaluated<'a> {
    let [V::String(text), V::String(pattern), rest @ ..] = a else { return mismatch() };
    let limit = match rest {
        [V::Int(limit)] => Some(*limit),
        _ => None,
    };
    match go_regex::compile(pattern) {
        Ok(regex) => run(function, text, &regex, limit),
        Err(message) if function == "matches" => fail(message),
        Err(message) => fail(format!("Illegal regex: {message}")),
    }
}

pub(crate) fn add(table: &mut Table) {
    table.add("matches", "matches", "(string, string) -> bool", |a| call(a, "matches"));
    table.add("matches", "matches_string", "string.(string) -> bool", |a| call(a, "matches"));
    table.add("find", "string_find_string", "string.(string) -> string", |a| call(a, "find"));
    table.add("findAll", "string_find_all_string", "string.(string) -> list(string)", |a| call(a, "findAll"));
    table.add("findAll", "string_find_all_string_int", "string.(string, int) -> list(string)", |a| call(a, "findAll"));
}
