//! The words of protobuf's text format.

use modelsmith_format::{Error, Result};

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A name, a number, or either with a sign before it.
    Plain(String),
    /// What stands between quotes; neighbours are joined.
    Quoted(Vec<u8>),
    /// One of `: { } < > [ ] , ;`
    Mark(u8),
    End,
}

pub(super) struct Lexer<'t> {
    rest: &'t [u8],
    line: usize,
    next: Word,
}

impl<'t> Lexer<'t> {
    /// # Errors
    /// When the text does not begin with a word.
    pub(super) fn new(text: &'t [u8]) -> Result<Lexer<'t>> {
        let mut lexer = Lexer { rest: text, line: 1, next: Word::End };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The word that comes.
    pub(super) fn peek(&self) -> &Word {
        &self.next
    }

    /// The word that came, and goes on.
    ///
    /// # Errors
    /// When what follows is no word.
    pub(super) fn advance(&mut self) -> Result<Word> {
        let next = self.word()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// Goes past a mark where it comes.
    ///
    /// # Errors
    /// When what follows is no word.
    pub(super) fn eat(&mut self, mark: u8) -> Result<bool> {
        let there = self.next == Word::Mark(mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    /// An error at the line of the word that comes.
    pub(super) fn fail(&self, what: &str) -> Error {
        Error::damaged(format!("line {}: {what}", self.line))
    }

    fn byte(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn skip(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(byte)
    }

    fn space(&mut self) {
        while let Some(byte) = self.byte() {
            match byte {
                b'#' => while self.skip().is_some_and(|b| b != b'\n') {},
                b if b.is_ascii_whitespace() => {
                    self.skip();
                }
                _ => break,
            }
        }
    }

    fn word(&mut self) -> Result<Word> {
        self.space();
        let Some(first) = self.byte() else { return Ok(Word::End) };
        match first {
            b'"' | b'\'' => {
                let mut bytes = Vec::new();
                while let Some(quote @ (b'"' | b'\'')) = self.byte() {
                    self.skip();
                    self.quoted(quote, &mut bytes)?;
                    self.space();
                }
                Ok(Word::Quoted(bytes))
            }
            b':' | b'{' | b'}' | b'<' | b'>' | b'[' | b']' | b',' | b';' => {
                self.skip();
                Ok(Word::Mark(first))
            }
            b if plain(b) => {
                let mut text = String::new();
                while let Some(b) = self.byte().filter(|&b| plain(b)) {
                    text.push(char::from(b));
                    self.skip();
                    // A sign may stand apart from its number.
                    if text == "-" {
                        self.space();
                    }
                }
                Ok(Word::Plain(text))
            }
            other => Err(self.fail(&format!("{:?} is no word of the format", char::from(other)))),
        }
    }

    /// The rest of a string, its quote included.
    fn quoted(&mut self, quote: u8, out: &mut Vec<u8>) -> Result<()> {
        loop {
            match self.skip() {
                Some(b'\n') | None => return Err(self.fail("a string has no end on its line")),
                Some(b) if b == quote => return Ok(()),
                Some(b'\\') => self.escaped(out)?,
                Some(b) => out.push(b),
            }
        }
    }

    /// Digits of a number of this radix, as many as are there up to `most`.
    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = self.byte().and_then(|b| char::from(b).to_digit(radix)) else { break };
            self.skip();
            value = Some(value.unwrap_or(0u32).wrapping_mul(radix).wrapping_add(digit));
        }
        value
    }

    fn escaped(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if matches!(self.byte(), Some(b'0'..=b'7')) {
            let value = self.digits(8, 3).unwrap_or(0);
            out.push(u8::try_from(value).map_err(|_| self.fail("an escape is no byte"))?);
            return Ok(());
        }
        let simple = match self.skip() {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'a') => 7,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'v') => 11,
            Some(b @ (b'\\' | b'\'' | b'"' | b'?')) => b,
            Some(b'x' | b'X') => {
                let value = self.digits(16, 2).and_then(|v| u8::try_from(v).ok());
                value.ok_or_else(|| self.fail("an escape has no digits"))?
            }
            Some(kind @ (b'u' | b'U')) => {
                let value = self.digits(16, if kind == b'u' { 4 } else { 8 }).and_then(char::from_u32);
                let c = value.ok_or_else(|| self.fail("an escape is no character"))?;
                out.extend(c.to_string().as_bytes());
                return Ok(());
            }
            _ => return Err(self.fail("there is no such escape")),
        };
        out.push(simple);
        Ok(())
    }
}

/// Bytes of names and numbers.
fn plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'.' | b'/')
}
