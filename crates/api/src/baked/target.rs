//! The target of a Reshape for every size of the free dimensions of its operand.

use modelsmith_ir::Dim;

/// A target that gives what `target` gave at the sizes for which it was written down, and takes every size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Freed {
    pub(super) target: Vec<i64>,
    /// Symbols and the sizes for which the target was written down.
    pub(super) sizes: Vec<(String, i64)>,
}

/// Frees a target without -1 and 0. With `zeros`, 0 may stand for a dimension of the operand at the same place. `None` when
/// it does not tell where the free dimensions went.
pub(super) fn free(dims: &[Dim], target: &[i64], zeros: bool) -> Option<Freed> {
    if target.iter().any(|&d| d <= 0) {
        return None;
    }
    let most = if zeros { kept(dims, target) } else { 0 };
    // As few dimensions as possible are tied to their places.
    (0..=most).find_map(|zeroed| {
        let (front, rest) = dims.split_at(zeroed);
        let (head, tail) = target.split_at(zeroed);
        let mut out = tail_of(rest, tail)?;
        let mut whole: Vec<i64> = Vec::new();
        for (dim, &n) in front.iter().zip(head) {
            let symbol = dim.as_symbol();
            whole.push(if symbol.is_some() { 0 } else { n });
            out.sizes.extend(symbol.map(|s| (s.to_owned(), n)));
        }
        whole.append(&mut out.target);
        Some(Freed { target: whole, sizes: out.sizes })
    })
}

/// How many dimensions in front stay where they are: known ones of the same size, and free ones.
fn kept(dims: &[Dim], target: &[i64]) -> usize {
    let same = |(d, &n): (&Dim, &i64)| d.as_symbol().is_some() || d.size().is_some_and(|s| i64::try_from(s) == Ok(n));
    dims.iter().zip(target).take_while(|&pair| same(pair)).count()
}

/// The same where at most one dimension is free, which -1 takes up.
fn tail_of(dims: &[Dim], target: &[i64]) -> Option<Freed> {
    let known = product(dims.iter().filter_map(|d| d.size().and_then(|s| i64::try_from(s).ok())))?;
    let wanted = product(target.iter().copied())?;
    let free: Vec<usize> = (0..dims.len()).filter(|&i| dims.get(i).is_some_and(|d| d.size().is_none())).collect();
    let at = match free.as_slice() {
        [] => return (known == wanted).then(|| Freed { target: target.to_vec(), sizes: vec![] }),
        [at] => *at,
        _ => return None,
    };
    let (symbol, factor) = multiple(dims.get(at)?)?;
    let known = known.checked_mul(factor)?;
    if known == 0 || wanted % known != 0 {
        return None;
    }
    let size = wanted / known;
    let holds = |i: usize| target.get(i).is_some_and(|n| n % size == 0);
    let in_place = at <= target.len() && kept(dims.get(..at)?, target) == at && holds(at);
    let mut fitting = (0..target.len()).filter(|&i| holds(i));
    let i = match (in_place, fitting.next(), fitting.next()) {
        (true, ..) => at,
        (false, Some(only), None) => only,
        _ => return None,
    };
    let mut out = target.to_vec();
    *out.get_mut(i)? = -1;
    Some(Freed { target: out, sizes: vec![(symbol, size)] })
}

/// A dimension that is a symbol, or so many times a symbol.
fn multiple(dim: &Dim) -> Option<(String, i64)> {
    let symbols = dim.symbols();
    let [symbol] = symbols.iter().collect::<Vec<_>>()[..] else { return None };
    let at = |n: i64| dim.eval(&|_| Some(n));
    let factor = at(1)?;
    let linear = [2, 3, 10].iter().all(|&n| at(n) == factor.checked_mul(n));
    (factor > 0 && linear).then(|| (symbol.to_string(), factor))
}

fn product(mut sizes: impl Iterator<Item = i64>) -> Option<i64> {
    sizes.try_fold(1i64, i64::checked_mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(text: &str) -> Vec<Dim> {
        text.split(' ').map(|d| d.parse().map_or_else(|_| Dim::symbol(d), Dim::Known)).collect()
    }

    fn freed(operand: &str, target: &[i64]) -> Option<(Vec<i64>, Vec<(String, i64)>)> {
        free(&dims(operand), target, true).map(|f| (f.target, f.sizes))
    }

    #[test]
    fn a_free_dimension_goes_where_it_stood() {
        let one = |s: &str, n| vec![(s.to_owned(), n)];
        assert_eq!(freed("N 3 4", &[1, 12]), Some((vec![-1, 12], one("N", 1))));
        assert_eq!(freed("N 3 4", &[5, 12]), Some((vec![-1, 12], one("N", 5))));
        assert_eq!(freed("N 3 4", &[15, 4]), Some((vec![-1, 4], one("N", 5))));
        assert_eq!(freed("2 S 12", &[2, 7, 3, 4]), Some((vec![2, -1, 3, 4], one("S", 7))));
        assert_eq!(freed("6 S", &[2, 3, 7]), Some((vec![2, 3, -1], one("S", 7))));
    }

    #[test]
    fn a_multiple_of_a_free_dimension_is_split_again() {
        let five = Dim::symbol("N") * Dim::Known(5);
        let freed = free(&[five, Dim::Known(3)], &[4, 5, 3], true).unwrap();
        assert_eq!((freed.target, freed.sizes), (vec![-1, 5, 3], vec![("N".to_owned(), 4)]));
    }

    #[test]
    fn a_second_free_dimension_is_kept_in_place() {
        let sizes = vec![("S".to_owned(), 7), ("N".to_owned(), 2)];
        assert_eq!(freed("N S 12", &[2, 7, 3, 4]), Some((vec![0, -1, 3, 4], sizes)));
        assert_eq!(free(&dims("N S 12"), &[2, 7, 3, 4], false), None);
    }

    #[test]
    fn what_does_not_tell_is_left() {
        assert_eq!(freed("N 3 4", &[7, 5]), None);
        assert_eq!(freed("N 3 4", &[0, 12]), None);
        assert_eq!(freed("6 S", &[14, 21]), None);
    }
}
