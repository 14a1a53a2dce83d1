//! The order in which go-yaml writes the keys of a map: numbers inside keys by value, letters after all else.

/// Sorts entries by their keys.
///
/// The order is not transitive for some sets of keys (`1`, `01`, `0b`), for which upstream's own result varies from run to run; the
/// standard sort may panic on such an order, this one only settles for some sequence.
pub(crate) fn sort_entries<T: Copy>(entries: &mut [(&str, T)], digits_first: bool) {
    const SHORT: usize = 12;
    if entries.len() <= SHORT {
        for i in 1..entries.len() {
            let mut j = i;
            while j > 0 && less(entries[j].0, entries[j - 1].0, digits_first) {
                entries.swap(j, j - 1);
                j -= 1;
            }
        }
        return;
    }
    let (left, right) = entries.split_at_mut(entries.len() / 2);
    sort_entries(left, digits_first);
    sort_entries(right, digits_first);
    let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some(a), Some(b)) = (l.peek(), r.peek()) {
        let next = if less(b.0, a.0, digits_first) { r.next() } else { l.next() };
        merged.extend(next.copied());
    }
    merged.extend(l.copied());
    merged.extend(r.copied());
    entries.copy_from_slice(&merged);
}

// Upstream: go-yaml v2 sorter.go (keyList.Less); `digits_first` is the finer rule of version 3.
fn less(a: &str, b: &str, digits_first: bool) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut after_digit = false;
    for i in 0..a.len().min(b.len()) {
        if a[i] == b[i] {
            after_digit = is_digit(a[i]);
            continue;
        }
        let (a_letter, b_letter) = (a[i].is_alphabetic(), b[i].is_alphabetic());
        if a_letter && b_letter {
            return a[i] < b[i];
        }
        if a_letter || b_letter {
            return if digits_first && after_digit { a_letter } else { b_letter };
        }
        return number_less(&a, &b, i);
    }
    a.len() < b.len()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn number_less(a: &[char], b: &[char], i: usize) -> bool {
    let mut start = 0i64;
    if a[i] == '0' || b[i] == '0' {
        for c in a[..i].iter().rev().take_while(|c| is_digit(**c)) {
            if *c != '0' {
                start = 1;
                break;
            }
        }
    }
    let run = |s: &[char]| {
        let mut n = start;
        let mut len = 0;
        for c in s[i..].iter().take_while(|c| is_digit(**c)) {
            n = n.wrapping_mul(10).wrapping_add(i64::from(*c as u32) - 48);
            len += 1;
        }
        (n, len)
    };
    let ((a_number, a_length), (b_number, b_length)) = (run(a), run(b));
    if a_number != b_number {
        return a_number < b_number;
    }
    if a_length != b_length {
        return a_length < b_length;
    }
    a[i] < b[i]
}
