//! Times as kubectl says them: ages, and moments in RFC 1123 with a numeric zone.

use jiff::Timestamp;

pub fn now() -> Timestamp {
    Timestamp::now()
}

pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// How long ago, or `<unknown>`.
pub fn since(text: Option<&str>) -> String {
    match text.and_then(parse) {
        Some(then) => human(now().as_second() - then.as_second()),
        None => "<unknown>".into(),
    }
}

/// `5d3h`: at most two units, fewer the longer it is.
// Upstream: apimachinery pkg/util/duration HumanDuration.
pub fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 == 0 => format!("{minutes}m"),
        120..600 => format!("{minutes}m{}s", seconds % 60),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 == 0 => format!("{hours}h"),
        10_800..28_800 => format!("{hours}h{}m", minutes % 60),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 if hours % 24 == 0 => format!("{}d", hours / 24),
        172_800..691_200 => format!("{}d{}h", hours / 24, hours % 24),
        691_200..63_072_000 => format!("{}d", hours / 24),
        63_072_000..252_288_000 if (hours / 24) % 365 == 0 => format!("{}y", hours / 24 / 365),
        63_072_000..252_288_000 => format!("{}y{}d", hours / 24 / 365, (hours / 24) % 365),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// `Mon, 02 Jan 2006 15:04:05 +0000` in local time.
pub fn rfc1123(text: &str) -> String {
    match parse(text) {
        Some(at) => at.to_zoned(jiff::tz::TimeZone::system()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
        None => text.to_owned(),
    }
}

/// Now, as objects hold it.
pub fn rfc3339_now() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Now with the local zone's offset, as `rollout restart` writes it.
pub fn rfc3339_local() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "Z")
}
