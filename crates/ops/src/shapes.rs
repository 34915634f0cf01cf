//! Symbolic shape arithmetic shared by operators' `infer`.

use crate::prelude::*;
use std::cmp::Ordering;

/// The shape to which symbolic shapes broadcast.
///
/// # Errors
/// When two numbers differ and neither is 1.
pub fn broadcast(shapes: &[&[Dim]]) -> OpResult<Vec<Dim>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out = vec![Dim::Known(1); rank];
    for shape in shapes {
        for (o, d) in out[rank - shape.len()..].iter_mut().zip(*shape) {
            *o = o.broadcast(d).ok_or_else(|| OpError::invalid(format!("dimensions {o} and {d} do not broadcast")))?;
        }
    }
    Ok(out)
}

/// Product of dimensions.
pub fn product(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::Known(1), |n, d| n * d.clone())
}

/// `axis` of a tensor of `rank` dimensions, counted from the end when negative.
///
/// # Errors
/// When it is outside `-rank..rank`.
pub fn axis(axis: i64, rank: usize) -> OpResult<usize> {
    Ok(index::axis(axis, rank)?)
}

/// Several axes, each once.
///
/// # Errors
/// When one is outside or repeats.
pub fn axes(list: &[i64], rank: usize) -> OpResult<Vec<usize>> {
    let mut out = Vec::new();
    for &a in list {
        let a = axis(a, rank)?;
        if out.contains(&a) {
            return Err(OpError::invalid(format!("axis {a} is named twice")));
        }
        out.push(a);
    }
    Ok(out)
}

/// Elements of output 0 as expressions, when both operands' elements are known: for integer arithmetic on shapes.
pub fn binary_value(cx: &mut InferCx, f: impl Fn(Dim, Dim) -> Dim) {
    let (Some(a), Some(b)) = (cx.value(0), cx.value(1)) else { return };
    if !cx.dtype(0).is_some_and(DType::is_int) {
        return;
    }
    let (n, m) = (a.dims.len(), b.dims.len());
    if a.shape.len() > 1 || b.shape.len() > 1 || (n != m && n != 1 && m != 1) {
        return;
    }
    let at = |v: &SymTensor, i: usize| v.dims[if v.dims.len() == 1 { 0 } else { i }].clone();
    let dims = (0..if n == 0 || m == 0 { 0 } else { n.max(m) }).map(|i| f(at(a, i), at(b, i))).collect::<Vec<_>>();
    let shape = if a.shape.len().max(b.shape.len()) == 0 { vec![] } else { vec![dims.len()] };
    cx.set_value(0, SymTensor { shape, dims });
}

/// Hands the symbolic elements of input 0 to output 0 under another shape of rank 0 or 1.
pub fn reshaped_value(cx: &mut InferCx, shape: Option<&[Dim]>) {
    let (Some(v), Some(shape)) = (cx.value(0), shape) else { return };
    if let Some(shape) = shape.iter().map(Dim::size).collect::<Option<Vec<_>>>()
        && shape.len() <= 1
        && shape.iter().product::<usize>() == v.dims.len()
    {
        cx.set_value(0, SymTensor { shape, dims: v.dims.clone() });
    }
}

/// Elements of output 0 as `f` of those of input 0, when they are known: for integer arithmetic on shapes.
pub fn unary_value(cx: &mut InferCx, f: impl Fn(Dim) -> Dim) {
    let Some(v) = cx.value(0).filter(|_| cx.dtype(0).is_some_and(DType::is_int)) else { return };
    cx.set_value(0, SymTensor { shape: v.shape.clone(), dims: v.dims.iter().cloned().map(f).collect() });
}

/// Elements of output 0, booleans as 0 and 1, when the order of the operands' elements is known.
pub fn compared_value(cx: &mut InferCx, holds: impl Fn(Ordering) -> bool) {
    binary_value(cx, |a, b| order(&a, &b).map_or(Dim::Unknown, |o| Dim::Known(holds(o).into())));
}

/// How two elements of shapes compare, whatever sizes the symbols take.
pub fn order(a: &Dim, b: &Dim) -> Option<Ordering> {
    let difference = a.clone() - b.clone();
    match difference {
        Dim::Known(d) => Some(d.cmp(&0)),
        Dim::Unknown => None,
        d if positive(&d) => Some(Ordering::Greater),
        d if positive(&(Dim::Known(0) - d.clone())) => Some(Ordering::Less),
        _ => None,
    }
}

/// True when the expression is above 0 for all sizes (from 0) of its symbols.
pub fn positive(dim: &Dim) -> bool {
    non_negative(&(dim.clone() - Dim::Known(1)))
}

/// True when the expression is not below 0 for all sizes (from 0) of its symbols. May be false where that holds but
/// is not seen term by term.
pub fn non_negative(dim: &Dim) -> bool {
    dim.bounds().least.is_some_and(|n| n >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_known_only_where_it_holds_for_all_sizes() {
        let n = Dim::symbol("n");
        assert_eq!(order(&n, &Dim::Known(-1)), Some(Ordering::Greater));
        assert_eq!(order(&n, &Dim::Known(0)), None);
        assert_eq!(order(&(n.clone() + Dim::Known(2)), &n), Some(Ordering::Greater));
        assert_eq!(order(&n, &(n.clone() + Dim::Known(2))), Some(Ordering::Less));
        assert_eq!(order(&(n.clone() - Dim::Known(5)), &Dim::Known(0)), None);
    }
}
