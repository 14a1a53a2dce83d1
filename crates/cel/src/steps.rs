//! A bound on work the cost model does not count: comparing and walking nested values.
//!
//! A list may hold one value many times, nested, so that its tree is exponentially larger than what built it. Comparisons count
//! their steps here; when an evaluation has used them up, comparisons answer at once and the evaluation ends as over its budget.
//! The counter is the thread's because `==` has no place for one; evaluations neither nest nor move.

use std::cell::Cell;

/// Several times the members of the two largest objects.
const LIMIT: u64 = 5_000_000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(LIMIT) };
}

/// A new evaluation begins.
pub(crate) fn begin() {
    LEFT.set(LIMIT);
}

/// Counts one step; false when none are left.
pub(crate) fn take() -> bool {
    LEFT.with(|left| {
        let now = left.get();
        left.set(now.saturating_sub(1));
        now > 0
    })
}

pub(crate) fn exhausted() -> bool {
    LEFT.get() == 0
}
