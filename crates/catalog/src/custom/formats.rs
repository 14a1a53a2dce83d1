//! The formats of strings that are checked; all others mean nothing, as in upstream.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/validation/formats.go` and kube-openapi `pkg/validation/strfmt`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use api::names;
use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    BsonObjectId,
    Uri,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
    /// Any version, or the one given.
    Uuid(Option<char>),
    Isbn,
    Isbn10,
    Isbn13,
    CreditCard,
    Ssn,
    HexColor,
    RgbColor,
    Byte,
    Password,
    Date,
    Duration,
    DateTime,
    ShortName,
    LongName,
}

impl Format {
    /// Dashes in the name count for nothing.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name.replace('-', "").as_str() {
            "bsonobjectid" => Self::BsonObjectId,
            "uri" => Self::Uri,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "cidr" => Self::Cidr,
            "mac" => Self::Mac,
            "uuid" => Self::Uuid(None),
            "uuid3" => Self::Uuid(Some('3')),
            "uuid4" => Self::Uuid(Some('4')),
            "uuid5" => Self::Uuid(Some('5')),
            "isbn" => Self::Isbn,
            "isbn10" => Self::Isbn10,
            "isbn13" => Self::Isbn13,
            "creditcard" => Self::CreditCard,
            "ssn" => Self::Ssn,
            "hexcolor" => Self::HexColor,
            "rgbcolor" => Self::RgbColor,
            "byte" => Self::Byte,
            "password" => Self::Password,
            "date" => Self::Date,
            "duration" => Self::Duration,
            "datetime" => Self::DateTime,
            "k8sshortname" => Self::ShortName,
            "k8slongname" => Self::LongName,
            _ => return None,
        })
    }

    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::BsonObjectId => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Self::Uri => is_request_uri(text),
            Self::Email => is_email(text),
            Self::Hostname => is_hostname(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Mac => MAC.is_match(text),
            Self::Uuid(version) => is_uuid(text, version),
            Self::Isbn => is_isbn10(text) || is_isbn13(text),
            Self::Isbn10 => is_isbn10(text),
            Self::Isbn13 => is_isbn13(text),
            Self::CreditCard => is_credit_card(text),
            Self::Ssn => SSN.is_match(text),
            Self::HexColor => HEX_COLOR.is_match(text),
            Self::RgbColor => RGB_COLOR.is_match(text),
            Self::Byte => BASE64.is_match(text),
            Self::Password => true,
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::Duration => is_duration(text),
            Self::DateTime => is_date_time(text),
            Self::ShortName => names::dns1123_label(text).is_empty(),
            Self::LongName => names::dns1123_subdomain(text).is_empty(),
        }
    }
}

/// Patterns of our own: they compile, and if one did not, it would match nothing.
fn own(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|_| NOTHING.clone())
}

static NOTHING: LazyLock<Regex> = LazyLock::new(|| Regex::new("$^").unwrap_or_else(|error| unreachable!("a constant pattern: {error}")));
static MAC: LazyLock<Regex> = LazyLock::new(|| own(r"(?i)^([0-9a-f]{2}([:-][0-9a-f]{2}){5}|[0-9a-f]{2}([:-][0-9a-f]{2}){7}|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$"));
static SSN: LazyLock<Regex> = LazyLock::new(|| own(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$"));
static HEX_COLOR: LazyLock<Regex> = LazyLock::new(|| own(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"));
static RGB_COLOR: LazyLock<Regex> = LazyLock::new(|| {
    let part = r"(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])";
    own(&format!(r"^rgb\(\s*{part}\s*,\s*{part}\s*,\s*{part}\s*\)$"))
});
static BASE64: LazyLock<Regex> = LazyLock::new(|| own(r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$"));
static UUID: LazyLock<Regex> = LazyLock::new(|| own(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{12}$"));
static CARD: LazyLock<Regex> = LazyLock::new(|| own(r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$"));
static EMAIL: LazyLock<Regex> = LazyLock::new(|| own(r"^(?:[^<>@]*<)?[^\s<>@]+@[^\s<>@]+>?$"));
static SCHEME: LazyLock<Regex> = LazyLock::new(|| own(r"^[A-Za-z][A-Za-z0-9+.-]*:.*"));
static DATE_TIME: LazyLock<Regex> = LazyLock::new(|| own(r"(?i)^(\d{4}-\d{2}-\d{2})t([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(z|([+-])\d{2}:?\d{2})$"));
static GO_DURATION: LazyLock<Regex> = LazyLock::new(|| own(r"^[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$"));
static WORD_DURATION: LazyLock<Regex> = LazyLock::new(|| own(r"^\s*(\d+\s*(ns|nano|nanos|nanosecond|nanoseconds|us|µs|micro|micros|microsecond|microseconds|ms|milli|millis|millisecond|milliseconds|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|week|weeks)\s*)+$"));
static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| own(r"^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]))*\.?$"));

/// Go's `url.ParseRequestURI`: absolute, or a path from the root.
fn is_request_uri(text: &str) -> bool {
    let clean = !text.chars().any(|c| c.is_control() || c == ' ');
    clean && (text.starts_with('/') || SCHEME.is_match(text) && !text.starts_with(':'))
}

fn is_email(text: &str) -> bool {
    EMAIL.is_match(text) && text.contains('<') == text.ends_with('>')
}

fn is_hostname(text: &str) -> bool {
    text.len() <= 255 && HOSTNAME.is_match(text)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let Some(found) = UUID.captures(text) else { return false };
    match version {
        None => true,
        Some('3') => &found[1] == "3",
        Some(version) => found[1] == *version.to_string() && matches!(found[2].to_ascii_lowercase().as_str(), "8" | "9" | "a" | "b"),
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-')).collect()
}

fn is_isbn10(text: &str) -> bool {
    let text = digits(text);
    let value = |(at, c): (usize, char)| match c {
        'X' | 'x' if at == 9 => Some(10),
        c => c.to_digit(10),
    };
    let values: Option<Vec<u32>> = text.chars().enumerate().map(value).collect();
    values.is_some_and(|v| v.len() == 10 && v.iter().zip((1..=10).rev()).map(|(d, w)| d * w).sum::<u32>().is_multiple_of(11))
}

fn is_isbn13(text: &str) -> bool {
    let values: Option<Vec<u32>> = digits(text).chars().map(|c| c.to_digit(10)).collect();
    values.is_some_and(|v| v.len() == 13 && v.iter().enumerate().map(|(at, d)| if at % 2 == 0 { *d } else { d * 3 }).sum::<u32>().is_multiple_of(10))
}

fn is_credit_card(text: &str) -> bool {
    let only: String = text.chars().filter(char::is_ascii_digit).collect();
    let luhn = |sum: u32, (at, c): (usize, char)| {
        let digit = c.to_digit(10).unwrap_or_default();
        let twice = if at % 2 == 1 { digit * 2 } else { digit };
        sum + twice / 10 + twice % 10
    };
    CARD.is_match(&only) && only.chars().rev().enumerate().fold(0, luhn).is_multiple_of(10)
}

fn is_duration(text: &str) -> bool {
    GO_DURATION.is_match(text) || WORD_DURATION.is_match(&text.to_lowercase())
}

fn is_date_time(text: &str) -> bool {
    DATE_TIME.captures(text).is_some_and(|found| found[1].parse::<jiff::civil::Date>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn accepts_what_upstream_accepts() {
        let good = [
            ("date", "2024-02-29"), ("date-time", "2024-12-15T19:30:20.000Z"), ("ipv4", "10.0.0.1"), ("ipv6", "fe80::1"), ("cidr", "10.0.0.0/8"), ("mac", "00:00:5e:00:53:01"),
            ("uuid", "A987FBC9-4BED-3078-CF07-9141BA07C9F3"), ("uuid4", "57b73598-8764-4ad0-a76a-679bb6640eb1"), ("isbn", "978-0321751041"), ("isbn10", "0321751043"),
            ("creditcard", "4111-1111-1111-1111"), ("ssn", "111-11-1111"), ("hexcolor", "#FFFFFF"), ("rgbcolor", "rgb(255,0,128)"), ("byte", "aGVsbG8="), ("duration", "1h30m"),
            ("duration", "22 ns"), ("email", "a@b.example"), ("hostname", "a.b-c.example"), ("uri", "https://x.example/y"), ("uri", "/a/b"), ("bsonobjectid", "507f1f77bcf86cd799439011"),
        ];
        for (format, text) in good {
            assert!(Format::of(format).is_some_and(|f| f.accepts(text)), "{format} {text}");
        }
        let bad = [("date", "2024-02-30"), ("date-time", "2024-12-15"), ("ipv4", "10.0.0"), ("cidr", "10.0.0.0/33"), ("byte", "a"), ("duration", "1 parsec"), ("email", "ab"), ("uri", "x y"), ("rgbcolor", "rgb(1,2)")];
        for (format, text) in bad {
            assert!(Format::of(format).is_some_and(|f| !f.accepts(text)), "{format} {text}");
        }
        assert_eq!(Format::of("int32"), None);
    }
}
