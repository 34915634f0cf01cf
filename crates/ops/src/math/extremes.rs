//! Element-wise folds over any number of broadcast operands: Max, Min, Sum and Mean.

use crate::prelude::*;

/// Type of the result.
///
/// # Errors
/// When two known dimensions do not broadcast.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    let all = (0..cx.input_count()).collect::<Vec<_>>();
    elementwise::broadcast(cx, &all, None)
}

/// Operands, all of one type, and the shape to which they broadcast.
fn operands<'a>(inputs: &[Option<&'a Value>]) -> OpResult<(Vec<&'a Tensor>, Vec<usize>)> {
    let all = (0..inputs.len()).map(|i| elementwise::operand(inputs, i)).collect::<OpResult<Vec<_>>>()?;
    let first = all.first().ok_or_else(|| OpError::invalid("at least one input is required"))?;
    if let Some(other) = all.iter().find(|t| t.dtype() != first.dtype()) {
        return Err(OpError::invalid(format!("operands of types {} and {}", first.dtype(), other.dtype())));
    }
    let shape = index::broadcast(&all.iter().map(|t| t.shape()).collect::<Vec<_>>())?;
    Ok((all, shape))
}

fn fold<E: Copy>(
    all: &[&Tensor],
    shape: &[usize],
    read: impl Fn(&Tensor) -> OpResult<Vec<E>>,
    step: impl Fn(E, E) -> E,
) -> OpResult<Vec<E>> {
    let mut out: Option<Vec<E>> = None;
    for t in all {
        let x = read(t)?;
        let at = index::Offsets::unsigned(shape, &index::broadcast_strides(t.shape(), shape)?);
        out = Some(match out {
            None => at.map(|i| x[i]).collect(),
            Some(held) => held.into_iter().zip(at).map(|(a, i)| step(a, x[i])).collect(),
        });
    }
    Ok(out.unwrap_or_default())
}

/// `step` over the operands' elements in `f64`, then `finish` with the number of operands, rounded once.
///
/// # Errors
/// When the types differ or the shapes do not broadcast.
pub fn floats(
    inputs: &[Option<&Value>],
    step: impl Fn(f64, f64) -> f64,
    finish: impl Fn(f64, f64) -> f64,
) -> OpResult<Vec<Value>> {
    let (all, shape) = operands(inputs)?;
    let n = all.len() as f64;
    let out = fold(&all, &shape, |t| Ok(t.to_f64s()?), step)?;
    let out = out.into_iter().map(|x| finish(x, n)).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(all[0].dtype(), &shape, &out)?.into()])
}

/// The largest or smallest operand at each position; NaN wins over all.
///
/// # Errors
/// When the types differ or the shapes do not broadcast.
pub fn extreme(inputs: &[Option<&Value>], largest: bool) -> OpResult<Vec<Value>> {
    let (all, shape) = operands(inputs)?;
    let dtype = all[0].dtype();
    if dtype.is_float() {
        let pick = |a: f64, b: f64| match a.is_nan() || b.is_nan() {
            true => f64::NAN,
            false if largest => a.max(b),
            false => a.min(b),
        };
        return floats(inputs, pick, |x, _| x);
    }
    let out = if dtype == U64 {
        let pick = |a: u64, b: u64| if largest { a.max(b) } else { a.min(b) };
        Tensor::from_u64s(dtype, &shape, &fold(&all, &shape, |t| Ok(t.to_u64s()?), pick)?)?
    } else {
        let pick = |a: i64, b: i64| if largest { a.max(b) } else { a.min(b) };
        Tensor::from_i64s(dtype, &shape, &fold(&all, &shape, |t| Ok(t.to_i64s()?), pick)?)?
    };
    Ok(vec![out.into()])
}

/// The same with two operands at a time by the operator `name`.
///
/// # Errors
/// When there is no operand.
pub fn pairwise(b: &mut Builder, node: NodeId, name: &str) -> OpResult<ValueId> {
    let mut out = b.input(node, 0)?;
    for i in 1..b.model.nodes[node].inputs.len() {
        let next = b.input(node, i)?;
        out = b.op(name, &[out, next])?;
    }
    Ok(out)
}

/// Samples: one, two and three operands, every type, broadcasting, special values.
pub fn samples(s: &mut Samples, set: TypeSet) {
    elementwise::binary_samples(s, set);
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
    let (a, b, c) = (s.any(F32, &[2, 1, 3]), s.any(F32, &[4, 1]), s.any(F32, &[]));
    s.case().input(a).input(b).input(c).add();
}
