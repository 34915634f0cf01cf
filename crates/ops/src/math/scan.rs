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
    let mut out = elements.to_vec();
    written(cx, inputs, (elements, &mut out), init, (|x| x, step, |x| x))?;
    Ok(out)
}

/// As [`along`], from elements of one type into places of another: a sum of singles is held in double precision.
///
/// # Errors
/// As there.
pub fn written<E: Copy, H: Copy, R>(
    cx: &EvalCx,
    inputs: &[Option<&Value>],
    (from, to): (&[E], &mut [R]),
    init: H,
    (read, step, round): (impl Fn(E) -> H, impl Fn(H, H) -> H, impl Fn(H) -> R),
) -> OpResult<()> {
    let x = cx.tensor(inputs, 0)?;
    let axis = match cx.tensor(inputs, 1)?.to_i64s()?.as_slice() {
        &[axis] => shapes::axis(axis, x.rank())?,
        other => return Err(OpError::invalid(format!("axis must be one number, {} are given", other.len()))),
    };
    let (exclusive, reverse) = (cx.attrs.flag("exclusive")?, cx.attrs.flag("reverse")?);
    let (n, inner) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
    let size = (n * inner).max(1);
    let mut held = vec![init; inner];
    for (from, to) in from.chunks_exact(size).zip(to.chunks_exact_mut(size)) {
        if inner == 1 {
            let mut held = init;
            let mut next = |(&x, to): (&E, &mut R)| {
                let next = step(held, read(x));
                *to = round(if exclusive { held } else { next });
                held = next;
            };
            let row = from.iter().zip(to);
            if reverse {
                row.rev().for_each(&mut next)
            } else {
                row.for_each(&mut next)
            }
            continue;
        }
        held.fill(init);
        for k in 0..n {
            let line = inner * if reverse { n - 1 - k } else { k };
            let line = line..line + inner;
            for ((held, &x), to) in held.iter_mut().zip(&from[line.clone()]).zip(&mut to[line]) {
                let next = step(*held, read(x));
                *to = round(if exclusive { *held } else { next });
                *held = next;
            }
        }
    }
    Ok(())
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
