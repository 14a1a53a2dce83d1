//! Sprig's functions for templates, as version 3.3 has them: one module per family.
//!
//! Never reads files or the environment but the clock and the zone where a function is about them; never makes more than bounds
//! allow. Where upstream panics, a function fails with the panic's text.

mod args;
mod cast;
mod crypto;
pub mod date;
mod decimal;
mod defaults;
mod dicts;
mod digest;
mod encoding;
pub mod json;
mod lists;
mod math;
mod merge;
mod names;
pub mod paths;
mod random;
pub mod regex;
pub mod semver;
mod strings;
pub mod url;
mod wrapping;

use gotemplate::Functions;

pub use encoding::base64_encode;

/// Adds all of them.
pub fn register(functions: &mut Functions) {
    strings::register(functions);
    lists::register(functions);
    dicts::register(functions);
    math::register(functions);
    defaults::register(functions);
    paths::register(functions);
    encoding::register(functions);
    json::register(functions);
    regex::register(functions);
    semver::register(functions);
    url::register(functions);
    date::register(functions);
    digest::register(functions);
    crypto::register(functions);
    random::register(functions);
}
