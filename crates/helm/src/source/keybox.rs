//! GnuPG's keybox (`pubring.kbx`): the OpenPGP keys in it, as a ring would have them.
// Upstream: gnupg kbx/keybox-blob.c, which describes the format.

/// Whether a file is a keybox: its first blob is a header with this mark.
pub fn is_keybox(file: &[u8]) -> bool {
    file.get(8..12) == Some(b"KBXf")
}

/// The keys of a keybox, one after the other.
pub fn keys(file: &[u8]) -> Vec<u8> {
    const OPENPGP: u8 = 2;
    let (mut rest, mut out) = (file, Vec::new());
    while let Some(length) = number(rest, 0).filter(|l| *l >= 16 && *l <= rest.len()) {
        let (blob, next) = rest.split_at(length);
        if blob[4] == OPENPGP
            && let (Some(from), Some(size)) = (number(blob, 8), number(blob, 12))
            && let Some(key) = from.checked_add(size).and_then(|to| blob.get(from..to))
        {
            out.extend_from_slice(key);
        }
        rest = next;
    }
    out
}

/// A ring without its trust packets: GnuPG's own notes, which stand between a user's name and its signatures.
// Upstream: RFC 9580, sections 4.2 and 5.10.
pub fn without_trust(ring: &[u8]) -> Vec<u8> {
    const TRUST: u8 = 12;
    let (mut rest, mut out) = (ring, Vec::new());
    while let Some((tag, length)) = packet(rest).filter(|(_, length)| *length <= rest.len()) {
        if tag != TRUST {
            out.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    // What is no packet of a known length is left to whoever reads the ring.
    out.extend_from_slice(rest);
    out
}

/// The tag of the first packet and its length, header included; none of lengths that are not told at the beginning.
fn packet(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first()?;
    let byte = |at: usize| bytes.get(at).map(|b| usize::from(*b));
    if first & 0xC0 == 0xC0 {
        let (header, length) = match byte(1)? {
            short @ 0..192 => (2, short),
            long @ 192..224 => (3, ((long - 192) << 8) + byte(2)? + 192),
            255 => (6, number(bytes, 2)?),
            _ => return None,
        };
        return Some((first & 0x3F, header + length));
    }
    let (header, length) = match (first & 0x80, first & 3) {
        (0, _) => return None,
        (_, 0) => (2, byte(1)?),
        (_, 1) => (3, (byte(1)? << 8) + byte(2)?),
        (_, 2) => (5, number(bytes, 1)?),
        _ => return None,
    };
    Some(((first >> 2) & 0x0F, header + length))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = (20 + body.len() as u32).to_be_bytes().to_vec();
        out.extend([kind, 1, 0, 0, 0, 0, 0, 20]);
        out.extend((body.len() as u32).to_be_bytes());
        out.extend([0; 4]);
        out.extend(body);
        out
    }

    #[test]
    fn trust_packets_go_and_others_stay() {
        let user = [0xB4, 2, b'm', b'e'];
        let trust = [0xB0, 2, 0, 0];
        let new = [0xC2, 1, 9];
        assert_eq!(without_trust(&[&user[..], &trust, &new, &trust, b"\x01"].concat()), [&user[..], &new, b"\x01"].concat());
        assert_eq!(without_trust(&[0xB0, 200, 1]), [0xB0, 200, 1]);
    }

    #[test]
    fn keys_are_found_and_what_is_cut_off_is_left() {
        let file = [blob(1, b""), blob(2, b"key one"), blob(3, b"a certificate"), blob(2, b", two")].concat();
        assert_eq!(keys(&file), b"key one, two");
        assert_eq!(keys(&file[..file.len() - 1]), b"key one");
        assert!(keys(b"").is_empty() && keys(&[0xff; 40]).is_empty() && keys(&[0; 40]).is_empty());
    }
}
