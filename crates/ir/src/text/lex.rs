use super::{TextError, TextResult};

/// Deepest nesting of types, expressions and bodies.
const MAX_DEPTH: usize = 100;

/// A piece of text.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'t> {
    /// A name or keyword.
    Ident(&'t str),
    /// A number without sign, unread: `12`, `0x1f`, `1.5e-3`.
    Number(&'t str),
    /// A quoted string, unescaped.
    Str(String),
    /// `%name` or `%name@7`.
    Value(String, Option<u64>),
    /// Any other character.
    Punct(char),
    /// The end.
    End,
}

/// Cuts text into tokens, one ahead of the reader.
pub struct Lexer<'t> {
    text: &'t str,
    /// Where the token ahead begins.
    start: usize,
    /// Where the token ahead ends.
    end: usize,
    ahead: Token<'t>,
    depth: usize,
}

pub(super) fn starts_ident(c: char) -> bool {
    (c.is_alphanumeric() && !c.is_numeric()) || c == '_'
}

pub(super) fn in_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn in_value_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-')
}

impl<'t> Lexer<'t> {
    /// A reader of `text`.
    ///
    /// # Errors
    /// When the first token is broken.
    pub fn new(text: &'t str) -> TextResult<Lexer<'t>> {
        let mut l = Lexer { text, start: 0, end: 0, ahead: Token::End, depth: 0 };
        l.advance()?;
        Ok(l)
    }

    /// The token ahead.
    pub fn peek(&self) -> &Token<'t> {
        &self.ahead
    }

    /// Takes the token ahead.
    ///
    /// # Errors
    /// When the one after it is broken.
    pub fn next(&mut self) -> TextResult<Token<'t>> {
        let out = std::mem::replace(&mut self.ahead, Token::End);
        self.advance()?;
        Ok(out)
    }

    /// An error at the token ahead.
    pub fn error<T>(&self, message: impl Into<String>) -> TextResult<T> {
        self.error_at(self.start, message)
    }

    fn error_at<T>(&self, at: usize, message: impl Into<String>) -> TextResult<T> {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Err(TextError { line, column, message: message.into() })
    }

    /// Takes `c` if it is ahead.
    ///
    /// # Errors
    /// When the token after it is broken.
    pub fn eat(&mut self, c: char) -> TextResult<bool> {
        let yes = self.ahead == Token::Punct(c);
        if yes {
            self.advance()?;
        }
        Ok(yes)
    }

    /// Takes the keyword `word` if it is ahead.
    ///
    /// # Errors
    /// When the token after it is broken.
    pub fn eat_word(&mut self, word: &str) -> TextResult<bool> {
        let yes = matches!(self.ahead, Token::Ident(w) if w == word);
        if yes {
            self.advance()?;
        }
        Ok(yes)
    }

    /// Takes `c`.
    ///
    /// # Errors
    /// When something else is ahead.
    pub fn expect(&mut self, c: char) -> TextResult<()> {
        match self.eat(c)? {
            true => Ok(()),
            false => self.error(format!("`{c}` is expected, found {}", self.found())),
        }
    }

    /// Takes a quoted string.
    ///
    /// # Errors
    /// When something else is ahead.
    pub fn string(&mut self) -> TextResult<String> {
        match &mut self.ahead {
            Token::Str(s) => {
                let s = std::mem::take(s);
                self.advance()?;
                Ok(s)
            }
            _ => self.error(format!("a quoted string is expected, found {}", self.found())),
        }
    }

    /// Takes an identifier or a quoted string.
    ///
    /// # Errors
    /// When something else is ahead.
    pub fn name(&mut self) -> TextResult<String> {
        match self.ahead {
            Token::Ident(s) => {
                self.advance()?;
                Ok(s.to_owned())
            }
            Token::Str(_) => self.string(),
            _ => self.error(format!("a name is expected, found {}", self.found())),
        }
    }

    /// Takes an integer with an optional sign.
    ///
    /// # Errors
    /// When something else is ahead, or it does not fit.
    pub fn int<N: TryFrom<i128>>(&mut self) -> TextResult<N> {
        let at = self.start;
        let negative = self.eat('-')?;
        let Token::Number(digits) = self.ahead else {
            return self.error(format!("an integer is expected, found {}", self.found()));
        };
        let value = digits.parse::<i128>().ok().map(|n| if negative { -n } else { n });
        let Some(value) = value.and_then(|n| N::try_from(n).ok()) else {
            return self.error_at(at, format!("the integer {digits} does not fit"));
        };
        self.advance()?;
        Ok(value)
    }

    /// `[item, item]`.
    ///
    /// # Errors
    /// When an item or the punctuation is wrong.
    pub fn list<T>(
        &mut self,
        (open, close): (char, char),
        mut item: impl FnMut(&mut Self) -> TextResult<T>,
    ) -> TextResult<Vec<T>> {
        self.expect(open)?;
        let mut out = Vec::new();
        while !self.eat(close)? {
            if !out.is_empty() {
                self.expect(',')?;
                if self.eat(close)? {
                    break;
                }
            }
            out.push(item(self)?);
        }
        Ok(out)
    }

    /// Runs `f` one level deeper.
    ///
    /// # Errors
    /// When the text nests too deep, or `f` fails.
    pub fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> TextResult<T>) -> TextResult<T> {
        self.enter()?;
        let out = f(self);
        self.leave();
        out
    }

    pub(super) fn enter(&mut self) -> TextResult<()> {
        if self.depth == MAX_DEPTH {
            return self.error("the text nests too deep");
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The token ahead, for messages.
    pub fn found(&self) -> String {
        match &self.ahead {
            Token::End => "the end".into(),
            _ => {
                let text = self.text.get(self.start..self.end).unwrap_or("");
                let short = text.chars().take(24).collect::<String>();
                format!("`{short}`")
            }
        }
    }

    /// True when the token ahead directly follows the one before, without space.
    fn rest(&self) -> &'t str {
        self.text.get(self.end..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.end += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.end += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// Takes characters while `f` holds.
    fn run(&mut self, f: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let len = rest.find(|c| !f(c)).unwrap_or(rest.len());
        self.end += len;
        rest.get(..len).unwrap_or("")
    }

    fn advance(&mut self) -> TextResult<()> {
        self.skip_space();
        self.start = self.end;
        let Some(c) = self.rest().chars().next() else {
            self.ahead = Token::End;
            return Ok(());
        };
        self.ahead = match c {
            '"' => Token::Str(self.quoted()?),
            '%' => {
                self.end += 1;
                self.value()?
            }
            c if starts_ident(c) => Token::Ident(self.run(in_ident)),
            c if c.is_ascii_digit() => Token::Number(self.number()),
            c => {
                self.end += c.len_utf8();
                Token::Punct(c)
            }
        };
        Ok(())
    }

    fn number(&mut self) -> &'t str {
        let start = self.end;
        let hex = self.rest().starts_with("0x");
        self.run(|c| c.is_ascii_alphanumeric() || c == '.');
        let so_far = self.text.get(start..self.end).unwrap_or("");
        if !hex && so_far.ends_with(['e', 'E']) && self.rest().starts_with(['+', '-']) {
            self.end += 1;
            self.run(|c| c.is_ascii_digit());
        }
        self.text.get(start..self.end).unwrap_or("")
    }

    fn value(&mut self) -> TextResult<Token<'t>> {
        let name = match self.rest().starts_with('"') {
            true => self.quoted()?,
            false => self.run(in_value_name).to_owned(),
        };
        let mut number = None;
        if self.rest().starts_with('@') {
            self.end += 1;
            let digits = self.run(|c| c.is_ascii_digit());
            let Ok(n) = digits.parse() else { return self.error("a number is expected after `@`") };
            number = Some(n);
        }
        if name.is_empty() && number.is_none() {
            return self.error("a name is expected after `%`");
        }
        Ok(Token::Value(name, number))
    }

    fn quoted(&mut self) -> TextResult<String> {
        let open = self.end;
        self.end += 1;
        let mut out = String::new();
        loop {
            out.push_str(self.run(|c| c != '"' && c != '\\'));
            let mut chars = self.rest().chars();
            match (chars.next(), chars.next()) {
                (Some('"'), _) => {
                    self.end += 1;
                    return Ok(out);
                }
                (Some('\\'), Some(c)) => {
                    self.end += 1 + c.len_utf8();
                    out.push(self.escaped(c)?);
                }
                _ => return self.error_at(open, "the string is not closed"),
            }
        }
    }

    fn escaped(&mut self, c: char) -> TextResult<char> {
        Ok(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            '"' | '\\' | '\'' => c,
            'u' => {
                let body = self.rest().strip_prefix('{').and_then(|r| r.split_once('}'));
                let code = body.and_then(|(hex, _)| {
                    let c = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)?;
                    Some((c, hex.len() + 2))
                });
                let Some((c, len)) = code else { return self.error_at(self.end, "`\\u{..}` wants a character code") };
                self.end += len;
                c
            }
            _ => return self.error_at(self.end, format!("unknown escape `\\{c}`")),
        })
    }
}
