//! From tokens to the tree. Expressions nest to a bounded depth, so that no code exhausts the stack.

use super::ast::{Class, Do, Expr, File, Function, Param, Stmt, Type};
use super::error::{Fault, Parsed};
use super::lex::{Tok, Token, lex};
use std::rc::Rc;

/// Expressions and blocks inside each other that are followed.
const DEEPEST: usize = 200;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    file: Rc<str>,
    depth: usize,
}

/// Parses the file `name` of an archive.
///
/// # Errors
/// At what is not of the part of Python that serializers write.
pub(crate) fn parse(name: &str, text: &str) -> Result<File, Fault> {
    let tokens = lex(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, file: name.into(), depth: 0 };
    let mut file = File::default();
    while *parser.peek() != Tok::End {
        match parser.peek() {
            Tok::Newline | Tok::Sign(";") => parser.at = parser.at.saturating_add(1),
            Tok::Name(n) if n == "class" => file.classes.push(parser.class()?),
            Tok::Name(n) if n == "def" => file.functions.push(Rc::new(parser.function()?)),
            // Older archives begin with imports and the version of the operators.
            _ => {
                parser.statement()?;
            }
        }
    }
    Ok(file)
}

impl Parser<'_> {
    fn peek(&self) -> &Tok {
        self.tokens.get(self.at).map_or(&Tok::End, |t| &t.what)
    }

    fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |t| t.line)
    }

    fn next(&mut self) -> Tok {
        let tok = self.peek().clone();
        self.at = self.at.saturating_add(1);
        tok
    }

    fn fault<T>(&self, what: impl Into<String>) -> Parsed<T> {
        Err(Fault::new(self.line(), what))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Tok::Sign(s) if *s == sign)
    }

    fn word(&self, word: &str) -> bool {
        matches!(self.peek(), Tok::Name(n) if n == word)
    }

    /// Passes `sign` if it is next.
    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.word(word);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn want(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) {
            return Ok(());
        }
        self.fault(format!("`{sign}` is wanted, {} is there", show(self.peek())))
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Tok::Name(name) => {
                let name = name.clone();
                self.at = self.at.saturating_add(1);
                Ok(name)
            }
            other => self.fault(format!("a name is wanted, {} is there", show(other))),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return self.fault(format!("more than {DEEPEST} expressions or blocks inside each other"));
        }
        self.depth = self.depth.saturating_add(1);
        let out = parse(self);
        self.depth = self.depth.saturating_sub(1);
        out
    }

    fn end_of_line(&mut self) -> Parsed<()> {
        while self.take(";") {}
        match self.peek() {
            Tok::Newline => {
                self.at = self.at.saturating_add(1);
                Ok(())
            }
            Tok::End | Tok::Dedent => Ok(()),
            other => self.fault(format!("the end of the line is wanted, {} is there", show(other))),
        }
    }

    fn class(&mut self) -> Parsed<Class> {
        self.name()?;
        let name = self.name()?;
        let mut base = String::new();
        if self.take("(") {
            if !self.is(")") {
                base = self.ty()?.name;
            }
            self.want(")")?;
        }
        self.want(":")?;
        let mut class = Class { name, base, attrs: Vec::new(), methods: Vec::new() };
        self.end_of_line()?;
        if *self.peek() != Tok::Indent {
            return Ok(class);
        }
        self.next();
        while !matches!(self.peek(), Tok::Dedent | Tok::End) {
            if self.word("def") {
                class.methods.push(Rc::new(self.function()?));
                continue;
            }
            if *self.peek() == Tok::Newline {
                self.next();
                continue;
            }
            self.member(&mut class)?;
        }
        self.next();
        Ok(class)
    }

    /// `name : type`, `name : Final[type] = value`, `__annotations__["name"] = type`, or an assignment that says nothing.
    fn member(&mut self, class: &mut Class) -> Parsed<()> {
        let name = self.name()?;
        if name == "pass" {
            return self.end_of_line();
        }
        if self.take(":") {
            let ty = self.ty()?;
            let value = if self.take("=") { Some(self.expr()?) } else { None };
            class.attrs.push((name, ty, value));
            return self.end_of_line();
        }
        if name == "__annotations__" && self.take("[") {
            let Tok::Text(key) = self.next() else { return self.fault("a string is wanted") };
            self.want("]")?;
            self.want("=")?;
            let ty = self.ty()?;
            class.attrs.push((key, ty, None));
            return self.end_of_line();
        }
        self.want("=")?;
        self.expr()?;
        self.end_of_line()
    }

    fn function(&mut self) -> Parsed<Function> {
        self.name()?;
        let name = self.name()?;
        self.want("(")?;
        let mut params = Vec::new();
        while !self.is(")") {
            self.take("*");
            if self.take(",") {
                continue;
            }
            let name = self.name()?;
            let ty = if self.take(":") { Some(self.ty()?) } else { None };
            let default = if self.take("=") { Some(self.expr()?) } else { None };
            params.push(Param { name, ty, default });
            if !self.take(",") {
                break;
            }
        }
        self.want(")")?;
        if self.take("->") {
            self.ty()?;
        }
        self.want(":")?;
        let body = self.block()?;
        Ok(Function { name, params, body, file: self.file.clone() })
    }

    fn block(&mut self) -> Parsed<Vec<Stmt>> {
        self.deeper(|p| {
            if *p.peek() != Tok::Newline {
                let one = p.statement()?;
                return Ok(vec![one]);
            }
            p.next();
            if *p.peek() != Tok::Indent {
                return p.fault("an indented block is wanted");
            }
            p.next();
            let mut out = Vec::new();
            while !matches!(p.peek(), Tok::Dedent | Tok::End) {
                if *p.peek() == Tok::Newline {
                    p.next();
                    continue;
                }
                out.push(p.statement()?);
            }
            p.next();
            Ok(out)
        })
    }

    fn statement(&mut self) -> Parsed<Stmt> {
        let line = self.line();
        let word = if let Tok::Name(n) = self.peek() { n.clone() } else { String::new() };
        let what = match word.as_str() {
            "if" => {
                self.next();
                return self.branches(line);
            }
            "while" => {
                self.next();
                let cond = self.expr()?;
                self.want(":")?;
                let body = self.block()?;
                return Ok(Stmt { what: Do::While { cond, body }, line });
            }
            "for" => {
                self.next();
                let target = self.name()?;
                if !self.take_word("in") {
                    return self.fault("`in` is wanted");
                }
                let count = self.expr()?;
                self.want(":")?;
                let body = self.block()?;
                return Ok(Stmt { what: Do::For { target, count, body }, line });
            }
            "with" => {
                self.next();
                self.expr()?;
                if self.take_word("as") {
                    self.name()?;
                }
                self.want(":")?;
                let body = self.block()?;
                return Ok(Stmt { what: Do::With(body), line });
            }
            "return" => {
                self.next();
                let value = if matches!(self.peek(), Tok::Newline | Tok::End) { None } else { Some(self.exprs()?) };
                Do::Return(value)
            }
            "raise" => {
                self.next();
                Do::Raise(self.expr()?)
            }
            "assert" => {
                self.next();
                let cond = self.expr()?;
                let message = if self.take(",") { Some(self.expr()?) } else { None };
                Do::Assert(cond, message)
            }
            "pass" => {
                self.next();
                Do::Pass
            }
            "import" => {
                while !matches!(self.peek(), Tok::Newline | Tok::End) {
                    self.next();
                }
                Do::Pass
            }
            _ => self.assignment()?,
        };
        self.end_of_line()?;
        Ok(Stmt { what, line })
    }

    fn branches(&mut self, line: u32) -> Parsed<Stmt> {
        let cond = self.expr()?;
        self.want(":")?;
        let then = self.block()?;
        let inner = self.line();
        let other = if self.take_word("elif") {
            vec![self.deeper(|p| p.branches(inner))?]
        } else if self.take_word("else") {
            self.want(":")?;
            self.block()?
        } else {
            Vec::new()
        };
        Ok(Stmt { what: Do::If { cond, then, other }, line })
    }

    fn assignment(&mut self) -> Parsed<Do> {
        let first = self.expr()?;
        let mut targets = vec![first];
        let mut unpack = false;
        while self.take(",") {
            unpack = true;
            if self.is("=") || *self.peek() == Tok::Newline {
                break;
            }
            targets.push(self.expr()?);
        }
        if self.take(":") {
            self.ty()?;
        }
        if self.take("=") {
            let value = self.exprs()?;
            return Ok(Do::Assign { targets, unpack, value });
        }
        for (sign, op) in [("+=", "+"), ("-=", "-"), ("*=", "*"), ("/=", "/"), ("//=", "//")] {
            if self.take(sign) {
                let right = self.expr()?;
                let left = targets.first().cloned().unwrap_or(Expr::None);
                let value = Expr::Binary(op, Box::new(left), Box::new(right));
                return Ok(Do::Assign { targets, unpack: false, value });
            }
        }
        match (targets.pop(), unpack) {
            (Some(one), false) => Ok(Do::Expr(one)),
            (last, _) => Ok(Do::Expr(Expr::Tuple(targets.into_iter().chain(last).collect()))),
        }
    }

    /// Expressions with commas between them are a tuple.
    fn exprs(&mut self) -> Parsed<Expr> {
        let first = self.expr()?;
        if !self.is(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take(",") {
            if matches!(self.peek(), Tok::Newline | Tok::End) || self.is("=") {
                break;
            }
            items.push(self.expr()?);
        }
        Ok(Expr::Tuple(items))
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(|p| {
            let value = p.binary(0)?;
            if p.take_word("if") {
                let cond = p.binary(0)?;
                if !p.take_word("else") {
                    return p.fault("`else` is wanted");
                }
                let other = p.expr()?;
                return Ok(Expr::Choice(Box::new(cond), Box::new(value), Box::new(other)));
            }
            Ok(value)
        })
    }

    /// The operator of two operands that is next, if it binds at least as tightly as `level`.
    fn operator(&self, level: usize) -> Option<(&'static str, usize, usize)> {
        const LEVELS: &[&[&str]] = &[
            &["or"],
            &["and"],
            &["in", "is", "==", "!=", "<=", ">=", "<", ">"],
            &["|"],
            &["^"],
            &["&"],
            &["<<", ">>"],
            &["+", "-"],
            &["*", "/", "//", "%", "@"],
        ];
        let text = match self.peek() {
            Tok::Sign(s) => s,
            Tok::Name(n) => n.as_str(),
            _ => return None,
        };
        if text == "not"
            && matches!(self.tokens.get(self.at.saturating_add(1)).map(|t| &t.what), Some(Tok::Name(n)) if n == "in")
        {
            return (level <= 2).then_some(("not in", 2, 2));
        }
        let (at, row) = LEVELS.iter().enumerate().skip(level).find(|(_, row)| row.contains(&text))?;
        let op = row.iter().find(|o| **o == text)?;
        let not = *op == "is"
            && matches!(self.tokens.get(self.at.saturating_add(1)).map(|t| &t.what), Some(Tok::Name(n)) if n == "not");
        Some(if not { ("is not", at, 2) } else { (op, at, 1) })
    }

    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        let mut left = self.unary()?;
        while let Some((op, at, words)) = self.operator(level) {
            self.at = self.at.saturating_add(words);
            let right = self.deeper(|p| p.binary(at.saturating_add(1)))?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if self.take_word("not") {
            let of = self.deeper(|p| p.binary(2))?;
            return Ok(Expr::Unary("not", Box::new(of)));
        }
        for sign in ["-", "+", "~"] {
            if self.take(sign) {
                let of = self.deeper(Self::unary)?;
                return Ok(match (sign, of) {
                    ("-", Expr::Int(n)) => Expr::Int(n.wrapping_neg()),
                    ("-", Expr::Float(x)) => Expr::Float(-x),
                    (sign, of) => Expr::Unary(sign, Box::new(of)),
                });
            }
        }
        let base = self.postfix()?;
        if self.take("**") {
            let power = self.deeper(Self::unary)?;
            return Ok(Expr::Binary("**", Box::new(base), Box::new(power)));
        }
        Ok(base)
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut value = self.atom()?;
        loop {
            if self.take(".") {
                let name = self.name()?;
                value = Expr::Attr(Box::new(value), name.into());
            } else if self.take("(") {
                let args = self.arguments()?;
                value = Expr::Call(Box::new(value), args);
            } else if self.take("[") {
                let index = self.deeper(Self::exprs)?;
                self.take(",");
                self.want("]")?;
                value = Expr::Item(Box::new(value), Box::new(index));
            } else {
                return Ok(value);
            }
        }
    }

    fn arguments(&mut self) -> Parsed<Vec<(Option<String>, Expr)>> {
        let mut args = Vec::new();
        while !self.is(")") {
            let named = matches!(self.tokens.get(self.at.saturating_add(1)).map(|t| &t.what), Some(Tok::Sign("=")));
            let name = match (named, self.peek()) {
                (true, Tok::Name(n)) => {
                    let name = n.clone();
                    self.at = self.at.saturating_add(2);
                    Some(name)
                }
                _ => None,
            };
            args.push((name, self.expr()?));
            if !self.take(",") {
                break;
            }
        }
        self.want(")")?;
        Ok(args)
    }

    fn atom(&mut self) -> Parsed<Expr> {
        match self.next() {
            Tok::Int(n) => Ok(Expr::Int(n)),
            Tok::Float(x) => Ok(Expr::Float(x)),
            Tok::Imaginary(_) => Ok(Expr::Imaginary),
            Tok::Text(t) => {
                let mut text = t;
                while let Tok::Text(more) = self.peek() {
                    text.push_str(more);
                    self.at = self.at.saturating_add(1);
                }
                Ok(Expr::Text(text.into()))
            }
            Tok::Name(n) => Ok(match n.as_str() {
                "None" => Expr::None,
                "True" => Expr::Bool(true),
                "False" => Expr::Bool(false),
                "inf" => Expr::Float(f64::INFINITY),
                "nan" => Expr::Float(f64::NAN),
                _ => Expr::Name(n.into()),
            }),
            Tok::Sign("(") => self.parenthesis(),
            Tok::Sign("[") => Ok(Expr::List(self.items("]")?)),
            Tok::Sign("{") => self.dict(),
            other => {
                self.at = self.at.saturating_sub(1);
                self.fault(format!("an expression is wanted, {} is there", show(&other)))
            }
        }
    }

    fn items(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.is(close) {
            items.push(self.expr()?);
            if !self.take(",") {
                break;
            }
        }
        self.want(close)?;
        Ok(items)
    }

    fn parenthesis(&mut self) -> Parsed<Expr> {
        if self.take(")") {
            return Ok(Expr::Tuple(Vec::new()));
        }
        let first = self.expr()?;
        if self.take(")") {
            return Ok(first);
        }
        self.want(",")?;
        let mut items = vec![first];
        items.extend(self.items(")")?);
        Ok(Expr::Tuple(items))
    }

    fn dict(&mut self) -> Parsed<Expr> {
        let mut pairs = Vec::new();
        while !self.is("}") {
            let key = self.expr()?;
            self.want(":")?;
            pairs.push((key, self.expr()?));
            if !self.take(",") {
                break;
            }
        }
        self.want("}")?;
        Ok(Expr::Dict(pairs))
    }

    /// A type, as annotations have it.
    fn ty(&mut self) -> Parsed<Type> {
        self.deeper(|p| {
            if let Tok::Text(text) = p.peek() {
                let ty = Type::plain(text);
                p.at = p.at.saturating_add(1);
                return Ok(ty);
            }
            let mut name = p.name()?;
            while p.take(".") {
                name.push('.');
                name.push_str(&p.name()?);
            }
            let mut args = Vec::new();
            if p.take("[") {
                while !p.is("]") {
                    if p.take("(") {
                        p.want(")")?;
                    } else {
                        args.push(p.ty()?);
                    }
                    if !p.take(",") {
                        break;
                    }
                }
                p.want("]")?;
            }
            // A future or a reference carries its type in parentheses.
            if name == "Future" && p.take("(") {
                args.push(p.ty()?);
                p.want(")")?;
            }
            Ok(Type { name, args })
        })
    }
}

fn show(tok: &Tok) -> String {
    match tok {
        Tok::Name(n) => format!("`{n}`"),
        Tok::Sign(s) => format!("`{s}`"),
        Tok::Int(n) => format!("`{n}`"),
        Tok::Float(x) | Tok::Imaginary(x) => format!("`{x}`"),
        Tok::Text(_) => "a string".into(),
        Tok::Newline => "the end of the line".into(),
        Tok::Indent => "a deeper block".into(),
        Tok::Dedent => "the end of the block".into(),
        Tok::End => "the end of the file".into(),
    }
}

/// An expression that is a type, such as the first argument of `annotate`.
pub(crate) fn as_type(e: &Expr) -> Option<Type> {
    match e {
        Expr::None => Some(Type::plain("NoneType")),
        Expr::Item(of, index) => {
            let name = of.dotted()?;
            let args = match index.as_ref() {
                Expr::Tuple(items) => items.iter().map(as_type).collect::<Option<Vec<_>>>()?,
                one => vec![as_type(one)?],
            };
            Some(Type { name, args })
        }
        other => other.dotted().map(|name| Type { name, args: Vec::new() }),
    }
}
