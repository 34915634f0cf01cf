//! The transformations of tensors, and their inverses, as lazy expressions.

use crate::rows::SwappedRows;
use modelsmith_base::{DType, wide};
use modelsmith_format::{Error, Result};
use modelsmith_tensor::index::strides;
use modelsmith_tensor::{Blocks, Read, Source, Tensor, WeightExpr};
use std::sync::Arc;

/// A weight as elements of a storage at strides.
struct Strided {
    of: Arc<WeightExpr>,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

fn strided(w: &Arc<WeightExpr>) -> Option<Strided> {
    match w.as_ref() {
        WeightExpr::Read(r) => {
            let flat = Read { shape: vec![w.len()], ..r.clone() };
            let (of, strides) = (Arc::new(WeightExpr::Read(flat)), strides(&r.shape));
            Some(Strided { of, offset: 0, shape: r.shape.clone(), strides })
        }
        WeightExpr::View { of, offset, shape, strides } => {
            Some(Strided { of: of.clone(), offset: *offset, shape: shape.clone(), strides: strides.clone() })
        }
        _ => None,
    }
}

/// The rows, seen as `[groups, first, second]`, as `[groups, second, first]`.
fn swap_rows(w: &Arc<WeightExpr>, [groups, first, second]: [usize; 3]) -> Arc<WeightExpr> {
    let shape = w.shape();
    let rest = shape.get(1..).unwrap_or_default();
    if let WeightExpr::Cast(of, to) = w.as_ref() {
        return Arc::new(WeightExpr::Cast(swap_rows(of, [groups, first, second]), *to));
    }
    if let WeightExpr::Blocks(b) = w.as_ref() {
        return swapped_blocks(b, [groups, first, second]);
    }
    let Some(s) = strided(w) else {
        let split = [&[groups, first, second], rest].concat();
        let perm = [0, 2, 1].into_iter().chain(3..split.len()).collect();
        let split = Arc::new(WeightExpr::Reshape(w.clone(), split));
        return Arc::new(WeightExpr::Reshape(Arc::new(WeightExpr::Permute(split, perm)), shape));
    };
    let row = s.strides.first().copied().unwrap_or(1);
    let own = [row.saturating_mul(first).saturating_mul(second), row, row.saturating_mul(second)];
    let strides = [&own, s.strides.get(1..).unwrap_or_default()].concat();
    let view =
        WeightExpr::View { of: s.of, offset: s.offset, shape: [&[groups, second, first], rest].concat(), strides };
    Arc::new(WeightExpr::Reshape(Arc::new(view), shape))
}

fn swapped_blocks(b: &Blocks, groups: [usize; 3]) -> Arc<WeightExpr> {
    let rows = groups.iter().fold(1u64, |n, &g| n.saturating_mul(wide(g)));
    let row = b.len.checked_div(rows).unwrap_or(0);
    let source: Arc<dyn Source> = Arc::new(SwappedRows::new(b.source.clone(), b.offset, row, groups.map(wide)));
    Arc::new(WeightExpr::Blocks(Blocks { source, offset: 0, ..b.clone() }))
}

/// Rows per half of a head.
fn half(w: &WeightExpr, heads: usize) -> Result<usize> {
    let rows = w.shape().first().copied().unwrap_or(0);
    let per = rows.checked_div(heads).filter(|p| p.is_multiple_of(2) && p.saturating_mul(heads) == rows);
    per.map(|p| p / 2).ok_or_else(|| Error::damaged(format!("{rows} rows are not {heads} heads of two halves")))
}

/// The halves of each head, interleaved.
pub(crate) fn interleave(w: &Arc<WeightExpr>, heads: usize) -> Result<Arc<WeightExpr>> {
    Ok(swap_rows(w, [heads, 2, half(w, heads)?]))
}

/// The inverse of [`interleave`].
pub(crate) fn halves(w: &Arc<WeightExpr>, heads: usize) -> Result<Arc<WeightExpr>> {
    Ok(swap_rows(w, [heads, half(w, heads)?, 2]))
}

/// A matrix transposed; other ranks as they are.
pub(crate) fn transpose(w: &Arc<WeightExpr>) -> Arc<WeightExpr> {
    if w.shape().len() != 2 {
        return w.clone();
    }
    if let WeightExpr::Cast(of, to) = w.as_ref() {
        return Arc::new(WeightExpr::Cast(transpose(of), *to));
    }
    Arc::new(match strided(w) {
        Some(mut s) => {
            s.shape.reverse();
            s.strides.reverse();
            WeightExpr::View { of: s.of, offset: s.offset, shape: s.shape, strides: s.strides }
        }
        None => WeightExpr::Permute(w.clone(), vec![1, 0]),
    })
}

/// `value` added to each element: in `f16` for `f16`, else in `f32`.
pub(crate) fn add(w: &Arc<WeightExpr>, value: f64) -> Result<Arc<WeightExpr>> {
    let dtype = if w.dtype() == DType::F16 { DType::F16 } else { DType::F32 };
    let by = Arc::new(WeightExpr::Literal(Tensor::from_f64s(dtype, &[1], &[value])?));
    let (op, inputs, shape) = ("Add()".to_owned(), vec![cast(w, dtype), by], w.shape());
    Ok(Arc::new(WeightExpr::Eval { op, inputs, dtype, shape }))
}

/// The first rows.
pub(crate) fn first_rows(w: &Arc<WeightExpr>, rows: usize) -> Arc<WeightExpr> {
    if w.shape().first().is_none_or(|&have| have <= rows) {
        return w.clone();
    }
    if let WeightExpr::Cast(of, to) = w.as_ref() {
        return Arc::new(WeightExpr::Cast(first_rows(of, rows), *to));
    }
    Arc::new(match strided(w) {
        Some(mut s) => {
            if let Some(first) = s.shape.first_mut() {
                *first = rows;
            }
            WeightExpr::View { of: s.of, offset: s.offset, shape: s.shape, strides: s.strides }
        }
        None => WeightExpr::Slice { of: w.clone(), axis: 0, start: 0, len: rows },
    })
}

/// With elements of that type.
pub(crate) fn cast(w: &Arc<WeightExpr>, to: DType) -> Arc<WeightExpr> {
    match w.dtype() == to && !matches!(w.as_ref(), WeightExpr::Blocks(_)) {
        true => w.clone(),
        false => Arc::new(WeightExpr::Cast(w.clone(), to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_base::Budget;
    use modelsmith_ops::interp::Operators;
    use modelsmith_tensor::{Form, MemSource, Ranged, materialize};

    fn iota(shape: &[usize]) -> Arc<WeightExpr> {
        let n = shape.iter().product::<usize>();
        let bytes = (0..n).flat_map(|i| (i as f32).to_le_bytes()).collect::<Vec<_>>();
        let (len, source): (u64, Arc<dyn Source>) = (bytes.len() as u64, Arc::new(MemSource::new("w", bytes)));
        Arc::new(WeightExpr::Read(Read { source, offset: 0, len, dtype: DType::F32, shape: shape.to_vec() }))
    }

    fn value(w: &WeightExpr) -> Vec<f32> {
        let t = materialize(w, &Operators, &Budget::unlimited()).unwrap();
        assert_eq!(t.shape(), w.shape());
        let ranged = Ranged::new(w, Form::Dense, &Operators, &Budget::unlimited()).unwrap();
        let mut bytes = vec![0; ranged.byte_len() as usize];
        ranged.fill(0, &mut bytes).unwrap();
        assert_eq!(bytes, t.bytes());
        t.as_slice::<f32>().unwrap().to_vec()
    }

    #[test]
    fn halves_interleave_and_come_back() {
        for shape in [vec![8, 3], vec![8]] {
            let w = iota(&shape);
            let mixed = interleave(&w, 2).unwrap();
            let columns = shape.get(1).copied().unwrap_or(1);
            let firsts = value(&mixed).iter().step_by(columns).map(|x| *x as usize / columns).collect::<Vec<_>>();
            assert_eq!(firsts, [0, 2, 1, 3, 4, 6, 5, 7]);
            let literal = Arc::new(WeightExpr::Literal(materialize(&mixed, &Operators, &Budget::unlimited()).unwrap()));
            assert_eq!(value(&halves(&literal, 2).unwrap()), value(&w));
        }
        let error = interleave(&iota(&[6, 2]), 2).unwrap_err().to_string();
        assert_eq!(error, "6 rows are not 2 heads of two halves");
    }

    #[test]
    fn the_rest_is_what_it_says() {
        let w = iota(&[2, 3]);
        assert_eq!(value(&transpose(&w)), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(value(&transpose(&transpose(&w))), value(&w));
        assert_eq!(value(&add(&w, 1.0).unwrap())[..2], [1.0, 2.0]);
        assert_eq!(value(&first_rows(&w, 1)), [0.0, 1.0, 2.0]);
        assert_eq!(first_rows(&w, 5).shape(), [2, 3]);
    }
}
