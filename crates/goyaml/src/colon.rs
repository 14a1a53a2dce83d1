//! A colon before a flow indicator, as in `{a:}`: a part of the plain scalar for go-yaml, a fault for the scanner used here.
//!
//! The scanner says where such a colon stands; it is given the text again with a stand-in there, which the scalar then gives back.

use std::borrow::Cow;

/// What the scanner says of such a colon.
pub const FAULT: &str = "found unexpected ':'";
/// A private-use character, which stands for the colon where the text has none of its own.
const STAND_IN: char = '\u{f8c3}';
/// The text is scanned anew for each colon: so many bytes at most in all.
const MAX_SCANNED: usize = 64 << 20;

pub struct Marked<'t> {
    text: Cow<'t, str>,
    scanned: usize,
}

impl<'t> Marked<'t> {
    pub fn new(text: &'t str) -> Marked<'t> {
        Marked { text: Cow::Borrowed(text), scanned: 0 }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether stand-ins are in the text; without, that character is one like any other.
    pub fn is_marked(&self) -> bool {
        matches!(self.text, Cow::Owned(_))
    }

    /// Puts the stand-in for the colon at a byte's index; false where there is none, or no more may be done.
    pub fn mark(&mut self, index: usize) -> bool {
        let unused = self.is_marked() || !self.text.contains(STAND_IN);
        self.scanned += self.text.len();
        if !unused || self.scanned > MAX_SCANNED {
            return false;
        }
        let found = self.text.as_bytes().get(index) == Some(&b':');
        if found {
            self.text.to_mut().replace_range(index..=index, STAND_IN.encode_utf8(&mut [0; 4]));
        }
        found
    }
}

/// A plain scalar with its colons.
pub fn restore(scalar: String) -> String {
    if scalar.contains(STAND_IN) { scalar.replace(STAND_IN, ":") } else { scalar }
}
