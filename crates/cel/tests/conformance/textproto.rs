//! Just enough of protobuf's text format to read the specification's cases.

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Message(Vec<(String, Node)>),
    /// A quoted string, unescaped.
    Text(Vec<u8>),
    /// A number, an enum's name, `true`.
    Word(String),
}

impl Node {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        let fields: &[(String, Node)] = match self {
            Node::Message(fields) => fields,
            _ => &[],
        };
        fields.iter().filter(move |(n, _)| n == name).map(|(_, v)| v)
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Message(fields) => fields.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    pub fn first(&self) -> Option<(&str, &Node)> {
        match self {
            Node::Message(fields) => fields.first().map(|(n, v)| (n.as_str(), v)),
            _ => None,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Node::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Node::Word(word) => word.clone(),
            Node::Message(_) => String::new(),
        }
    }

    /// Names and texts, to search in.
    pub fn rendered(&self) -> String {
        match self {
            Node::Message(fields) => fields.iter().map(|(name, value)| format!("{name}: {{{}}} ", value.rendered())).collect(),
            other => other.text(),
        }
    }

    pub fn is_true(&self) -> bool {
        *self == Node::Word("true".into())
    }
}

pub fn parse(text: &str) -> Node {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    Node::Message(reader.fields())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b'#') => {
                    while self.bytes.get(self.at).is_some_and(|b| *b != b'\n') {
                        self.at += 1;
                    }
                }
                Some(b) if b.is_ascii_whitespace() || *b == b',' || *b == b';' => self.at += 1,
                Some(b) => return *b,
                None => return 0,
            }
        }
    }

    fn word(&mut self) -> String {
        self.peek();
        let from = self.at;
        if self.bytes[from] == b'[' {
            while self.bytes[self.at] != b']' {
                self.at += 1;
            }
            self.at += 1;
        } else {
            while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(b)) {
                self.at += 1;
            }
        }
        String::from_utf8_lossy(&self.bytes[from..self.at]).into_owned()
    }

    fn fields(&mut self) -> Vec<(String, Node)> {
        let mut fields = Vec::new();
        loop {
            match self.peek() {
                0 => return fields,
                b'}' | b'>' => {
                    self.at += 1;
                    return fields;
                }
                _ => {
                    let name = self.word();
                    assert!(!name.is_empty(), "stuck at {}", String::from_utf8_lossy(&self.bytes[self.at..(self.at + 40).min(self.bytes.len())]));
                    if self.peek() == b':' {
                        self.at += 1;
                    }
                    if self.peek() == b'[' {
                        self.at += 1;
                        while self.peek() != b']' {
                            fields.push((name.clone(), self.value()));
                        }
                        self.at += 1;
                        continue;
                    }
                    fields.push((name, self.value()));
                }
            }
        }
    }

    fn value(&mut self) -> Node {
        match self.peek() {
            b'{' | b'<' => {
                self.at += 1;
                Node::Message(self.fields())
            }
            b'"' | b'\'' => {
                let mut bytes = Vec::new();
                while matches!(self.peek(), b'"' | b'\'') {
                    self.quoted(&mut bytes);
                }
                Node::Text(bytes)
            }
            _ => Node::Word(self.word()),
        }
    }

    fn quoted(&mut self, out: &mut Vec<u8>) {
        let quote = self.bytes[self.at];
        self.at += 1;
        while self.bytes[self.at] != quote {
            if self.bytes[self.at] == b'\\' {
                self.at += 1;
                self.escape(out);
            } else {
                out.push(self.bytes[self.at]);
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let kind = self.bytes[self.at];
        self.at += 1;
        let number = |reader: &mut Self, radix: u32, most: usize| {
            let mut value = 0;
            for _ in 0..most {
                match reader.bytes.get(reader.at).and_then(|b| char::from(*b).to_digit(radix)) {
                    Some(digit) => value = value * radix + digit,
                    None => break,
                }
                reader.at += 1;
            }
            value
        };
        match kind {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'x' => out.push(number(self, 16, 2) as u8),
            b'u' | b'U' => {
                let code = number(self, 16, if kind == b'u' { 4 } else { 8 });
                out.extend_from_slice(char::from_u32(code).unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]).as_bytes());
            }
            b'0'..=b'7' => {
                self.at -= 1;
                out.push(number(self, 8, 3) as u8);
            }
            other => out.push(other),
        }
    }
}
