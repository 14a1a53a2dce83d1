//! Validation of the names of time zones.
//!
//! Upstream: `validateTimeZone` in `pkg/apis/batch/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};

pub fn validate(errors: &mut FieldErrors, zone: &str, path: &Path) {
    let mut say = |fault: String| errors.push(FieldError::invalid(path, zone, fault));
    if zone.is_empty() {
        return say("timeZone must be nil or non-empty string".into());
    }
    if !zone.split('/').all(is_part) {
        return say(format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("Local") {
        say("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".into());
    }
    // Go knows its own `Local` and `UTC` without looking.
    if !matches!(zone, "Local" | "UTC") && jiff::tz::TimeZone::get(zone).is_err() {
        say(format!("unknown time zone {zone}"));
    }
}

fn is_part(part: &str) -> bool {
    let fits = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    fits && (1..=14).contains(&part.len()) && !matches!(part, "." | "..") && !part.starts_with('-')
}
