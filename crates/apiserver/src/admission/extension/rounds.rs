//! Who is called again, after somebody else changed the object.
//!
//! Upstream: apiserver `pkg/admission/plugin/webhook/mutating/reinvocationcontext.go`. There are two rounds at most.

use std::collections::HashSet;

/// Invocations of one request.
#[derive(Debug, Default)]
pub struct Rounds {
    second: bool,
    /// Called, and to be called again should the object change after.
    eligible: HashSet<String>,
    due: HashSet<String>,
}

impl Rounds {
    /// The object changed: all that were called before and want to know are due.
    pub fn changed(&mut self) {
        self.due.extend(self.eligible.drain());
    }

    pub fn called(&mut self, uid: &str, wants_to_know: bool) {
        if wants_to_know {
            self.eligible.insert(uid.to_owned());
        }
    }

    /// In the second round nobody is called for the first time.
    pub fn calls(&self, uid: &str) -> bool {
        !self.second || self.due.contains(uid)
    }

    pub fn number(&self) -> usize {
        usize::from(self.second)
    }

    /// Begins the second round; not after it.
    pub fn again(&mut self) -> bool {
        !std::mem::replace(&mut self.second, true)
    }
}

#[cfg(test)]
mod tests {
    use super::Rounds;

    #[test]
    fn only_those_called_before_a_change_are_called_again() {
        let mut rounds = Rounds::default();
        rounds.called("first", true);
        rounds.called("never", false);
        rounds.changed();
        rounds.called("changer", true);
        assert!(rounds.again());
        assert!(rounds.calls("first") && !rounds.calls("never") && !rounds.calls("changer") && !rounds.calls("new"));
        assert!(!rounds.again());
    }
}
