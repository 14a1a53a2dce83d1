//! What is wrong with bytes that are no UTF-8, as Go's YAML reader tells it.
// Upstream: go.yaml.in/yaml readerc.go yaml_parser_update_buffer.

/// The first fault of a text, none where it is UTF-8.
pub fn utf8_fault(text: &[u8]) -> Option<&'static str> {
    let at = std::str::from_utf8(text).err()?.valid_up_to();
    let rest = &text[at..];
    let width = match rest[0] {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return Some("invalid leading UTF-8 octet"),
    };
    if rest.len() < width {
        return Some("incomplete UTF-8 octet sequence");
    }
    if rest[1..width].iter().any(|b| b & 0xC0 != 0x80) {
        return Some("invalid trailing UTF-8 octet");
    }
    // The bytes fit each other, but say what fewer of them would, or what is no character.
    let surrogate = rest[0] == 0xED && rest[1] >= 0xA0;
    let beyond = rest[0] > 0xF4 || (rest[0] == 0xF4 && rest[1] >= 0x90);
    Some(if surrogate || beyond { "invalid Unicode character" } else { "invalid length of a UTF-8 sequence" })
}

#[cfg(test)]
mod tests {
    use super::utf8_fault;

    #[test]
    fn the_first_fault_is_told() {
        assert_eq!(utf8_fault("é".as_bytes()), None);
        assert_eq!(utf8_fault(b"a\xff"), Some("invalid leading UTF-8 octet"));
        assert_eq!(utf8_fault(b"a\xc3\"\n"), Some("invalid trailing UTF-8 octet"));
        assert_eq!(utf8_fault(b"a\xc3"), Some("incomplete UTF-8 octet sequence"));
        assert_eq!(utf8_fault(b"\xed\xa0\x80"), Some("invalid Unicode character"));
        assert_eq!(utf8_fault(b"\xc0\x80"), Some("invalid length of a UTF-8 sequence"));
    }
}
