//! Tokens of the code in an archive: the part of Python that PyTorch's serializer writes.

use super::error::{Fault, Parsed};

/// A token and the line on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub what: Tok,
    pub line: u32,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tok {
    Name(String),
    Int(i64),
    Float(f64),
    /// A number of the imaginary axis.
    Imaginary(f64),
    Text(String),
    /// An operator or bracket.
    Sign(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

/// Signs, longest first.
const SIGNS: &[&str] = &[
    "**=", "//=", "...", "->", "**", "//", "==", "!=", "<=", ">=", "<<", ">>", "+=", "-=", "*=", "/=", "(", ")", "[",
    "]", "{", "}", ",", ":", ".", "=", "+", "-", "*", "/", "%", "<", ">", "@", "&", "|", "^", "~", ";",
];

/// Indentation deeper than this is refused.
const DEEPEST: usize = 200;

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    /// Columns of the blocks that are open.
    blocks: Vec<usize>,
    brackets: usize,
    out: Vec<Token>,
}

/// The tokens of `text`.
///
/// # Errors
/// At what is no token, and at indentation that fits no block.
pub(super) fn lex(text: &str) -> Parsed<Vec<Token>> {
    let mut lexer = Lexer { rest: text, line: 1, blocks: vec![0], brackets: 0, out: Vec::new() };
    lexer.run()?;
    Ok(lexer.out)
}

impl Lexer<'_> {
    fn run(&mut self) -> Parsed<()> {
        let mut fresh = true;
        while !self.rest.is_empty() {
            if fresh && self.brackets == 0 {
                if !self.indentation()? {
                    continue;
                }
                fresh = false;
            }
            match self.rest.as_bytes().first() {
                None => break,
                Some(b'\n') => {
                    if self.brackets == 0 {
                        self.push(Tok::Newline);
                        fresh = true;
                    }
                    self.skip(1);
                    self.line = self.line.saturating_add(1);
                }
                Some(b' ' | b'\t' | b'\r') => self.skip(1),
                Some(b'\\') if self.rest.starts_with("\\\n") => {
                    self.skip(2);
                    self.line = self.line.saturating_add(1);
                }
                Some(b'#') => self.comment(),
                Some(_) => self.token()?,
            }
        }
        if !matches!(self.out.last().map(|t| &t.what), Some(Tok::Newline) | None) {
            self.push(Tok::Newline);
        }
        for _ in 1..self.blocks.len() {
            self.push(Tok::Dedent);
        }
        self.push(Tok::End);
        Ok(())
    }

    fn push(&mut self, what: Tok) {
        self.out.push(Token { what, line: self.line });
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or("");
    }

    fn comment(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.skip(end);
    }

    /// The beginning of a line; false when the line is empty and was passed.
    fn indentation(&mut self) -> Parsed<bool> {
        let blank = |c: char| c == ' ' || c == '\t' || c == '\r';
        let body = self.rest.trim_start_matches(blank);
        let column = self.rest.len().saturating_sub(body.len());
        self.rest = body;
        if body.starts_with('#') {
            self.comment();
        }
        if let Some(rest) = self.rest.strip_prefix('\n') {
            self.rest = rest;
            self.line = self.line.saturating_add(1);
            return Ok(false);
        }
        if self.rest.is_empty() {
            return Ok(false);
        }
        let open = self.blocks.last().copied().unwrap_or(0);
        if column > open {
            if self.blocks.len() > DEEPEST {
                return Err(Fault::new(self.line, "blocks inside each other too deep"));
            }
            self.blocks.push(column);
            self.push(Tok::Indent);
        }
        while self.blocks.last().is_some_and(|&b| column < b) {
            self.blocks.pop();
            self.push(Tok::Dedent);
        }
        match self.blocks.last() {
            Some(&b) if b == column => Ok(true),
            _ => Err(Fault::new(self.line, "the indentation fits no block")),
        }
    }

    fn token(&mut self) -> Parsed<()> {
        let first = self.rest.chars().next().unwrap_or(' ');
        if first == '"' || first == '\'' {
            return self.text();
        }
        if first.is_ascii_digit() || (first == '.' && self.rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)) {
            return self.number();
        }
        if first.is_alphabetic() || first == '_' {
            let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
            let name = self.rest.get(..end).unwrap_or_default().to_owned();
            self.skip(end);
            self.push(Tok::Name(name));
            return Ok(());
        }
        let Some(sign) = SIGNS.iter().find(|s| self.rest.starts_with(**s)) else {
            return Err(Fault::new(self.line, format!("{first:?} begins no token")));
        };
        match *sign {
            "(" | "[" | "{" => self.brackets = self.brackets.saturating_add(1),
            ")" | "]" | "}" => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.skip(sign.len());
        self.push(Tok::Sign(sign));
        Ok(())
    }

    fn number(&mut self) -> Parsed<()> {
        let bytes = self.rest.as_bytes();
        let (mut end, mut float) = (0usize, false);
        while let Some(&b) = bytes.get(end) {
            let sign =
                matches!(b, b'+' | b'-') && end.checked_sub(1).and_then(|i| bytes.get(i)).is_some_and(|p| *p == b'e');
            match b {
                b'0'..=b'9' | b'_' => {}
                b'.' | b'e' | b'E' => float = true,
                _ if sign => {}
                _ => break,
            }
            end = end.saturating_add(1);
        }
        let text = self.rest.get(..end).unwrap_or_default().replace('_', "");
        let wrong = || Fault::new(self.line, format!("{text} is no number"));
        let what = match (bytes.get(end), float) {
            (Some(b'j'), _) => {
                end = end.saturating_add(1);
                Tok::Imaginary(text.parse().map_err(|_| wrong())?)
            }
            (_, true) => Tok::Float(text.parse().map_err(|_| wrong())?),
            // The most negative integer is written with its digits behind a minus.
            (_, false) => match text.parse::<i64>() {
                Ok(n) => Tok::Int(n),
                Err(_) if text == "9223372036854775808" => Tok::Int(i64::MIN),
                Err(_) => return Err(wrong()),
            },
        };
        self.skip(end);
        self.push(what);
        Ok(())
    }

    /// A string, with the escapes of Python.
    fn text(&mut self) -> Parsed<()> {
        let line = self.line;
        let quote = self.rest.chars().next().unwrap_or('"');
        let mut chars = self.rest.char_indices().skip(1);
        let mut out = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.skip(at.saturating_add(1));
                    self.out.push(Token { what: Tok::Text(out), line });
                    return Ok(());
                }
                '\n' => break,
                '\\' => {
                    let Some((_, code)) = chars.next() else { break };
                    match code {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        'a' => out.push('\u{7}'),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        'v' => out.push('\u{b}'),
                        '0'..='7' => {
                            // Octal digits, as the serializer writes other bytes.
                            let mut value = code.to_digit(8).unwrap_or(0);
                            for _ in 0..2 {
                                let mut ahead = chars.clone();
                                let Some((_, d)) = ahead.next() else { break };
                                let Some(d) = d.to_digit(8) else { break };
                                value = value.saturating_mul(8).saturating_add(d);
                                chars = ahead;
                            }
                            out.extend(char::from_u32(value));
                        }
                        'x' => {
                            let digits = chars.by_ref().take(2).map(|(_, c)| c).collect::<String>();
                            let value = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                            out.push(value.ok_or_else(|| Fault::new(line, "a broken escape in a string"))?);
                        }
                        other => out.push(other),
                    }
                }
                c => out.push(c),
            }
        }
        Err(Fault::new(line, "a string without its end"))
    }
}
