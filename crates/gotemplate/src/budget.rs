//! What one rendering may cost: steps, bytes made, templates within templates. Beyond it is an error, never a hang.
//!
//! Upstream has no such bounds but for the depth of templates; these are far above what charts take.

use std::cell::Cell;

use crate::function::Failure;

/// Upstream: text/template's maxExecDepth.
pub(crate) const MAX_DEPTH: usize = 100_000;

/// The largest single text or list.
const LARGEST: usize = 128 << 20;

pub struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::new(30_000_000, 1 << 30)
    }
}

impl Budget {
    pub fn new(steps: u64, bytes: u64) -> Budget {
        Budget { steps: Cell::new(steps), bytes: Cell::new(bytes) }
    }

    /// Takes steps of evaluation.
    pub fn step(&self, count: u64) -> Result<(), Failure> {
        match self.steps.get().checked_sub(count) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(Failure::new("template takes too many steps: does it loop over a very large range?")),
        }
    }

    /// Takes bytes of text or values made.
    pub fn make(&self, count: usize) -> Result<(), Failure> {
        match self.bytes.get().checked_sub(u64::try_from(count).unwrap_or(u64::MAX)) {
            Some(left) if count <= LARGEST => {
                self.bytes.set(left);
                Ok(())
            }
            _ => Err(Failure::new("template makes too much text")),
        }
    }
}
