//! Keeps faults of the YAML library from ending the program.
//!
//! libyaml-safer 0.3 panics on a few texts (a tag right before a comma, `[!0, a]`, is one) where libyaml has an error or a value. A
//! text comes from anywhere, so such a panic is an error of the text, and says nothing on the terminal.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or nothing where it panicked.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                others(panic);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work)).ok();
    GUARDED.set(before);
    outcome
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_is_nothing_and_ends_nothing() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| if std::hint::black_box(true) { panic!("of the library") } else { 2 }), None);
    }
}
