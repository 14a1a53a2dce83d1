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
    fn keys_are_found_and_what_is_cut_off_is_left() {
        let file = [blob(1, b""), blob(2, b"key one"), blob(3, b"a certificate"), blob(2, b", two")].concat();
        assert_eq!(keys(&file), b"key one, two");
        assert_eq!(keys(&file[..file.len() - 1]), b"key one");
        assert!(keys(b"").is_empty() && keys(&[0xff; 40]).is_empty() && keys(&[0; 40]).is_empty());
    }
}
