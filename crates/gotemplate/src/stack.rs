//! How much stack is left: what keeps recursion over templates and values from overflowing it.
//!
//! Each thread has a budget counted from where it first asked; `deep` gives work a thread of its own with a large one.

use std::cell::Cell;

/// What a thread that made no arrangement may use: well below the smallest default stack.
const MODEST: usize = 768 * 1024;
/// What `deep` leaves for frames below the deepest check.
const MARGIN: usize = 4 * 1024 * 1024;

thread_local! {
    static GROUND: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

fn here() -> usize {
    let mark = 0u8;
    std::hint::black_box(&raw const mark).addr()
}

/// Whether the thread's budget is used up.
pub fn exhausted() -> bool {
    GROUND.with(|ground| {
        let now = here();
        match ground.get() {
            Some((top, budget)) => top.abs_diff(now) > budget,
            None => {
                ground.set(Some((now, MODEST)));
                false
            }
        }
    })
}

/// Runs the work on a stack of `size` bytes, of which only what is used is ever backed by memory.
pub fn deep<T: Send>(size: usize, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("render".into()).stack_size(size).spawn_scoped(scope, || {
            GROUND.with(|ground| ground.set(Some((here(), size.saturating_sub(MARGIN)))));
            work()
        })?;
        thread.join().map_err(|_| std::io::Error::other("the thread ended early"))
    })
}
