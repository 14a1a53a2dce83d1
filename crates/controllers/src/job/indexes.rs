//! Sets of completion indexes in their text form: `0,2-4`. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(crate) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
pub(crate) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// Unreadable parts are left out; indexes beyond `completions` too, so that a text cannot blow up the set.
pub(crate) fn parse(text: &str, completions: i32) -> BTreeSet<i32> {
    let mut set = BTreeSet::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<i32>(), last.trim().parse::<i32>()) {
            set.extend(first.max(0)..=last.min(completions.saturating_sub(1)));
        }
    }
    set
}

pub(crate) fn print(set: &BTreeSet<i32>) -> String {
    let mut text = String::new();
    let mut rest = set.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|n| *n == last + 1) {
            last = next;
        }
        if !text.is_empty() {
            text.push(',');
        }
        let _ = match last - first {
            0 => write!(text, "{first}"),
            // Upstream: two in a row are written as two.
            1 => write!(text, "{first},{last}"),
            _ => write!(text, "{first}-{last}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_form_round_trips() {
        for text in ["", "0", "0,1", "1,3-5,7", "0-9"] {
            assert_eq!(super::print(&super::parse(text, 10)), text);
        }
        assert_eq!(super::print(&super::parse("3-5000000,x,2", 5)), "2-4");
    }
}
