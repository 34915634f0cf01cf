//! Characters of the text form: white space, comments, identifiers, numbers and strings, with the place of each.

use super::words::is_number;
use modelsmith_format::{Error, Result};
use modelsmith_wire::proto::text_from_bytes;

/// A place in a text that is read.
pub(super) struct Lexer<'t> {
    bytes: &'t [u8],
    at: usize,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// Digits, perhaps with a sign.
    Int(String),
    /// A number with a point or an exponent, an infinity, or NaN.
    Float(String),
    /// The bytes between quotes.
    Bytes(Vec<u8>),
}

impl<'t> Lexer<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Lexer<'t> {
        Lexer { bytes, at: 0 }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Leaves out white space, and comments from `#` to the end of the line.
    fn space(&mut self) {
        while let Some(b) = self.byte(self.at) {
            match b {
                b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => self.at += 1,
                b'#' => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                }
                _ => break,
            }
        }
    }

    /// The next character that is neither white space nor comment.
    pub(super) fn next(&mut self) -> Option<u8> {
        self.space();
        self.byte(self.at)
    }

    /// Takes `wanted` if it comes next.
    pub(super) fn eat(&mut self, wanted: u8) -> bool {
        let found = self.next() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Takes `wanted`.
    ///
    /// # Errors
    /// When something else comes next.
    pub(super) fn want(&mut self, wanted: u8) -> Result<()> {
        match self.eat(wanted) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{}`", char::from(wanted)))),
        }
    }

    /// Takes `=>`.
    ///
    /// # Errors
    /// When something else comes next.
    pub(super) fn arrow(&mut self) -> Result<()> {
        self.next();
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"=>")) {
            self.at += 2;
            return Ok(());
        }
        Err(self.expected("`=>`"))
    }

    /// The identifier that comes next, empty where none does. It is not taken.
    pub(super) fn peek(&mut self) -> &'t str {
        self.space();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let starts = rest.first().is_some_and(|&b| b.is_ascii_alphabetic() || b == b'_');
        let end = rest.iter().position(|&b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(rest.len());
        let word = rest.get(..if starts { end } else { 0 }).unwrap_or_default();
        std::str::from_utf8(word).unwrap_or_default()
    }

    /// Takes an identifier.
    ///
    /// # Errors
    /// When something else comes next; `what` says what was wanted.
    pub(super) fn word(&mut self, what: &str) -> Result<&'t str> {
        let word = self.peek();
        match word.is_empty() {
            true => Err(self.expected(what)),
            false => {
                self.at += word.len();
                Ok(word)
            }
        }
    }

    /// Takes an identifier or a quoted name.
    ///
    /// # Errors
    /// When something else comes next; `what` says what was wanted.
    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        match self.next() {
            Some(b'"') => Ok(text_from_bytes(&self.quoted()?).into_owned()),
            _ => self.word(what).map(str::to_owned),
        }
    }

    /// Takes a quoted string.
    ///
    /// # Errors
    /// When something else comes next, or it does not end.
    pub(super) fn string(&mut self, what: &str) -> Result<String> {
        match self.next() {
            Some(b'"') => Ok(text_from_bytes(&self.quoted()?).into_owned()),
            _ => Err(self.expected(what)),
        }
    }

    /// Takes the string whose quote comes next. `\` makes the character after it one of the string.
    fn quoted(&mut self) -> Result<Vec<u8>> {
        let start = self.at;
        self.at += 1;
        let mut out = Vec::new();
        while let Some(b) = self.byte(self.at) {
            self.at += 1;
            match b {
                b'"' => return Ok(out),
                b'\\' => {
                    out.extend(self.byte(self.at));
                    self.at += 1;
                }
                _ => out.push(b),
            }
        }
        self.at = start;
        Err(self.error("this string does not end: `\"` is expected behind it"))
    }

    /// Takes a constant.
    ///
    /// # Errors
    /// When something else comes next; `what` says what was wanted.
    pub(super) fn literal(&mut self, what: &str) -> Result<Literal> {
        if self.next() == Some(b'"') {
            return self.quoted().map(Literal::Bytes);
        }
        let start = self.at;
        let sign = if self.eat(b'-') { "-" } else { "" };
        let word = self.peek();
        if is_number(word) {
            self.at += word.len();
            return Ok(Literal::Float(format!("{sign}{word}")));
        }
        let digits = self.digits(true);
        if digits.is_empty() {
            self.at = start;
            return Err(self.expected(what));
        }
        let mut text = format!("{sign}{digits}");
        let mut whole = !digits.contains('.');
        if matches!(self.byte(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            text.push('e');
            if let Some(b @ (b'+' | b'-')) = self.byte(self.at) {
                self.at += 1;
                text.push(char::from(b));
            }
            let exponent = self.digits(false);
            if exponent.is_empty() {
                return Err(self.expected("the digits of an exponent"));
            }
            text.push_str(&exponent);
            whole = false;
        }
        Ok(if whole { Literal::Int(text) } else { Literal::Float(text) })
    }

    /// Digits that follow at once, with a point among them where one may be. They begin with a digit.
    fn digits(&mut self, mut point: bool) -> String {
        let mut out = String::new();
        while let Some(b) = self.byte(self.at) {
            match b {
                b'0'..=b'9' => {}
                b'.' if point && !out.is_empty() => point = false,
                _ => break,
            }
            out.push(char::from(b));
            self.at += 1;
        }
        out
    }

    /// Takes a whole number.
    ///
    /// # Errors
    /// When something else comes next, or it does not fit.
    pub(super) fn int(&mut self, what: &str) -> Result<i64> {
        self.next();
        let start = self.at;
        let found = self.literal(what)?;
        let text = match &found {
            Literal::Int(text) => text.as_str(),
            _ => {
                self.at = start;
                return Err(self.expected(what));
            }
        };
        text.parse().map_err(|_| {
            self.at = start;
            self.error(&format!("{text} is beyond the whole numbers of 64 bits"))
        })
    }

    /// Where reading is; for [`Lexer::back`].
    pub(super) fn place(&mut self) -> usize {
        self.space();
        self.at
    }

    /// Goes back to a place.
    pub(super) fn back(&mut self, place: usize) {
        self.at = place;
    }

    /// An error at what comes next: something else was expected.
    pub(super) fn expected(&mut self, what: &str) -> Error {
        self.space();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let word = self.peek();
        let found = match rest.first() {
            None => "the end of the text".to_owned(),
            Some(_) if !word.is_empty() => format!("`{word}`"),
            Some(b) if b.is_ascii_graphic() => format!("`{}`", char::from(*b)),
            Some(b) => format!("the byte {b:#04x}"),
        };
        self.error(&format!("{what} is expected, {found} is there"))
    }

    /// An error at the present place.
    pub(super) fn error(&self, message: &str) -> Error {
        let before = self.bytes.get(..self.at).unwrap_or(self.bytes);
        let line = before.iter().filter(|&&b| b == b'\n').count().saturating_add(1);
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i.saturating_add(1));
        let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count().saturating_add(1);
        Error::damaged(format!("line {line}, column {column}: {message}"))
    }
}
