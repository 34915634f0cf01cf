//! Symbolic dimensions. An expression is kept in one normal form, a sum of products of atoms with integer
//! coefficients, so that equal expressions are equal data.

use crate::bounds::Bounds;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

/// A dimension, or an element of a symbolic shape tensor (then it may be negative).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// A number.
    Known(i64),
    /// An expression over named dimensions.
    Expr(Arc<Expr>),
    /// Nothing is known.
    Unknown,
}

/// A sum of products: coefficient of each product of atoms. Never a constant alone, never a zero coefficient.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expr {
    terms: BTreeMap<Vec<Atom>, i64>,
    /// Atoms, those inside of atoms included.
    size: usize,
}

/// Most atoms of an expression. Sizes computed from sizes many times over grow without end; of such a one is said that
/// nothing is known, which the run then finds out.
const MOST_ATOMS: usize = 512;

/// What a product is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A named dimension.
    Symbol(Arc<str>),
    /// Quotient rounded down.
    FloorDiv(Dim, Dim),
    /// Remainder of [`Atom::FloorDiv`].
    Mod(Dim, Dim),
    /// The smaller one.
    Min(Dim, Dim),
    /// The larger one.
    Max(Dim, Dim),
    /// The dimension to which both broadcast. It asserts that they are equal or one of them is 1; `Max` does not.
    Broadcast(Dim, Dim),
}

type Terms = BTreeMap<Vec<Atom>, i64>;

impl Dim {
    /// The dimension called `name`.
    pub fn symbol(name: &str) -> Dim {
        Dim::atom(Atom::Symbol(name.into()))
    }

    fn atom(a: Atom) -> Dim {
        Dim::from_terms(Terms::from([(vec![a], 1)]))
    }

    fn from_terms(mut terms: Terms) -> Dim {
        terms.retain(|_, c| *c != 0);
        match terms.iter().next() {
            None => Dim::Known(0),
            Some((p, &c)) if terms.len() == 1 && p.is_empty() => Dim::Known(c),
            _ => match terms.keys().flatten().map(Atom::size).fold(0, usize::saturating_add) {
                size @ ..=MOST_ATOMS => Dim::Expr(Arc::new(Expr { terms, size })),
                _ => Dim::Unknown,
            },
        }
    }

    fn terms(&self) -> Option<Terms> {
        match self {
            Dim::Known(n) => Some(Terms::from([(vec![], *n)])),
            Dim::Expr(e) => Some(e.terms.clone()),
            Dim::Unknown => None,
        }
    }

    /// The number, if it is one.
    pub fn known(&self) -> Option<i64> {
        match self {
            Dim::Known(n) => Some(*n),
            _ => None,
        }
    }

    /// The number as a size, if it is one and not negative.
    pub fn size(&self) -> Option<usize> {
        self.known().and_then(|n| usize::try_from(n).ok())
    }

    /// The name, if the dimension is one symbol and nothing else.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.as_atom()? {
            Atom::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// The atom, if the dimension is one and nothing else.
    fn as_atom(&self) -> Option<&Atom> {
        let Dim::Expr(e) = self else { return None };
        match e.terms.iter().next().filter(|_| e.terms.len() == 1)? {
            (product, 1) if product.len() == 1 => product.first(),
            _ => None,
        }
    }

    /// Quotient rounded towards negative infinity.
    pub fn floor_div(&self, by: &Dim) -> Dim {
        match (self, by) {
            (Dim::Unknown, _) | (_, Dim::Unknown) | (_, Dim::Known(0)) => Dim::Unknown,
            (a, Dim::Known(1)) => a.clone(),
            (Dim::Known(a), Dim::Known(b)) => match (a.checked_div_euclid(*b), a.checked_rem_euclid(*b)) {
                (Some(q), Some(r)) => Dim::Known(q - i64::from(*b < 0 && r != 0)),
                _ => Dim::Unknown,
            },
            (a, b) if a == b => Dim::Known(1),
            (a, b) => a.exact_div(b).unwrap_or_else(|| Dim::atom(Atom::FloorDiv(a.clone(), b.clone()))),
        }
    }

    /// `self / by` where every term of `self` is a multiple of the single term `by`.
    fn exact_div(&self, by: &Dim) -> Option<Dim> {
        let by = by.terms()?;
        let (product, &c) = by.iter().next().filter(|_| by.len() == 1)?;
        let mut out = Terms::new();
        for (p, &k) in &self.terms()? {
            if k.checked_rem(c)? != 0 {
                return None;
            }
            let mut left = p.clone();
            for a in product {
                left.remove(left.iter().position(|x| x == a)?);
            }
            out.insert(left, k / c);
        }
        Some(Dim::from_terms(out))
    }

    /// Quotient rounded up.
    pub fn ceil_div(&self, by: &Dim) -> Dim {
        match by {
            Dim::Known(1) => self.clone(),
            _ => (self.clone() + by.clone() - Dim::Known(1)).floor_div(by),
        }
    }

    /// Remainder of [`Dim::floor_div`].
    pub fn modulo(&self, by: &Dim) -> Dim {
        match (self, by) {
            (Dim::Unknown, _) | (_, Dim::Unknown) | (_, Dim::Known(0)) => Dim::Unknown,
            (Dim::Known(a), Dim::Known(b)) if *b > 0 => Dim::Known(a.rem_euclid(*b)),
            (a, b) if a == b || a.exact_div(b).is_some() => Dim::Known(0),
            (a, b) => Dim::atom(Atom::Mod(a.clone(), b.clone())),
        }
    }

    /// The smaller one.
    pub fn smaller(&self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Unknown, _) | (_, Dim::Unknown) => Dim::Unknown,
            (a, b) => match (a.clone() - b.clone()).bounds() {
                Bounds { greatest: Some(..=0), .. } => a.clone(),
                Bounds { least: Some(0..), .. } => b.clone(),
                _ => Dim::atom(Atom::Min(a.min_of(b).clone(), a.max_of(b).clone())),
            },
        }
    }

    /// The larger one.
    pub fn larger(&self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Unknown, _) | (_, Dim::Unknown) => Dim::Unknown,
            (a, b) => match (a.clone() - b.clone()).bounds() {
                Bounds { least: Some(0..), .. } => a.clone(),
                Bounds { greatest: Some(..=0), .. } => b.clone(),
                _ => Dim::atom(Atom::Max(a.min_of(b).clone(), a.max_of(b).clone())),
            },
        }
    }

    /// The dimension to which both broadcast; `None` when two numbers do not.
    pub fn broadcast(&self, other: &Dim) -> Option<Dim> {
        Some(match (self, other) {
            (a, b) if a == b => a.clone(),
            (Dim::Known(1), d) | (d, Dim::Known(1)) => d.clone(),
            (Dim::Known(_), Dim::Known(_)) => return None,
            (Dim::Known(n), _) | (_, Dim::Known(n)) => Dim::Known(*n),
            (Dim::Unknown, _) | (_, Dim::Unknown) => Dim::Unknown,
            (a, b) => {
                let mut all = BTreeSet::new();
                a.broadcast_from(&mut all);
                b.broadcast_from(&mut all);
                let kept = all.iter().filter(|d| !d.is_cut_of(&all)).cloned();
                kept.reduce(|a, b| Dim::atom(Atom::Broadcast(a, b))).unwrap_or(Dim::Unknown)
            }
        })
    }

    /// Adds what the dimension is broadcast from, or itself.
    fn broadcast_from(&self, all: &mut BTreeSet<Dim>) {
        match self.as_atom() {
            Some(Atom::Broadcast(a, b)) => {
                a.broadcast_from(all);
                b.broadcast_from(all);
            }
            _ => drop(all.insert(self.clone())),
        }
    }

    /// Whether this is `min(n, d)` of a number `n` above 1 and one of `all`, `d`: where the two broadcast, they are equal.
    fn is_cut_of(&self, all: &BTreeSet<Dim>) -> bool {
        match self.as_atom() {
            Some(Atom::Min(Dim::Known(2..), d) | Atom::Min(d, Dim::Known(2..))) => all.contains(d),
            _ => false,
        }
    }

    fn min_of<'a>(&'a self, other: &'a Dim) -> &'a Dim {
        if self <= other { self } else { other }
    }

    fn max_of<'a>(&'a self, other: &'a Dim) -> &'a Dim {
        if self <= other { other } else { self }
    }

    /// The number under `sizes` of the symbols; `None` when a symbol has none, a division is by zero, a broadcast does
    /// not hold, or the value leaves `i64`.
    pub fn eval(&self, sizes: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        match self {
            Dim::Known(n) => Some(*n),
            Dim::Unknown => None,
            Dim::Expr(e) => e.terms.iter().try_fold(0i64, |sum, (product, &c)| {
                let value = product.iter().try_fold(c, |n, a| n.checked_mul(a.eval(sizes)?))?;
                sum.checked_add(value)
            }),
        }
    }

    /// The expression with every symbol replaced where `by` knows a dimension for it.
    pub fn substitute(&self, by: &dyn Fn(&str) -> Option<Dim>) -> Dim {
        match self {
            Dim::Expr(e) => e.terms.iter().fold(Dim::Known(0), |sum, (product, &c)| {
                sum + product.iter().fold(Dim::Known(c), |n, a| n * a.substitute(by))
            }),
            other => other.clone(),
        }
    }

    /// Names of all symbols, sorted.
    pub fn symbols(&self) -> BTreeSet<Arc<str>> {
        let mut out = BTreeSet::new();
        self.collect(&mut out);
        out
    }

    fn collect(&self, out: &mut BTreeSet<Arc<str>>) {
        let Dim::Expr(e) = self else { return };
        for atom in e.terms.keys().flatten() {
            match atom {
                Atom::Symbol(s) => {
                    out.insert(s.clone());
                }
                Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) | Atom::Broadcast(a, b) => {
                    a.collect(out);
                    b.collect(out);
                }
            }
        }
    }
}

impl Expr {
    /// The products with their coefficients.
    pub fn terms(&self) -> impl Iterator<Item = (&[Atom], i64)> {
        self.terms.iter().map(|(p, &c)| (p.as_slice(), c))
    }
}

impl Atom {
    /// Atoms, this one and those inside.
    fn size(&self) -> usize {
        let of = |d: &Dim| if let Dim::Expr(e) = d { e.size } else { 0 };
        match self {
            Atom::Symbol(_) => 1,
            Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) | Atom::Broadcast(a, b) => {
                1 + of(a).saturating_add(of(b))
            }
        }
    }

    fn eval(&self, sizes: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        let both = |a: &Dim, b: &Dim| Some((a.eval(sizes)?, b.eval(sizes)?));
        match self {
            Atom::Symbol(s) => sizes(s),
            Atom::FloorDiv(a, b) => both(a, b).and_then(|(a, b)| Dim::Known(a).floor_div(&Dim::Known(b)).known()),
            Atom::Mod(a, b) => both(a, b).and_then(|(a, b)| Dim::Known(a).modulo(&Dim::Known(b)).known()),
            Atom::Min(a, b) => both(a, b).map(|(a, b)| a.min(b)),
            Atom::Max(a, b) => both(a, b).map(|(a, b)| a.max(b)),
            Atom::Broadcast(a, b) => {
                both(a, b).and_then(|(a, b)| Dim::Known(a).broadcast(&Dim::Known(b))).and_then(|d| d.known())
            }
        }
    }

    fn substitute(&self, by: &dyn Fn(&str) -> Option<Dim>) -> Dim {
        match self {
            Atom::Symbol(s) => by(s).unwrap_or_else(|| Dim::atom(self.clone())),
            Atom::FloorDiv(a, b) => a.substitute(by).floor_div(&b.substitute(by)),
            Atom::Mod(a, b) => a.substitute(by).modulo(&b.substitute(by)),
            Atom::Min(a, b) => a.substitute(by).smaller(&b.substitute(by)),
            Atom::Max(a, b) => a.substitute(by).larger(&b.substitute(by)),
            Atom::Broadcast(a, b) => a.substitute(by).broadcast(&b.substitute(by)).unwrap_or(Dim::Unknown),
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Dim {
        i64::try_from(n).map_or(Dim::Unknown, Dim::Known)
    }
}

impl From<i64> for Dim {
    fn from(n: i64) -> Dim {
        Dim::Known(n)
    }
}

impl Add for Dim {
    type Output = Dim;
    fn add(self, other: Dim) -> Dim {
        let (Some(mut a), Some(b)) = (self.terms(), other.terms()) else { return Dim::Unknown };
        for (p, c) in b {
            let slot = a.entry(p).or_insert(0);
            match slot.checked_add(c) {
                Some(sum) => *slot = sum,
                None => return Dim::Unknown,
            }
        }
        Dim::from_terms(a)
    }
}

impl Sub for Dim {
    type Output = Dim;
    fn sub(self, other: Dim) -> Dim {
        self + other * Dim::Known(-1)
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        if self == Dim::Known(0) || other == Dim::Known(0) {
            return Dim::Known(0);
        }
        let (Some(a), Some(b)) = (self.terms(), other.terms()) else { return Dim::Unknown };
        if a.len().saturating_mul(b.len()) > MOST_ATOMS {
            return Dim::Unknown;
        }
        let mut out = Terms::new();
        for (p, c) in &a {
            for (q, d) in &b {
                let mut product = [p.as_slice(), q.as_slice()].concat();
                product.sort();
                let slot = out.entry(product).or_insert(0);
                match c.checked_mul(*d).and_then(|n| slot.checked_add(n)) {
                    Some(sum) => *slot = sum,
                    None => return Dim::Unknown,
                }
            }
        }
        Dim::from_terms(out)
    }
}

/// Symbols that are not plain identifiers are quoted.
fn write_symbol(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let plain =
        name.chars().all(|c| c.is_alphanumeric() || c == '_') && name.chars().next().is_some_and(|c| !c.is_numeric());
    let reserved = matches!(name, "floordiv" | "mod" | "min" | "max" | "broadcast");
    if plain && !reserved { f.write_str(name) } else { write!(f, "{name:?}") }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Symbol(s) => write_symbol(f, s),
            Atom::FloorDiv(a, b) => write!(f, "floordiv({a}, {b})"),
            Atom::Mod(a, b) => write!(f, "mod({a}, {b})"),
            Atom::Min(a, b) => write!(f, "min({a}, {b})"),
            Atom::Max(a, b) => write!(f, "max({a}, {b})"),
            Atom::Broadcast(a, b) => write!(f, "broadcast({a}, {b})"),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = match self {
            Dim::Known(n) => return write!(f, "{n}"),
            Dim::Unknown => return f.write_str("?"),
            Dim::Expr(e) => e,
        };
        // The constant term sorts first; it reads better last.
        let constant = e.terms.get(&vec![]).map(|c| (&[][..], *c));
        let products = e.terms.iter().filter(|(p, _)| !p.is_empty()).map(|(p, c)| (p.as_slice(), *c));
        for (i, (product, c)) in products.chain(constant).enumerate() {
            match (i, c < 0) {
                (0, false) => {}
                (0, true) => f.write_str("-")?,
                (_, false) => f.write_str(" + ")?,
                (_, true) => f.write_str(" - ")?,
            }
            let c = c.unsigned_abs();
            if c != 1 || product.is_empty() {
                write!(f, "{c}")?;
            }
            for (j, atom) in product.iter().enumerate() {
                write!(f, "{}{atom}", if j > 0 || c != 1 { "*" } else { "" })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n() -> Dim {
        Dim::symbol("n")
    }
    fn k(x: i64) -> Dim {
        Dim::Known(x)
    }

    #[test]
    fn equal_expressions_are_equal_data() {
        assert_eq!((n() + k(1)) * k(2), n() * k(2) + k(2));
        assert_eq!(n() - n(), k(0));
        assert_eq!((n() * k(4)).floor_div(&k(2)), n() * k(2));
        assert_eq!((n() * Dim::symbol("m")).floor_div(&n()), Dim::symbol("m"));
        assert_eq!(((n() + k(1)) * k(2) + k(3) * Dim::symbol("a b")).to_string(), "3*\"a b\" + 2*n + 2");
    }

    #[test]
    fn broadcast_is_not_max() {
        assert_eq!(n().broadcast(&k(1)), Some(n()));
        assert_eq!(n().broadcast(&k(7)), Some(k(7)));
        assert_eq!(k(2).broadcast(&k(3)), None);
        let b = n().broadcast(&Dim::symbol("m")).unwrap();
        let at = |x: i64, y: i64| b.eval(&|s| Some(if s == "n" { x } else { y }));
        assert_eq!((at(1, 5), at(5, 5), at(4, 5)), (Some(5), Some(5), None));
        // In whatever order, and with a cut of one of them, which holds only where it cuts nothing.
        let m = Dim::symbol("m");
        assert_eq!(b.broadcast(&n()), Some(b.clone()));
        assert_eq!(m.broadcast(&b).unwrap().broadcast(&b), Some(b.clone()));
        assert_eq!(n().broadcast(&n().smaller(&k(512))), Some(n()));
        assert_eq!(b.broadcast(&k(2).smaller(&m)), Some(b));
        for other in [n().smaller(&k(1)), n().larger(&k(2)), m.smaller(&k(512))] {
            assert_ne!(n().broadcast(&other), Some(n()), "{other}");
        }
    }

    #[test]
    fn division_rounds_down() {
        assert_eq!(k(-3).floor_div(&k(2)), k(-2));
        assert_eq!(k(7).ceil_div(&k(2)), k(4));
        assert_eq!((n() + k(1)).floor_div(&k(2)).eval(&|_| Some(4)), Some(2));
        assert_eq!(n().floor_div(&k(0)), Dim::Unknown);
    }
}
