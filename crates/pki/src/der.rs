//! The few forms of DER that a certificate needs.

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
        out.push(0x80 | bytes.len() as u8);
        out.extend(bytes);
    }
    out.extend_from_slice(content);
    out
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

pub fn integer(bytes: &[u8]) -> Vec<u8> {
    tagged(0x02, bytes)
}

pub fn boolean(value: bool) -> Vec<u8> {
    tagged(0x01, &[if value { 0xff } else { 0 }])
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tagged(0x04, bytes)
}

pub fn bit_string(unused: u8, bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![unused];
    content.extend_from_slice(bytes);
    tagged(0x03, &content)
}

/// `[n]` around a whole value.
pub fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    tagged(0xa0 | number, inner)
}

/// `[n]` in place of a primitive value's own tag.
pub fn context(number: u8, content: &[u8]) -> Vec<u8> {
    tagged(0x80 | number, content)
}

pub fn oid(arcs: &[u64]) -> Vec<u8> {
    let (first, rest) = arcs.split_at(2.min(arcs.len()));
    let mut content = vec![(first.first().copied().unwrap_or_default() * 40 + first.get(1).copied().unwrap_or_default()) as u8];
    for arc in rest {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut left = arc >> 7;
        while left > 0 {
            groups.push(0x80 | (left & 0x7f) as u8);
            left >>= 7;
        }
        content.extend(groups.into_iter().rev());
    }
    tagged(0x06, &content)
}

/// A moment in seconds since 1970: in the short form until 2049.
pub fn time(seconds: i64) -> Vec<u8> {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = gotime::calendar::date_of(days);
    let clock = format!("{month:02}{day:02}{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
    if (1950..2050).contains(&year) { tagged(0x17, format!("{:02}{clock}", year % 100).as_bytes()) } else { tagged(0x18, format!("{year:04}{clock}").as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_standard_says() {
        assert_eq!(oid(&[1, 2, 840, 10045, 4, 3, 2]), [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
        assert_eq!(time(0), [&[0x17, 13][..], b"700101000000Z"].concat());
        assert_eq!(time(1_582_934_400), [&[0x17, 13][..], b"200229000000Z"].concat());
        assert_eq!(time(2_524_608_000), [&[0x18, 15][..], b"20500101000000Z"].concat());
        assert_eq!(octets(&[0; 200])[..3], [4, 0x81, 200]);
    }
}
