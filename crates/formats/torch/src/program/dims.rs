//! Sizes as arithmetic of the sizes of values that are at hand.

use super::context::Cx;
use super::names::ident;
use super::number::list;
use modelsmith_ir::{Atom, Dim};

impl Cx<'_> {
    /// A size as an expression; `None` where it does not follow from values that are at hand.
    pub(super) fn dim(&mut self, d: &Dim) -> Option<String> {
        match d {
            Dim::Known(n) => Some(n.to_string()),
            Dim::Unknown => None,
            Dim::Expr(e) => {
                if d.as_symbol().is_some() {
                    return self.measured(d);
                }
                let terms = e.terms().map(|(p, c)| (p.to_vec(), c)).collect::<Vec<_>>();
                // A broadcast says that sizes agree; the larger is the result only where none is 0.
                let broadcast = terms.iter().any(|(p, _)| p.iter().any(|a| matches!(a, Atom::Broadcast(..))));
                if broadcast && let Some(found) = self.measured(d) {
                    return Some(found);
                }
                match self.sum(&terms) {
                    Some(text) => Some(text),
                    None => self.measured(d),
                }
            }
        }
    }

    /// A list of sizes.
    pub(super) fn dims(&mut self, dims: &[Dim]) -> Option<String> {
        Some(list(&dims.iter().map(|d| self.dim(d)).collect::<Option<Vec<_>>>()?))
    }

    /// The size as that of a dimension of a value.
    fn measured(&mut self, d: &Dim) -> Option<String> {
        if let Some(name) = self.scope.sizes.get(d) {
            return Some(name.clone());
        }
        let &(v, axis) = self.scope.dims.get(d)?;
        let of = self.scope.texts.get(&v)?.clone();
        let hint = match d.as_symbol().filter(|s| !modelsmith_ops::infer::is_invented(s)) {
            Some(symbol) => ident(symbol),
            None => format!("{}_{axis}", ident(&of)),
        };
        let name = self.set(&hint, format!("torch.size({of}, {axis})"));
        self.scope.sizes.insert(d.clone(), name.clone());
        Some(name)
    }

    fn sum(&mut self, terms: &[(Vec<Atom>, i64)]) -> Option<String> {
        let mut out = String::new();
        // A term that begins with a sign reads better behind another.
        let (first, rest): (Vec<_>, Vec<_>) = terms.iter().partition(|(p, c)| *c > 0 && !p.is_empty());
        for (product, c) in first.into_iter().chain(rest) {
            let mut factors = Vec::new();
            if c.unsigned_abs() != 1 || product.is_empty() {
                factors.push(c.unsigned_abs().to_string());
            }
            for atom in product {
                factors.push(self.atom(atom)?);
            }
            out.push_str(match (out.is_empty(), *c < 0) {
                (true, false) => "",
                (true, true) => "-",
                (false, false) => " + ",
                (false, true) => " - ",
            });
            out.push_str(&factors.join(" * "));
        }
        let alone = matches!(terms, [(product, 1)] if product.len() == 1);
        Some(if alone { out } else { format!("({out})") })
    }

    fn atom(&mut self, atom: &Atom) -> Option<String> {
        let mut both = |a: &Dim, b: &Dim| Some((self.dim(a)?, self.dim(b)?));
        Some(match atom {
            Atom::Symbol(s) => return self.dim(&Dim::symbol(s)),
            Atom::FloorDiv(a, b) => both(a, b).map(|(a, b)| format!("({a} // {b})"))?,
            Atom::Mod(a, b) => both(a, b).map(|(a, b)| format!("({a} % {b})"))?,
            Atom::Min(a, b) => both(a, b).map(|(a, b)| format!("ops.prim.min({a}, {b})"))?,
            Atom::Max(a, b) | Atom::Broadcast(a, b) => both(a, b).map(|(a, b)| format!("ops.prim.max({a}, {b})"))?,
        })
    }

    /// True where every symbol of `d` is the size of a value that is at hand.
    pub(super) fn follows(&self, d: &Dim) -> bool {
        let at_hand = |d: &Dim| self.scope.sizes.contains_key(d) || self.scope.dims.contains_key(d);
        match d {
            Dim::Known(_) => true,
            Dim::Unknown => false,
            Dim::Expr(_) => at_hand(d) || d.symbols().iter().all(|s| at_hand(&Dim::symbol(s))),
        }
    }
}
