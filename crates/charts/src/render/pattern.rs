//! Patterns of `.Files.Glob`: `*` and `?` stop at `/`, `**` does not; classes, alternatives in braces, escapes.
// Upstream: gobwas/glob.

/// How deep braces nest, and how many steps a match may take.
const MAX_DEPTH: usize = 32;
const MAX_STEPS: usize = 1_000_000;

#[derive(Debug)]
enum Node {
    Text(char),
    /// Any one but `/`.
    One,
    /// Any run without `/`.
    Run,
    /// Any run.
    Deep,
    Class { negative: bool, ranges: Vec<(char, char)> },
    Choice(Vec<Vec<Node>>),
}

#[derive(Debug)]
pub struct Pattern(Vec<Node>);

struct Parser<'p> {
    text: std::iter::Peekable<std::str::Chars<'p>>,
}

impl Pattern {
    /// Nothing when the pattern cannot be read.
    pub fn parse(text: &str) -> Option<Pattern> {
        let mut parser = Parser { text: text.chars().peekable() };
        let nodes = parser.sequence(0)?;
        parser.text.next().is_none().then_some(Pattern(nodes))
    }

    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        if let Some((prefix, suffix)) = self.edges() {
            return name.starts_with(&prefix) && name.ends_with(&suffix);
        }
        let mut steps = MAX_STEPS;
        matches(&[&self.0], &name, &mut steps)
    }
}

impl Pattern {
    /// Text before and after a single `**`: upstream looks at both ends alone, which may overlap.
    fn edges(&self) -> Option<(Vec<char>, Vec<char>)> {
        let at = self.0.iter().position(|node| matches!(node, Node::Deep))?;
        let text = |nodes: &[Node]| nodes.iter().map(|node| if let Node::Text(c) = node { Some(*c) } else { None }).collect::<Option<Vec<char>>>();
        let (prefix, suffix) = (text(&self.0[..at])?, text(&self.0[at + 1..])?);
        (!prefix.is_empty() && !suffix.is_empty()).then_some((prefix, suffix))
    }
}

impl Parser<'_> {
    fn sequence(&mut self, depth: usize) -> Option<Vec<Node>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut nodes = Vec::new();
        while let Some(&c) = self.text.peek() {
            if depth > 0 && matches!(c, ',' | '}') {
                break;
            }
            self.text.next();
            nodes.push(match c {
                // A lone one at the end counts for nothing.
                '\\' => match self.text.next() {
                    Some(c) => Node::Text(c),
                    None => break,
                },
                '?' => Node::One,
                '*' if self.text.next_if_eq(&'*').is_some() => Node::Deep,
                '*' => Node::Run,
                '[' => self.class()?,
                '{' => self.choice(depth)?,
                c => Node::Text(c),
            });
        }
        Some(nodes)
    }

    /// Alternatives up to the brace, or to the end where it is missing.
    fn choice(&mut self, depth: usize) -> Option<Node> {
        let mut choices = vec![self.sequence(depth + 1)?];
        while self.text.next_if_eq(&',').is_some() {
            choices.push(self.sequence(depth + 1)?);
        }
        self.text.next_if_eq(&'}');
        Some(Node::Choice(choices))
    }

    /// `[a-z]` or `[abc]`, never both in one; either after a `!`.
    fn class(&mut self) -> Option<Node> {
        let negative = self.text.next_if_eq(&'!').is_some();
        let mut ahead = self.text.clone();
        let low = ahead.next()?;
        if ahead.next() == Some('-') {
            let high = ahead.next()?;
            self.text = ahead;
            self.text.next_if_eq(&']')?;
            return (high >= low).then(|| Node::Class { negative, ranges: vec![(low, high)] });
        }
        let mut ranges = Vec::new();
        loop {
            let c = match self.text.next()? {
                ']' => break,
                '\\' => self.text.next()?,
                c => c,
            };
            ranges.push((c, c));
        }
        (!ranges.is_empty()).then_some(Node::Class { negative, ranges })
    }
}

/// Whether the pieces, one after another, match the whole of the rest.
fn matches(pieces: &[&[Node]], name: &[char], steps: &mut usize) -> bool {
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    let Some((piece, after)) = pieces.split_first() else { return name.is_empty() };
    let Some((node, rest)) = piece.split_first() else { return matches(after, name, steps) };
    let mut following = vec![rest];
    following.extend_from_slice(after);
    let one = |fits: bool, steps: &mut usize| fits && matches(&following, &name[1..], steps);
    match node {
        Node::Text(c) => one(name.first() == Some(c), steps),
        Node::One => one(name.first().is_some_and(|c| *c != '/'), steps),
        Node::Class { negative, ranges } => {
            let fits = name.first().is_some_and(|c| ranges.iter().any(|(low, high)| (low..=high).contains(&c)) != *negative);
            one(fits, steps)
        }
        Node::Run | Node::Deep => {
            let free = match node {
                Node::Run => name.iter().take_while(|c| **c != '/').count(),
                _ => name.len(),
            };
            (0..=free).any(|taken| matches(&following, &name[taken..], steps))
        }
        Node::Choice(choices) => choices.iter().any(|choice| {
            let mut pieces: Vec<&[Node]> = vec![choice];
            pieces.extend_from_slice(&following);
            matches(&pieces, name, steps)
        }),
    }
}
