//! Reference arithmetic shared by element-wise operators: elements are read as `f64`, `i64` or `u64`, computed, and
//! rounded once to the result's type.

use crate::prelude::*;

/// Type of the only output: that of input 0.
///
/// # Errors
/// Never.
pub fn same_as_first(cx: &mut InferCx) -> OpResult<()> {
    cx.set(0, cx.ty(0));
    Ok(())
}

/// Shape to which inputs `which` broadcast, and element type `dtype` (that of input 0 when `None`).
///
/// # Errors
/// When two known dimensions do not broadcast.
pub fn broadcast(cx: &mut InferCx, which: &[usize], dtype: Option<DType>) -> OpResult<()> {
    let dtype = dtype.or_else(|| which.iter().find_map(|&i| cx.dtype(i)));
    let shapes = which.iter().map(|&i| cx.shape(i)).collect::<Option<Vec<_>>>();
    let shape = shapes.map(|s| shapes::broadcast(&s)).transpose()?;
    cx.set_tensor(0, dtype, shape);
    Ok(())
}

/// `f` of each element of input 0, in `f64`, result of the same type.
///
/// # Errors
/// When input 0 is not a tensor of numbers.
pub fn unary(inputs: &[Option<&Value>], f: impl Fn(f64) -> f64) -> OpResult<Vec<Value>> {
    let x = operand(inputs, 0)?;
    let out = x.to_f64s()?.into_iter().map(f).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into()])
}

/// As [`unary`], with a body of its own for signed and unsigned integers.
///
/// # Errors
/// As there.
pub fn unary_numeric(
    inputs: &[Option<&Value>],
    float: impl Fn(f64) -> f64,
    int: impl Fn(i64) -> i64,
) -> OpResult<Vec<Value>> {
    let x = operand(inputs, 0)?;
    if x.dtype().is_float() {
        return unary(inputs, float);
    }
    let out = x.to_i64s()?.into_iter().map(int).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(x.dtype(), x.shape(), &out)?.into()])
}

/// A predicate of each element of input 0, in `f64`.
///
/// # Errors
/// When input 0 is not a tensor of numbers.
pub fn predicate(inputs: &[Option<&Value>], f: impl Fn(f64) -> bool) -> OpResult<Vec<Value>> {
    let x = operand(inputs, 0)?;
    Ok(vec![Tensor::from_bools(x.shape(), x.to_f64s()?.into_iter().map(f).collect())?.into()])
}

/// Tensor operand `i`.
///
/// # Errors
/// When it is absent or not a tensor.
pub fn operand<'a>(inputs: &[Option<&'a Value>], i: usize) -> OpResult<&'a Tensor> {
    let v = inputs.get(i).copied().flatten().ok_or_else(|| OpError::invalid(format!("input {i} is required")))?;
    Ok(v.tensor()?)
}

/// Positions of both operands for each element of the broadcast result, and its shape.
///
/// # Errors
/// When they do not broadcast.
pub fn pairs(a: &Tensor, b: &Tensor) -> OpResult<(Vec<usize>, Vec<(usize, usize)>)> {
    let shape = index::broadcast(&[a.shape(), b.shape()])?;
    let at =
        |t: &Tensor| Ok::<_, OpError>(index::Offsets::unsigned(&shape, &index::broadcast_strides(t.shape(), &shape)?));
    let both = at(a)?.zip(at(b)?).collect();
    Ok((shape, both))
}

/// `f(a, b)` over the broadcast of inputs 0 and 1, of one numeric type: floats in `f64`, unsigned integers in `u64`,
/// signed ones in `i64` (both wrap to the result's width).
///
/// # Errors
/// When the types differ or the shapes do not broadcast.
pub fn binary(
    inputs: &[Option<&Value>],
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i64, i64) -> i64,
    uint: impl Fn(u64, u64) -> u64,
) -> OpResult<Vec<Value>> {
    let (a, b) = same_typed(inputs)?;
    let shape = index::broadcast(&[a.shape(), b.shape()])?;
    let dtype = a.dtype();
    let out = if dtype.is_float() {
        Tensor::from_f64s(dtype, &shape, &joined(&shape, (a, &a.to_f64s()?), (b, &b.to_f64s()?), float)?)?
    } else if dtype.is_signed_int() {
        Tensor::from_i64s(dtype, &shape, &joined(&shape, (a, &a.to_i64s()?), (b, &b.to_i64s()?), int)?)?
    } else {
        Tensor::from_u64s(dtype, &shape, &joined(&shape, (a, &a.to_u64s()?), (b, &b.to_u64s()?), uint)?)?
    };
    Ok(vec![out.into()])
}

/// `f` over the elements of two tensors that broadcast to `shape`. The trailing dimensions along which each of them is dense,
/// or repeats one element, are one plain loop.
fn joined<T: Copy>(
    shape: &[usize],
    (a, x): (&Tensor, &[T]),
    (b, y): (&Tensor, &[T]),
    f: impl Fn(T, T) -> T,
) -> OpResult<Vec<T>> {
    let mut out = Vec::with_capacity(shape.iter().product());
    if shape.contains(&0) {
        return Ok(out);
    }
    let (s, t) = (index::broadcast_strides(a.shape(), shape)?, index::broadcast_strides(b.shape(), shape)?);
    let last = shape.iter().rposition(|&d| d != 1);
    let steps = last.map_or((0, 0), |d| (s[d], t[d]));
    let (mut outer, mut run) = (shape.len(), 1);
    while outer > 0 {
        let d = outer - 1;
        if shape[d] != 1 && (s[d], t[d]) != (steps.0 * run, steps.1 * run) {
            break;
        }
        (outer, run) = (d, run * shape[d]);
    }
    let starts = |strides: &[usize]| index::Offsets::unsigned(&shape[..outer], &strides[..outer]);
    for (i, j) in starts(&s).zip(starts(&t)) {
        match steps {
            (0, 0) => out.extend(std::iter::repeat_n((x[i], y[j]), run).map(|(x, y)| f(x, y))),
            (0, _) => out.extend(y[j..j + run].iter().map(|&y| f(x[i], y))),
            (_, 0) => out.extend(x[i..i + run].iter().map(|&x| f(x, y[j]))),
            _ => out.extend(x[i..i + run].iter().zip(&y[j..j + run]).map(|(&x, &y)| f(x, y))),
        }
    }
    Ok(out)
}

/// A comparison over the broadcast of inputs 0 and 1, of one numeric type.
///
/// # Errors
/// When the types differ or the shapes do not broadcast.
pub fn compare(inputs: &[Option<&Value>], holds: impl Fn(std::cmp::Ordering) -> bool) -> OpResult<Vec<Value>> {
    let (a, b) = same_typed(inputs)?;
    let (shape, at) = pairs(a, b)?;
    let out = if let (Ok(x), Ok(y)) = (a.strings(), b.strings()) {
        at.iter().map(|&(i, j)| holds(x[i].cmp(&y[j]))).collect()
    } else if a.dtype().is_float() {
        let (x, y) = (a.to_f64s()?, b.to_f64s()?);
        at.iter().map(|&(i, j)| x[i].partial_cmp(&y[j]).is_some_and(&holds)).collect()
    } else if a.dtype() == DType::U64 {
        let (x, y) = (a.to_u64s()?, b.to_u64s()?);
        at.iter().map(|&(i, j)| holds(x[i].cmp(&y[j]))).collect()
    } else {
        let (x, y) = (a.to_i64s()?, b.to_i64s()?);
        at.iter().map(|&(i, j)| holds(x[i].cmp(&y[j]))).collect()
    };
    Ok(vec![Tensor::from_bools(&shape, out)?.into()])
}

/// `f(a, b)` over the broadcast of inputs 0 and 1, integers of one type, on sign- or zero-extended bits.
///
/// # Errors
/// When the types differ or are not integers, or the shapes do not broadcast.
pub fn integers(inputs: &[Option<&Value>], f: impl Fn(i64, i64) -> i64) -> OpResult<Vec<Value>> {
    let (a, b) = same_typed(inputs)?;
    let (shape, at) = pairs(a, b)?;
    let (x, y) = (a.to_i64s()?, b.to_i64s()?);
    let out = at.iter().map(|&(i, j)| f(x[i], y[j])).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(a.dtype(), &shape, &out)?.into()])
}

/// `f(a, b)` over the broadcast of inputs 0 and 1, both booleans.
///
/// # Errors
/// When the types are others or the shapes do not broadcast.
pub fn logical(inputs: &[Option<&Value>], f: impl Fn(bool, bool) -> bool) -> OpResult<Vec<Value>> {
    let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
    let (shape, at) = pairs(a, b)?;
    let (x, y) = (a.to_bools()?, b.to_bools()?);
    Ok(vec![Tensor::from_bools(&shape, at.iter().map(|&(i, j)| f(x[i], y[j])).collect())?.into()])
}

/// Inputs 0 and 1, which must be of one type.
///
/// # Errors
/// When one is absent or the types differ.
pub fn same_typed<'a>(inputs: &[Option<&'a Value>]) -> OpResult<(&'a Tensor, &'a Tensor)> {
    let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
    match a.dtype() == b.dtype() {
        true => Ok((a, b)),
        false => Err(OpError::invalid(format!("operands of types {} and {}", a.dtype(), b.dtype()))),
    }
}

/// Fails when input 1 holds an integer zero, by which nothing can be divided.
///
/// # Errors
/// Then, and when it is absent.
pub fn refuse_zero_divisor(inputs: &[Option<&Value>]) -> OpResult<()> {
    let b = operand(inputs, 1)?;
    let empty = operand(inputs, 0)?.is_empty();
    match !empty && b.dtype().is_int() && b.to_i64s()?.contains(&0) {
        true => Err(OpError::invalid("division by the integer zero")),
        false => Ok(()),
    }
}

/// Samples of a unary operator: every allowed type of `set` at one shape, every shape at `f32`, and special values.
pub fn unary_samples(s: &mut Samples, set: TypeSet, lo: f64, hi: f64) {
    for dtype in set.dtypes() {
        let x = if dtype.is_float() { s.floats(dtype, &[3, 4], lo, hi) } else { s.any(dtype, &[3, 4]) };
        s.case().input(x).add();
    }
    if set.has(F32) {
        for shape in Samples::shapes() {
            let x = s.floats(F32, shape, lo, hi);
            s.case().input(x).add();
        }
        let x = s.special(F32, 12);
        s.case().input(x).add();
    }
}

/// Samples of a binary operator with broadcasting: every allowed type, several pairs of shapes, special values.
/// Integers of the second operand are never zero.
pub fn binary_samples(s: &mut Samples, set: TypeSet) {
    for dtype in set.dtypes() {
        let a = s.any(dtype, &[3, 4]);
        let b = if dtype.is_int() { s.ints(dtype, &[4], 1, 3) } else { s.any(dtype, &[4]) };
        s.case().input(a).input(b).add();
    }
    let base = set.dtypes().find(|d| *d == F32).or_else(|| set.dtypes().next());
    let Some(dtype) = base else { return };
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[], &[]),
        (&[5], &[]),
        (&[2, 3], &[3]),
        (&[2, 1, 4], &[3, 1]),
        (&[1, 2, 1, 3], &[2, 2, 2, 1]),
        (&[2, 0, 3], &[1, 3]),
    ];
    for (p, q) in shapes {
        let (a, b) = (s.any(dtype, p), s.any(dtype, q));
        s.case().input(a).input(b).add();
    }
    if dtype == F32 {
        let (a, b) = (s.special(F32, 12), s.floats(F32, &[12], -2.0, 2.0));
        s.case().input(a.clone()).input(b.clone()).add();
        s.case().input(b).input(a).add();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_join_wherever_they_broadcast() {
        let shapes: [&[usize]; 9] = [&[], &[1], &[4], &[3, 4], &[3, 1], &[1, 4], &[2, 1, 4], &[2, 3, 4], &[2, 3, 1]];
        let tensor = |shape: &[usize], from: i64| {
            Tensor::new(shape, (from..).take(shape.iter().product()).collect::<Vec<i64>>()).unwrap()
        };
        for (a, b) in shapes.iter().flat_map(|a| shapes.map(|b| (tensor(a, 0), tensor(b, 1000)))) {
            let (shape, at) = pairs(&a, &b).unwrap();
            let (x, y) = (a.to_i64s().unwrap(), b.to_i64s().unwrap());
            let want = at.iter().map(|&(i, j)| 7 * x[i] + y[j]).collect::<Vec<_>>();
            let got = joined(&shape, (&a, &x), (&b, &y), |x, y| 7 * x + y).unwrap();
            assert_eq!(got, want, "{:?} {:?}", a.shape(), b.shape());
        }
    }
}
