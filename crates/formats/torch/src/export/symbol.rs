//! Expressions over symbolic sizes, as SymPy prints them: `2*s0 + 1` in older archives, `Mul(Integer(2), Symbol('s0'))` in
//! newer ones, and the conditions of `guards_code`: `L['x'].size()[1] <= 512`.

use modelsmith_ir::Dim;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Int(i64),
    /// A number that is no integer, or too large for one.
    Other,
    Name(String),
    Text(String),
    Call(Box<Term>, Vec<Term>),
    Item(Box<Term>, Box<Term>),
    Attr(Box<Term>, String),
    Binary(&'static str, Box<Term>, Box<Term>),
    Unary(&'static str, Box<Term>),
}

/// Parentheses inside each other, and bytes of an expression, that are followed.
const DEPTH: usize = 64;
const LENGTH: usize = 2048;

/// Operators of each precedence, loosest first.
const LEVELS: [&[&str]; 6] =
    [&["or", "|"], &["and", "&"], &["<=", ">=", "==", "!=", "<", ">"], &["+", "-"], &["*", "//", "/", "%"], &["**"]];

/// The expression `text`; `None` where it is none.
pub(super) fn parse(text: &str) -> Option<Term> {
    if text.len() > LENGTH {
        return None;
    }
    let mut p = Parser { rest: text.trim_start(), depth: 0 };
    let term = p.level(0)?;
    p.rest.is_empty().then_some(term)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        let word = token.chars().all(char::is_alphabetic);
        if word && rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return false;
        }
        self.rest = rest.trim_start();
        true
    }

    fn word(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn level(&mut self, level: usize) -> Option<Term> {
        let Some(ops) = LEVELS.get(level) else { return self.postfix() };
        if level == 0 {
            self.depth = self.depth.checked_add(1).filter(|&d| d < DEPTH)?;
        }
        if level == 2 && self.take("not") {
            let of = self.level(2)?;
            return Some(Term::Unary("not", Box::new(of)));
        }
        if level == 4 && self.take("-") {
            let of = self.level(4)?;
            return Some(Term::Unary("-", Box::new(of)));
        }
        let next = level.saturating_add(1);
        let mut left = self.level(next)?;
        loop {
            // `**` begins with `*`, which is looser.
            let power = level == 4 && self.rest.starts_with("**");
            let Some(op) = ops.iter().find(|op| !power && self.take(op)) else { break };
            let right = self.level(next)?;
            left = Term::Binary(op, Box::new(left), Box::new(right));
        }
        if level == 0 {
            self.depth = self.depth.saturating_sub(1);
        }
        Some(left)
    }

    fn postfix(&mut self) -> Option<Term> {
        let mut term = self.atom()?;
        loop {
            if self.take("(") {
                term = Term::Call(Box::new(term), self.arguments()?);
            } else if self.take("[") {
                let index = self.level(0)?;
                term = self.take("]").then(|| Term::Item(Box::new(term), Box::new(index)))?;
            } else if self.take(".") {
                let name = self.word(|c| c.is_alphanumeric() || c == '_');
                term = (!name.is_empty()).then(|| Term::Attr(Box::new(term), name.to_owned()))?;
            } else {
                return Some(term);
            }
        }
    }

    /// Arguments up to the closing parenthesis; named ones say what a symbol is assumed to be, and are dropped.
    fn arguments(&mut self) -> Option<Vec<Term>> {
        let mut out = Vec::new();
        while !self.take(")") {
            let value = self.level(0)?;
            if self.rest.starts_with('=') && !self.rest.starts_with("==") {
                self.take("=");
                self.level(0)?;
            } else {
                out.push(value);
            }
            if !self.take(",") && !self.rest.starts_with(')') {
                return None;
            }
        }
        Some(out)
    }

    fn atom(&mut self) -> Option<Term> {
        let first = self.rest.chars().next()?;
        if self.take("(") {
            let inner = self.level(0)?;
            return self.take(")").then_some(inner);
        }
        if first == '\'' || first == '"' {
            let (text, rest) = self.rest.get(1..)?.split_once(first)?;
            self.rest = rest.trim_start();
            return Some(Term::Text(text.to_owned()));
        }
        if self.take("-") {
            let of = self.postfix()?;
            return Some(Term::Unary("-", Box::new(of)));
        }
        if first.is_ascii_digit() {
            let digits = self.word(|c| c.is_ascii_digit() || c == '.');
            return Some(digits.parse().map_or(Term::Other, Term::Int));
        }
        let name = self.word(|c| c.is_alphanumeric() || c == '_');
        (!name.is_empty()).then(|| Term::Name(name.to_owned()))
    }
}

/// A fraction of dimensions: SymPy writes a quotient as a product with a power of -1.
struct Ratio(Dim, Dim);

impl Ratio {
    fn whole(d: Dim) -> Ratio {
        Ratio(d, Dim::Known(1))
    }

    fn dim(self) -> Dim {
        self.0.floor_div(&self.1)
    }
}

/// The dimension that `term` is, `size` giving what stands for names and for `L['x'].size()[1]`. What is none is unknown.
pub(super) fn dim(term: &Term, size: &dyn Fn(&Term) -> Option<Dim>) -> Dim {
    ratio(term, size).dim()
}

fn ratio(term: &Term, size: &dyn Fn(&Term) -> Option<Dim>) -> Ratio {
    if let Some(found) = size(term) {
        return Ratio::whole(found);
    }
    let of = |t: &Term| ratio(t, size);
    match term {
        Term::Int(n) => Ratio::whole(Dim::Known(*n)),
        Term::Unary("-", t) => {
            let Ratio(a, b) = of(t);
            Ratio(a * Dim::Known(-1), b)
        }
        Term::Binary("+", a, b) => sum(of(a), of(b)),
        Term::Binary("-", a, b) => {
            let Ratio(n, d) = of(b);
            sum(of(a), Ratio(n * Dim::Known(-1), d))
        }
        Term::Binary("*", a, b) => product(of(a), of(b)),
        Term::Binary("/", a, b) => {
            let Ratio(n, d) = of(b);
            product(of(a), Ratio(d, n))
        }
        Term::Binary("//", a, b) => Ratio::whole(of(a).dim().floor_div(&of(b).dim())),
        Term::Binary("%", a, b) => Ratio::whole(of(a).dim().modulo(&of(b).dim())),
        Term::Binary("**", a, b) => power(of(a), b),
        Term::Call(f, args) => match f.as_ref() {
            Term::Name(name) => call(name, args, &of),
            _ => Ratio::whole(Dim::Unknown),
        },
        _ => Ratio::whole(Dim::Unknown),
    }
}

fn sum(Ratio(a, b): Ratio, Ratio(c, d): Ratio) -> Ratio {
    if b == d { Ratio(a + c, b) } else { Ratio(a * d.clone() + c * b.clone(), b * d) }
}

fn product(Ratio(a, b): Ratio, Ratio(c, d): Ratio) -> Ratio {
    Ratio(a * c, b * d)
}

fn power(base: Ratio, exponent: &Term) -> Ratio {
    let n = match exponent {
        Term::Int(n) => Some(*n),
        Term::Unary("-", t) => {
            if let Term::Int(n) = t.as_ref() {
                n.checked_neg()
            } else {
                None
            }
        }
        Term::Call(_, args) => {
            if let [Term::Int(n)] = args.as_slice() {
                Some(*n)
            } else {
                None
            }
        }
        _ => None,
    };
    let (n, base) = match n {
        Some(n @ -8..0) => (n.saturating_neg(), Ratio(base.1, base.0)),
        Some(n @ 0..=8) => (n, base),
        _ => return Ratio::whole(Dim::Unknown),
    };
    (0..n).fold(Ratio::whole(Dim::Known(1)), |p, _| product(p, Ratio(base.0.clone(), base.1.clone())))
}

fn call(name: &str, args: &[Term], of: &dyn Fn(&Term) -> Ratio) -> Ratio {
    let one = |i: usize| args.get(i).map_or(Dim::Unknown, |t| of(t).dim());
    let fold = |how: &dyn Fn(&Dim, &Dim) -> Dim| {
        let mut all = args.iter().map(|t| of(t).dim());
        let first = all.next().unwrap_or(Dim::Unknown);
        Ratio::whole(all.fold(first, |a, b| how(&a, &b)))
    };
    match (name, args) {
        ("Integer" | "Identity" | "IntTrueDivExact", [t]) => of(t),
        ("Rational", [a, b]) | ("IntTrueDiv" | "CleanDiv", [a, b]) => {
            let Ratio(n, d) = of(b);
            product(of(a), Ratio(d, n))
        }
        ("Add", _) => args.iter().map(of).reduce(sum).unwrap_or(Ratio::whole(Dim::Known(0))),
        ("Mul", _) => args.iter().map(of).reduce(product).unwrap_or(Ratio::whole(Dim::Known(1))),
        ("Pow" | "PowByNatural", [a, b]) => power(of(a), b),
        ("FloorDiv", [_, _]) => Ratio::whole(one(0).floor_div(&one(1))),
        ("CeilDiv", [_, _]) => Ratio::whole(one(0).ceil_div(&one(1))),
        ("Mod" | "PythonMod", [_, _]) => Ratio::whole(one(0).modulo(&one(1))),
        ("ModularIndexing", [_, _, _]) => Ratio::whole(one(0).floor_div(&one(1)).modulo(&one(2))),
        ("Min", [_, ..]) => fold(&|a, b| a.smaller(b)),
        ("Max", [_, ..]) => fold(&|a, b| a.larger(b)),
        ("FloorToInt" | "floor" | "TruncToInt", [t]) => Ratio::whole(of(t).dim()),
        ("CeilToInt" | "ceiling", [t]) => {
            let Ratio(n, d) = of(t);
            Ratio::whole(n.ceil_div(&d))
        }
        _ => Ratio::whole(Dim::Unknown),
    }
}

/// The name of a symbol: `s0`, or `Symbol('s0', ..)`.
pub(super) fn symbol(term: &Term) -> Option<&str> {
    match term {
        Term::Name(name) => Some(name),
        Term::Call(f, args) => match (f.as_ref(), args.first()) {
            (Term::Name(f), Some(Term::Text(name))) if f == "Symbol" => Some(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let size = |t: &Term| symbol(t).map(Dim::symbol);
        parse(text).map_or("no expression".into(), |t| dim(&t, &size).to_string())
    }

    #[test]
    fn both_ways_of_writing_give_the_same() {
        let new = "Add(Mul(Integer(2), Symbol('s0', positive=True, integer=True)), Integer(-1))";
        assert_eq!(read(new), read("2*s0 - 1"));
        assert_eq!(read("Mul(Rational(1, 2), Symbol('s0', integer=True))"), read("(s0//2)"));
        assert_eq!(read("FloorDiv(Add(Symbol('s0'), Integer(3)), Integer(4))"), read("((s0 + 3)//4)"));
        assert_eq!(read("Pow(Symbol('s0'), Integer(2))"), read("s0**2"));
        assert_eq!(read("Max(Integer(1), Symbol('u0'))"), read("Max(1, u0)"));
        assert_eq!(read("-s0*3 + s0"), read("-2*s0"));
    }

    #[test]
    fn what_is_no_size_is_unknown_and_what_is_no_expression_is_refused() {
        assert_eq!(read("ToFloat(s0)"), "?");
        assert_eq!(read("s0 +"), "no expression");
        assert_eq!(read(&"(".repeat(1000)), "no expression");
        assert_eq!(read("99999999999999999999"), "?");
        assert_eq!(read("f('"), "no expression");
    }

    #[test]
    fn conditions_hold_paths_of_inputs() {
        let term = parse("L['args'][0].size()[1] <= 512").unwrap();
        let Term::Binary("<=", left, right) = term else { panic!() };
        assert_eq!(*right, Term::Int(512));
        assert!(matches!(*left, Term::Item(_, index) if *index == Term::Int(1)));
        assert!(matches!(parse("not (s0 == 3) and s1 % 8 == 0"), Some(Term::Binary("and", ..))));
    }
}
