//! Shapes as the constant operand of Reshape.

use modelsmith_ir::Dim;

/// The vector that makes Reshape give `to` from `from`: sizes, 0 for a dimension taken over, -1 for at most one that is
/// worked out. `None` when more than one dimension is neither known nor taken over, or when `never_empty` does not hold for
/// one that is not a number: a tensor without elements leaves nothing to work out -1 from.
pub(crate) fn shape_vector(from: &[Dim], to: &[Dim], never_empty: impl Fn(&Dim) -> bool) -> Option<Vec<i64>> {
    let mut out = Vec::new();
    let mut worked_out = false;
    for (i, d) in to.iter().enumerate() {
        out.push(match d {
            Dim::Known(n) if *n > 0 => *n,
            // With a size of 0, both 0 and -1 mean something else.
            Dim::Known(_) | Dim::Unknown => return None,
            d if from.get(i) == Some(d) => 0,
            _ if !worked_out => {
                worked_out = true;
                -1
            }
            _ => return None,
        });
    }
    let sure = !worked_out || to.iter().all(|d| d.known().is_some() || never_empty(d));
    sure.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_is_worked_out() {
        let (n, m, k) = (Dim::symbol("n"), Dim::symbol("m"), Dim::Known);
        let from = [n.clone(), k(4), m.clone()];
        let vector = |to: &[Dim]| shape_vector(&from, to, |_| true);
        assert_eq!(vector(&[n.clone(), m.clone() * k(4)]), Some(vec![0, -1]));
        assert_eq!(vector(&[n.clone(), k(2), k(2), m.clone()]), Some(vec![0, 2, 2, -1]));
        assert_eq!(vector(&[k(4), n.clone(), m.clone()]), Some(vec![4, -1, 0]));
        assert_eq!(vector(&[m.clone(), n.clone()]), None);
        assert_eq!(vector(&[k(0)]), None);
        assert_eq!(shape_vector(&from, &[n.clone(), m.clone() * k(4)], |d| *d != n), None);
        assert_eq!(shape_vector(&from, &[n.clone(), k(4), m], |d| *d != n), Some(vec![0, 4, 0]));
    }
}
