//! Between which numbers a symbolic dimension lies, whatever the sizes of its symbols.

use crate::dim::{Atom, Dim, Expr};

/// Least and greatest value; `None` where nothing is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// No value is below it.
    pub least: Option<i64>,
    /// No value is above it.
    pub greatest: Option<i64>,
}

impl Bounds {
    const NONE: Bounds = Bounds { least: None, greatest: None };

    fn exactly(n: i64) -> Bounds {
        Bounds { least: Some(n), greatest: Some(n) }
    }

    /// The bounds of `c` times a value.
    fn times(self, c: i64) -> Bounds {
        let by = |x: Option<i64>| x.and_then(|x| x.checked_mul(c));
        match c >= 0 {
            true => Bounds { least: by(self.least), greatest: by(self.greatest) },
            false => Bounds { least: by(self.greatest), greatest: by(self.least) },
        }
    }
}

/// `f` of both, where both are known.
fn both(a: Option<i64>, b: Option<i64>, f: impl Fn(i64, i64) -> Option<i64>) -> Option<i64> {
    a.zip(b).and_then(|(a, b)| f(a, b))
}

/// The one that is known, or `f` of both.
fn either(a: Option<i64>, b: Option<i64>, f: impl Fn(i64, i64) -> i64) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(f(a, b)),
        (a, b) => a.or(b),
    }
}

impl Dim {
    /// The bounds that follow when symbols are sizes, 0 or more. They may be wider than the truth.
    pub fn bounds(&self) -> Bounds {
        match self {
            Dim::Known(n) => Bounds::exactly(*n),
            Dim::Unknown => Bounds::NONE,
            Dim::Expr(e) => of_sum(e),
        }
    }
}

fn of_sum(e: &Expr) -> Bounds {
    e.terms().fold(Bounds::exactly(0), |sum, (product, c)| {
        let term = of_product(product).times(c);
        Bounds {
            least: both(sum.least, term.least, i64::checked_add),
            greatest: both(sum.greatest, term.greatest, i64::checked_add),
        }
    })
}

/// Products of what may be negative are not looked into.
fn of_product(atoms: &[Atom]) -> Bounds {
    if let [one] = atoms {
        return of_atom(one);
    }
    atoms.iter().map(of_atom).fold(Bounds::exactly(1), |all, a| match (all.least, a.least) {
        (Some(x @ 0..), Some(y @ 0..)) => {
            Bounds { least: Some(x.saturating_mul(y)), greatest: both(all.greatest, a.greatest, i64::checked_mul) }
        }
        _ => Bounds::NONE,
    })
}

fn of_atom(atom: &Atom) -> Bounds {
    match atom {
        Atom::Symbol(_) => Bounds { least: Some(0), greatest: None },
        Atom::FloorDiv(a, b) => {
            let (a, b) = (a.bounds(), b.bounds());
            match (a.least, b.least) {
                (Some(x), Some(y)) if x >= 0 && y >= 1 => Bounds {
                    least: b.greatest.map_or(Some(0), |most| x.checked_div(most)),
                    greatest: a.greatest.and_then(|most| most.checked_div(y)),
                },
                _ => Bounds::NONE,
            }
        }
        Atom::Mod(_, b) => match b.bounds() {
            Bounds { least: Some(1..), greatest } => {
                Bounds { least: Some(0), greatest: greatest.and_then(|n| n.checked_sub(1)) }
            }
            _ => Bounds::NONE,
        },
        Atom::Min(a, b) => {
            let (a, b) = (a.bounds(), b.bounds());
            Bounds {
                least: both(a.least, b.least, |a, b| Some(a.min(b))),
                greatest: either(a.greatest, b.greatest, i64::min),
            }
        }
        Atom::Max(a, b) => {
            let (a, b) = (a.bounds(), b.bounds());
            Bounds {
                least: either(a.least, b.least, i64::max),
                greatest: both(a.greatest, b.greatest, |a, b| Some(a.max(b))),
            }
        }
        Atom::Broadcast(a, b) => {
            let (a, b) = (a.bounds(), b.bounds());
            Bounds {
                least: both(a.least, b.least, |a, b| Some(a.min(b))),
                greatest: both(a.greatest, b.greatest, |a, b| Some(a.max(b))),
            }
        }
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
    fn bounds_hold_for_all_sizes() {
        let pad = (k(7) - n().modulo(&k(7))).modulo(&k(7));
        assert_eq!(pad.bounds(), Bounds { least: Some(0), greatest: Some(6) });
        let padded = n() + pad;
        assert_eq!(padded.bounds(), Bounds { least: Some(0), greatest: None });
        assert_eq!((k(3) - n()).bounds(), Bounds { least: None, greatest: Some(3) });
        assert_eq!((n() * (k(2) - n())).bounds(), Bounds { least: None, greatest: None });
        assert_eq!(n().smaller(&k(5)).bounds(), Bounds { least: Some(0), greatest: Some(5) });
        assert_eq!((k(-1) * n().larger(&k(5))).bounds(), Bounds { least: None, greatest: Some(-5) });
    }

    #[test]
    fn what_is_cut_off_again_leaves_no_trace() {
        let padded = n() + (k(7) - n().modulo(&k(7))).modulo(&k(7));
        assert_eq!(n().smaller(&padded), n());
        assert_eq!(padded.smaller(&n()), n());
        assert_eq!(padded.larger(&n()), padded);
        assert_eq!(n().larger(&k(0)), n());
        assert_ne!(n().smaller(&k(5)), n());
    }
}
