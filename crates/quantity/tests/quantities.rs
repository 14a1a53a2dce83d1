//! Upstream's own examples of parsing, printing, rounding and refusing.

use quantity::{Format, ParseError, Quantity, canonical};

fn q(text: &str) -> Quantity {
    text.parse().expect(text)
}

#[test]
fn prints_the_canonical_form() {
    for (given, expected) in [
        ("0", "0"), ("0Gi", "0"), ("1.5Gi", "1536Mi"), ("1024Mi", "1Gi"), ("1000m", "1"), ("0.5", "500m"), ("1.5", "1500m"),
        ("100m", "100m"), ("1000", "1k"), ("1500", "1500"), ("0.1m", "100u"), ("1n", "1n"), ("0.9n", "1n"), ("12E", "12E"),
        ("1000E", "1e21"), ("1e3", "1e3"), ("1000e0", "1e3"), ("1.25e1", "12500e-3"), ("9223372036854775807", "9223372036854775807"),
        ("18446744073709551616", "18446744073709551616"), ("8Ei", "9223372036854775807"), ("90009000000000000Mi", "9223372036854775807"), ("512", "512"), ("0.5Ki", "512"), ("2Ki", "2Ki"),
        ("-1.5Gi", "-1536Mi"), ("0.0001Ki", "102400u"), ("1.2345", "1234500u"), ("100000000Ki", "100000000Ki"), ("1.500", "1.500"),
        ("007", "007"), ("1.", "1."), ("10k", "10k"), ("1.0", "1"), ("64Gi", "64Gi"), ("1e100", "10e99"), ("1.1Ki", "1126400m"),
        ("1999999999990000000990000000000000001.9", "1999999999990000000990000000000000001900m"), ("1999999999990000000990000000000000001900m", "1999999999990000000990000000000000001900m"),
    ] {
        assert_eq!(canonical(given).as_deref(), Ok(expected), "{given}");
    }
}

#[test]
fn refuses_in_upstreams_words() {
    for (given, expected) in [
        ("", ParseError::Format), ("1.1.M", ParseError::Format), ("1+1.0M", ParseError::Format), ("0.1mi", ParseError::Suffix),
        ("0.1am", ParseError::Format), ("aoeu", ParseError::Format), ("1i", ParseError::Suffix), ("-3.01e-", ParseError::Suffix), ("1 Gi", ParseError::Format),
        ("1Kib", ParseError::Format), ("e9999999999999999999", ParseError::Suffix), ("1000e999", ParseError::Suffix), ("199999999999000000099000000000000000001.9", ParseError::Numeric), ("\u{e9}", ParseError::Format),
    ] {
        assert_eq!(given.parse::<Quantity>().err(), Some(expected), "{given}");
    }
}

#[test]
fn rounds_away_from_zero_and_adds_exactly() {
    assert_eq!(q("0.1m").milli_value(), 1);
    assert_eq!(q("1100m").value(), 2);
    assert_eq!(q("-1100m").value(), -2);
    assert_eq!(q("1e30").value(), i64::MAX);
    assert_eq!(q("1Gi").value(), 1 << 30);
    assert_eq!(q("100m").plus(q("1")).to_string(), "1100m");
    assert_eq!(q("1Gi").plus(q("1Mi")).to_string(), "1025Mi");
    assert_eq!(q("1Gi").minus(q("1Gi")).to_string(), "0");
    assert_eq!(Quantity::from_milli(2500, Format::DecimalSi).to_string(), "2500m");
}

#[test]
fn compares_across_suffixes() {
    assert_eq!(q("1Ki"), q("1024"));
    assert!(q("1Gi") > q("1G") && q("999m") < q("1") && q("-2") < q("-1") && q("1e90") > q("9Ei") && q("-1e90") < q("1n"));
}
