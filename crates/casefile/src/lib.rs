//! Tests as data: `*.case` files of a comment, the given text, a line `----`, and the expected text.
//!
//! Never used outside tests. A case that differs is shown whole; `UPDATE_EXPECT=1` rewrites the files instead.

use std::fmt::Write as _;
use std::path::Path;

/// Runs `check` over every `*.case` file of `dir` (relative to the crate that calls) and compares what it returns.
///
/// Panics with every difference at once, so that one run shows all of them.
pub fn run(dir: impl AsRef<Path>, check: impl Fn(&str) -> String) {
    let dir = dir.as_ref();
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("case folder {}: {e}", dir.display()))
        .map(|entry| entry.expect("readable folder entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "case"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no *.case file in {}", dir.display());
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differences = String::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let case = Case::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let found = check(case.given);
        if found.trim_end() == case.expected.trim_end() {
            continue;
        }
        if update {
            let written = format!("{}{}----\n{}\n", case.comment, case.given, found.trim_end());
            std::fs::write(&path, written).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        } else {
            let _ = write!(differences, "\n== {}\n-- expected\n{}\n-- found\n{}\n", path.display(), case.expected.trim_end(), found.trim_end());
        }
    }
    assert!(differences.is_empty(), "{differences}\n(UPDATE_EXPECT=1 rewrites the files)");
}

struct Case<'a> {
    comment: &'a str,
    given: &'a str,
    expected: &'a str,
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        let comment_end = text
            .split_inclusive('\n')
            .take_while(|line| line.starts_with('#') || line.trim().is_empty())
            .map(str::len)
            .sum();
        let (comment, rest) = text.split_at(comment_end);
        let (given, expected) = match rest.strip_prefix("----\n") {
            Some(expected) => ("", expected),
            None => rest.split_once("\n----\n").map(|(g, e)| (&rest[..g.len() + 1], e)).or_else(|| rest.strip_suffix("\n----").map(|g| (&rest[..g.len() + 1], ""))).ok_or("no line `----`")?,
        };
        Ok(Self { comment, given, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn splits_comment_given_and_expected() {
        let case = Case::parse("# why\n\nin\n----\nout\n").unwrap();
        assert_eq!((case.comment, case.given, case.expected), ("# why\n\n", "in\n", "out\n"));
    }
}
