//! What the optimizers share: a rate, a count of updates, then the tensors that are optimized, their gradients and
//! their states, each list as long as the first.

use crate::prelude::*;

/// Types of rate and count, and of all that is updated.
pub(crate) const TYPES: &[modelsmith_ir::TypeVar] =
    &[types_of("T1", REAL), types_of("T2", I64_ONLY), types_of("T3", REAL)];
const REAL: TypeSet = TypeSet::tensors(&[F32, F64]);

/// Operands of every optimizer.
pub(crate) const INPUTS: &[Param] = &[Param::one("R", "T1"), Param::one("T", "T2"), Param::mixed("inputs", "T3", 1)];

/// Results of every optimizer.
pub(crate) const OUTPUTS: &[Param] = &[Param::mixed("outputs", "T3", 1)];

/// One element before an update.
pub(crate) struct Element<const S: usize> {
    pub(crate) x: f64,
    pub(crate) gradient: f64,
    pub(crate) states: [f64; S],
}

/// Number of tensors that `count` operands optimize with `S` states each.
fn tensors<const S: usize>(count: usize) -> OpResult<usize> {
    match count.checked_sub(2) {
        Some(rest) if rest > 0 && rest % (S + 2) == 0 => Ok(rest / (S + 2)),
        _ => Err(OpError::invalid(format!(
            "{count} operands; rate, count and then {} for each tensor are wanted",
            S + 2
        ))),
    }
}

/// Types of the results: those of the tensors, then of their states.
///
/// # Errors
/// When the operands do not come in equal lists.
pub(crate) fn infer<const S: usize>(cx: &mut InferCx) -> OpResult<()> {
    let n = tensors::<S>(cx.input_count())?;
    for i in 0..n * (S + 1) {
        // The list of gradients comes between.
        let ty = cx.ty(2 + if i < n { i } else { i + n });
        cx.set(i, ty);
    }
    Ok(())
}

/// Rate and count of updates.
///
/// # Errors
/// When one is no scalar.
pub(crate) fn rate(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<(f64, i64)> {
    match (cx.tensor(inputs, 0)?.to_f64s()?.as_slice(), cx.tensor(inputs, 1)?.to_i64s()?.as_slice()) {
        (&[rate], &[count]) => Ok((rate, count)),
        (r, t) => Err(OpError::invalid(format!("a rate of {} and a count of {} elements", r.len(), t.len()))),
    }
}

/// Every element of every tensor updated by `f`, which returns the new element and its new states.
///
/// # Errors
/// When the operands do not come in equal lists, or a gradient or state differs from its tensor in shape.
pub(crate) fn eval<const S: usize>(
    cx: &EvalCx,
    inputs: &[Option<&Value>],
    f: impl Fn(Element<S>) -> (f64, [f64; S]),
) -> OpResult<Vec<Value>> {
    let n = tensors::<S>(inputs.len())?;
    let mut out = vec![None; n * (S + 1)];
    for i in 0..n {
        let x = cx.tensor(inputs, 2 + i)?;
        let list = |k: usize| {
            let t = cx.tensor(inputs, 2 + k * n + i)?;
            match t.shape() == x.shape() {
                true => Ok(t.to_f64s()?),
                false => Err(OpError::invalid(format!("shapes {:?} and {:?} differ", x.shape(), t.shape()))),
            }
        };
        let (old, gradients) = (x.to_f64s()?, list(1)?);
        let states = (0..S).map(|k| list(2 + k)).collect::<OpResult<Vec<_>>>()?;
        let mut new = vec![Vec::with_capacity(old.len()); S + 1];
        for (e, (&x, &gradient)) in old.iter().zip(&gradients).enumerate() {
            let (x, held) = f(Element { x, gradient, states: std::array::from_fn(|k| states[k][e]) });
            new[0].push(x);
            held.iter().enumerate().for_each(|(k, &v)| new[k + 1].push(v));
        }
        for (k, values) in new.iter().enumerate() {
            let dtype = cx.tensor(inputs, 2 + if k == 0 { i } else { (k + 1) * n + i })?.dtype();
            out[k * n + i] = Some(Tensor::from_f64s(dtype, x.shape(), values)?.into());
        }
    }
    Ok(out.into_iter().flatten().collect())
}

/// Samples of both types, of the first update and of a later one, of one tensor and of two, each with `attrs`.
pub(crate) fn samples<const S: usize>(s: &mut Samples, attrs: &[Attrs]) {
    for attrs in attrs {
        for (dtype, count) in [(F32, 0i64), (F64, 3)] {
            for shapes in [&[&[3usize, 2] as &[usize]] as &[&[usize]], &[&[2], &[2, 0], &[]]] {
                let lists = (0..S + 2).flat_map(|k| shapes.iter().map(move |shape| (k, *shape)));
                let tensors = lists.map(|(k, shape)| {
                    // The last state is a sum of squares in two of the three.
                    let low = if k == S + 1 { 0.0 } else { -2.0 };
                    s.floats(dtype, shape, low, 2.0)
                });
                let tensors = tensors.collect::<Vec<_>>();
                let rate = s.floats(dtype, &[], 0.01, 0.2);
                let case = s.case().input(rate).input(Tensor::scalar(count)).outputs(shapes.len() * (S + 1));
                let case = tensors.into_iter().fold(case, |c, t| c.input(t));
                attrs.iter().fold(case, |c, (name, value)| c.attr(name, value.clone())).add();
            }
        }
    }
}
