//! Patterns of one path as Go's `path/filepath.Match` reads them: `*`, `?`, `[a-z]`, `\x`; no part crosses a `/`.
// Upstream: golang/go src/path/filepath/match.go.

/// Whether the pattern is well formed.
pub fn is_valid(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if chars.next().is_none() {
                    return false;
                }
            }
            '[' => match class_end(chars.as_str()) {
                Some(end) => chars = chars.as_str()[end..].chars(),
                None => return false,
            },
            _ => {}
        }
    }
    true
}

/// Whether the whole name matches. A malformed pattern matches nothing.
pub fn matches(pattern: &str, name: &str) -> bool {
    // The places where the last star may take one more character; linear stacks, no recursion.
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    loop {
        if i == p.len() && j == n.len() {
            return true;
        }
        if p.get(i) == Some(&'*') {
            star = Some((i, j));
            i += 1;
            continue;
        }
        if let Some(step) = n.get(j).and_then(|c| one(&p[i.min(p.len())..], *c)) {
            i += step;
            j += 1;
            continue;
        }
        match star {
            Some((si, sj)) if sj < n.len() && n[sj] != '/' => {
                star = Some((si, sj + 1));
                i = si + 1;
                j = sj + 1;
            }
            _ => return false,
        }
    }
}

/// How long the first element of the pattern is if it matches the character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => (c != '/').then_some(1),
        '\\' => (*pattern.get(1)? == c).then_some(2),
        '[' => {
            let text: String = pattern[1..].iter().collect();
            let end = class_end(&text)?;
            let class = text.get(..end - 1)?;
            (c != '/' && in_class(class, c)).then(|| 1 + text[..end].chars().count())
        }
        literal => (*literal == c).then_some(1),
    }
}

/// Where the class that begins behind `[` ends, behind its `]`.
fn class_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let mut first = true;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '^' if first && at == 0 => continue,
            ']' if !first => return Some(at + 1),
            ']' => return None,
            _ => {}
        }
        first = false;
    }
    None
}

fn in_class(class: &str, c: char) -> bool {
    let (negated, body) = class.strip_prefix('^').map_or((false, class), |b| (true, b));
    let mut chars = body.chars().peekable();
    let mut found = false;
    let next = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next() {
        Some('\\') => chars.next(),
        other => other,
    };
    while let Some(low) = next(&mut chars) {
        let high = if chars.peek() == Some(&'-') {
            chars.next();
            next(&mut chars).unwrap_or(low)
        } else {
            low
        };
        found |= (low..=high).contains(&c);
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_go_matches() {
        for (pattern, name, expected) in [
            ("*.md", "a.md", true), ("*.md", "a/b.md", false), ("a/*/c", "a/b/c", true), ("[a-c]x", "bx", true), ("[^a]x", "ax", false), ("?", "", false),
            (".?*", ".x", true), (".?*", ".", false), ("a\\*", "a*", true), ("*", "", true), ("*a*b", "xaxxb", true), ("[", "[", false), ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(is_valid("[a-z]*") && !is_valid("[a") && !is_valid("a\\") && !is_valid("[]a]"));
    }
}
