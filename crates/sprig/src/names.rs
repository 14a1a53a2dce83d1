//! Camel, snake and kebab case. Upstream: huandu/xstrings.

use std::sync::LazyLock;

use gotemplate::text::{is_letter, is_space, runes};
use regex::Regex;

use crate::strings::{lower, upper};

fn is_connector(rune: char) -> bool {
    matches!(rune, '-' | '_') || is_space(rune)
}

fn is_punctuation(rune: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{P}$").ok());
    CLASS.as_ref().is_some_and(|class| class.is_match(rune.encode_utf8(&mut [0; 4])))
}

/// Letters but for the Han characters, which xstrings takes for other.
fn is_alphabet(rune: char) -> bool {
    is_letter(rune) && !matches!(rune, '\u{4e00}'..='\u{9fcc}' | '\u{3400}'..='\u{4d85}' | '\u{20000}'..='\u{2b81d}')
}

/// Capitals that follow a capital at a word's beginning are made small, up to the first other rune; later ones stay.
pub fn camel(text: &[u8]) -> String {
    let text: Vec<char> = runes(text).map(|(_, r, _)| r).collect();
    let mut out = String::new();
    let mut rest = text.iter().copied();
    let mut current = None;
    let mut capitals = false;
    for rune in rest.by_ref() {
        current = Some(rune);
        if !is_connector(rune) {
            capitals = rune.is_uppercase();
            current = Some(upper(rune));
            break;
        }
        out.push(rune);
    }
    let Some(mut current) = current else { return out };
    if rest.len() == 0 {
        out.push(current);
        return out;
    }
    for rune in rest {
        let before = std::mem::replace(&mut current, rune);
        if is_connector(rune) && is_connector(before) {
            out.push(before);
        } else if is_connector(before) {
            capitals = rune.is_uppercase();
            current = upper(rune);
        } else {
            capitals = capitals && rune.is_uppercase();
            if capitals {
                current = lower(rune);
            }
            out.push(before);
        }
    }
    out.push(current);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

/// The first word's kind and length in runes.
fn next_word(text: &[char]) -> (Word, usize) {
    let Some(&first) = text.first() else { return (Word::Invalid, 0) };
    let run = |from: usize, goes_on: &dyn Fn(char) -> bool| from + text[from..].iter().take_while(|r| goes_on(**r)).count();
    if is_connector(first) {
        (Word::Connector, run(1, &is_connector))
    } else if is_punctuation(first) {
        (Word::Punctuation, run(1, &is_punctuation))
    } else if first.is_uppercase() {
        let uppers = run(1, &char::is_uppercase);
        if uppers == 1 {
            return (Word::Upper, run(1, &|r| is_alphabet(r) && !r.is_uppercase()));
        }
        // The last upper letter before a lower one begins the next word.
        let begins_next = text.get(uppers).is_some_and(|r| is_alphabet(*r));
        (Word::Upper, if begins_next { uppers - 1 } else { uppers })
    } else if is_alphabet(first) {
        (Word::Alphabet, run(1, &|r| is_alphabet(r) && !r.is_uppercase()))
    } else if first.is_numeric() {
        (Word::Number, run(1, &char::is_numeric))
    } else {
        (Word::Other, run(1, &|r| !(is_connector(r) || is_alphabet(r) || r.is_numeric() || is_punctuation(r))))
    }
}

struct Joiner<'t> {
    rest: &'t [char],
    out: String,
    mark: char,
}

impl<'t> Joiner<'t> {
    fn take(&mut self) -> (Word, &'t [char]) {
        let (kind, length) = next_word(self.rest);
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (kind, word)
    }

    fn write(&mut self, kind: Word, word: &[char]) {
        let mark = self.mark;
        let changes = matches!(kind, Word::Upper | Word::Connector);
        self.out.extend(word.iter().map(|r| match changes {
            true if is_connector(*r) => mark,
            true => lower(*r),
            false => *r,
        }));
    }
}

pub fn lower_joined(text: &[u8], mark: char) -> String {
    let text: Vec<char> = runes(text).map(|(_, r, _)| r).filter(|r| *r != char::REPLACEMENT_CHARACTER).collect();
    let mut joiner = Joiner { rest: &text, out: String::new(), mark };
    let (mut kind, mut word) = joiner.take();
    while !joiner.rest.is_empty() {
        if kind != Word::Connector {
            joiner.write(kind, word);
        }
        let (before, last) = (kind, word);
        (kind, word) = joiner.take();
        match before {
            Word::Number => {
                while matches!(kind, Word::Alphabet | Word::Number) {
                    joiner.write(kind, word);
                    (kind, word) = joiner.take();
                }
                if !matches!(kind, Word::Invalid | Word::Punctuation | Word::Connector) {
                    joiner.out.push(mark);
                }
            }
            Word::Connector => joiner.write(before, last),
            Word::Punctuation => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punctuation) {
                    joiner.out.push(mark);
                }
            }
            _ if joiner.rest.is_empty() => {}
            _ => (kind, word) = number_after(&mut joiner, word),
        }
    }
    joiner.write(kind, word);
    joiner.out
}

/// A number after letters belongs to what follows it when letters do.
fn number_after<'t>(joiner: &mut Joiner<'t>, number: &'t [char]) -> (Word, &'t [char]) {
    let (mut kind, mut word) = joiner.take();
    if kind != Word::Alphabet {
        joiner.write(Word::Number, number);
        if !matches!(kind, Word::Connector | Word::Punctuation) {
            joiner.out.push(joiner.mark);
        }
        return (kind, word);
    }
    joiner.out.push(joiner.mark);
    joiner.write(Word::Number, number);
    while matches!(kind, Word::Alphabet | Word::Number) {
        joiner.write(kind, word);
        (kind, word) = joiner.take();
    }
    if !matches!(kind, Word::Invalid | Word::Connector | Word::Punctuation) {
        joiner.out.push(joiner.mark);
    }
    (kind, word)
}
