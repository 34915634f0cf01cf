//! Words of a text, comments apart, and what they mean.

use crate::range::wide;
use std::str;

/// How values are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Hex,
    Decimal,
}

impl Form {
    /// The bits of a value, if it is one.
    pub(super) fn value(self, word: &[u8]) -> Option<u32> {
        let bits = |digits: &[u8]| {
            let all = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
            all.then(|| digits.iter().fold(0, |n, &d| n << 4 | u32::from(nibble(d))))
        };
        match (word.strip_prefix(b"0x"), self) {
            (Some(digits), _) => bits(digits),
            (None, Form::Hex) => bits(word),
            (None, Form::Decimal) => str::from_utf8(word).ok()?.parse::<f32>().ok().map(f32::to_bits),
        }
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit.wrapping_sub(b'0'),
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10) & 15,
    }
}

/// A word and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub text: &'a [u8],
    /// Offset in the file.
    pub at: u64,
}

impl Word<'_> {
    /// A whole decimal number.
    pub(super) fn number(&self) -> Option<u64> {
        let digits = !self.text.is_empty() && self.text.iter().all(u8::is_ascii_digit);
        if digits { str::from_utf8(self.text).ok()?.parse().ok() } else { None }
    }
}

/// The words of a text. A comment begins a line and is kept apart.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a [u8],
    at: u64,
    line_start: bool,
    /// Whether a line ended before the last word.
    pub broke: bool,
    /// Comments passed, without `#`.
    pub comments: Vec<&'a [u8]>,
}

impl<'a> Words<'a> {
    /// Words of `text`, which begins at offset `at` of the file.
    pub(super) fn new(text: &'a [u8], at: u64) -> Words<'a> {
        Words { rest: text, at, line_start: true, broke: false, comments: Vec::new() }
    }

    /// The same words from here on, without the comments so far.
    pub(super) fn ahead(&self) -> Words<'a> {
        Words { line_start: self.line_start, ..Words::new(self.rest, self.at) }
    }

    /// Offset of what comes next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// What comes next.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Passes `n` bytes.
    pub(super) fn skip(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
        self.at = self.at.saturating_add(wide(n));
        self.line_start = false;
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.broke = false;
        loop {
            let blank = self.rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let newline = self.rest.iter().take(blank).any(|&b| b == b'\n');
            let starts = self.line_start || newline;
            self.broke |= newline;
            self.skip(blank);
            if !(starts && self.rest.first() == Some(&b'#')) {
                break;
            }
            let length = self.rest.iter().position(|&b| b == b'\n').unwrap_or(self.rest.len());
            self.comments.push(self.rest.get(1..length).unwrap_or_default());
            self.skip(length);
        }
        let length = self.rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
        let text = self.rest.get(..length).filter(|t| !t.is_empty())?;
        let word = Word { text, at: self.at };
        self.skip(length);
        Some(word)
    }
}

/// What the start of a file is: decimal when a comment says so, or a value is spelled as only decimals are.
pub(super) fn form(head: &[u8]) -> Form {
    let mut words = Words::new(head, 0);
    let (mut left, mut place) = (0u64, 0);
    for word in words.by_ref() {
        // After the first count: a name, a count (or a type and a count), values.
        match (place, word.number()) {
            (0, _) => place = 1,
            (1, _) => place = 2,
            (2, Some(n)) => (left, place) = (n, 3),
            // After the count 0: the name of the next tensor, or the count of this one after its type.
            (3, None) if left == 0 => place = 2,
            (3, Some(n)) if left == 0 => left = n,
            (3, _) if left > 0 => {
                let hex = Form::Hex.value(word.text).is_some();
                if !hex && Form::Decimal.value(word.text).is_some() {
                    return Form::Decimal;
                }
                if !hex || word.text.len() == 8 && word.number().is_none() {
                    break;
                }
                left = left.saturating_sub(1);
                place = if left == 0 { 1 } else { 3 };
            }
            _ => break,
        }
    }
    let says =
        |c: &[u8]| c.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty()).eq([&b"encoding"[..], b"decimal"]);
    if words.comments.iter().any(|c| says(c)) { Form::Decimal } else { Form::Hex }
}
