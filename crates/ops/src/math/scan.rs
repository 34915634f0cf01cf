//! Running folds along an axis: CumSum and CumProd.

use crate::prelude::*;

/// The type of input 0.
///
/// # Errors
/// When a known axis is outside the rank.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let (Some(rank), Some(&[axis])) = (cx.rank(0), cx.ints(1).as_deref()) {
        shapes::axis(axis, rank)?;
    }
    elementwise::same_as_first(cx)
}

/// `step` from `init` along the axis that input 1 names, under the attributes `exclusive` and `reverse`.
///
/// # Errors
/// When input 1 is not one axis of the operand.
pub fn along<E: Copy>(
    cx: &EvalCx,
    inputs: &[Option<&Value>],
    elements: &[E],
    init: E,
    step: impl Fn(E, E) -> E,
) -> OpResult<Vec<E>> {
    let x = cx.tensor(inputs, 0)?;
    let axis = match cx.tensor(inputs, 1)?.to_i64s()?.as_slice() {
        &[axis] => shapes::axis(axis, x.rank())?,
        other => return Err(OpError::invalid(format!("axis must be one number, {} are given", other.len()))),
    };
    let (exclusive, reverse) = (cx.attrs.flag("exclusive")?, cx.attrs.flag("reverse")?);
    let (n, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
    let mut out = elements.to_vec();
    if out.is_empty() {
        return Ok(out);
    }
    for block in (0..out.len()).step_by(n * inner) {
        for column in block..block + inner {
            let mut held = init;
            for k in 0..n {
                let at = column + inner * if reverse { n - 1 - k } else { k };
                let next = step(held, elements[at]);
                out[at] = if exclusive { held } else { next };
                held = next;
            }
        }
    }
    Ok(out)
}

/// Samples: every type of both operands, both attributes, all ranks.
pub fn samples(s: &mut Samples, set: TypeSet) {
    for dtype in set.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x.clone()).input(Tensor::scalar(1i64)).add();
        s.case().attr("exclusive", 1).input(x).input(Tensor::scalar(-2i32)).add();
    }
    for shape in Samples::shapes().into_iter().filter(|shape| !shape.is_empty()) {
        let x = s.any(F32, shape);
        s.case().attr("reverse", 1).input(x.clone()).input(Tensor::scalar(0i32)).add();
        s.case().attr("exclusive", 1).attr("reverse", 1).input(x).input(Tensor::vector(&[-1i64])).add();
    }
    let x = s.special(F32, 12);
    s.case().input(x).input(Tensor::scalar(0i64)).add();
}
