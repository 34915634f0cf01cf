//! Element-wise programs, reductions, softmax and normalisations.

use super::{Call, Cx, Made, Operand, product};
use crate::recipe::{Eltwise, Norm, NormOver};
use modelsmith_kop::{EltwiseProblem, KOp, Lane, NormKind, NormProblem, ReduceOp, ReduceProblem, SoftmaxProblem};
use modelsmith_tensor::DType;

/// Strides of `o` for an iteration over `shape`, 0 where it is broadcast.
pub(super) fn broadcast_strides(o: &Operand, shape: &[usize]) -> Made<Vec<usize>> {
    let lead = shape.len().checked_sub(o.shape.len()).ok_or("an operand has more dimensions than the result")?;
    let mut out = vec![0; shape.len()];
    for (i, (&d, &s)) in o.shape.iter().zip(&o.strides()).enumerate() {
        out[lead + i] = match (d, shape[lead + i]) {
            (1, _) => 0,
            (d, n) if d == n => s,
            (d, n) => return Err(format!("dimension {d} does not broadcast to {n}")),
        };
    }
    Ok(out)
}

pub(super) fn eltwise(cx: &Cx, e: &Eltwise) -> Made<Vec<Call>> {
    let out = cx.output(0)?;
    let shape = &out.shape;
    let order = out.memory_order();
    let in_order = |v: &[usize]| order.iter().map(|&a| v[a]).collect::<Vec<_>>();
    let operand = |o: &Operand, lane: Lane, result: bool| -> Made<modelsmith_kop::Operand> {
        o.want(lane.dtype(), "operand")?;
        if result && o.shape != *shape {
            return Err("results differ in shape".into());
        }
        // A result's stride over a dimension of one element means nothing, but may not be 0.
        let strides = if result { o.strides() } else { broadcast_strides(o, shape)? };
        Ok(modelsmith_kop::Operand { lane, strides: in_order(&strides) })
    };
    let mut inputs = Vec::new();
    for (i, &lane) in e.inputs.iter().enumerate() {
        inputs.push(operand(cx.input(i)?, lane, false)?);
    }
    let mut outputs = Vec::new();
    for (i, &lane) in e.outputs.iter().enumerate() {
        outputs.push(operand(cx.output(i)?, lane, true)?);
    }
    let mut p = EltwiseProblem { dims: in_order(shape), inputs, outputs, registers: e.registers, code: e.code.clone() };
    merge_dims(&mut p);
    cx.one(KOp::Eltwise(p))
}

/// Joins neighbouring dimensions over which every operand goes on in step, and drops those of one element.
fn merge_dims(p: &mut EltwiseProblem) {
    let mut axis = p.dims.len();
    while axis > 0 {
        axis -= 1;
        let len = p.dims[axis];
        let mut all = p.inputs.iter().chain(&p.outputs);
        if len == 1 && p.dims.len() > 1 {
            remove(p, axis);
        } else if axis + 1 < p.dims.len() {
            let inner = p.dims[axis + 1];
            if all.all(|o| o.strides[axis + 1].checked_mul(inner) == Some(o.strides[axis])) {
                p.dims[axis + 1] = match inner.checked_mul(len) {
                    Some(n) => n,
                    None => continue,
                };
                remove(p, axis);
            }
        }
    }
}

fn remove(p: &mut EltwiseProblem, axis: usize) {
    p.dims.remove(axis);
    for o in p.inputs.iter_mut().chain(&mut p.outputs) {
        o.strides.remove(axis);
    }
}

/// Lengths before, within and after `axes` in memory.
fn split(o: &Operand, axes: &[usize]) -> Made<(usize, usize, usize)> {
    let order = o.memory_order();
    if axes.iter().any(|&a| a >= order.len()) {
        return Err("an axis is out of range".into());
    }
    let sizes = order.iter().map(|&a| (o.shape[a], axes.contains(&a))).filter(|s| s.0 != 1).collect::<Vec<_>>();
    let first = sizes.iter().position(|s| s.1).unwrap_or(sizes.len());
    let end = sizes.iter().rposition(|s| s.1).map_or(first, |i| i + 1);
    if sizes[first..end].iter().any(|s| !s.1) {
        return Err("the axes are not neighbours in memory".into());
    }
    let of = |part: &[(usize, bool)]| product(&part.iter().map(|s| s.0).collect::<Vec<_>>());
    Ok((of(&sizes[..first])?, of(&sizes[first..end])?, of(&sizes[end..])?))
}

pub(super) fn reduce(cx: &Cx, op: ReduceOp, axes: &[usize]) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    x.want(DType::F32, "x")?;
    y.want(DType::F32, "y")?;
    let (outer, reduced, inner) = split(x, axes)?;
    if y.len()? != product(&[outer, inner])? {
        return Err("the result has another size".into());
    }
    cx.one(KOp::Reduce(ReduceProblem { op, outer, reduced, inner }))
}

pub(super) fn softmax(cx: &Cx, axis: usize, log: bool) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    x.want(DType::F32, "x")?;
    if x != y {
        return Err("input and output differ".into());
    }
    let (outer, len, inner) = split(x, &[axis])?;
    cx.one(KOp::Softmax(SoftmaxProblem { outer, len, inner, log }))
}

pub(super) fn norm(cx: &Cx, n: &Norm) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    x.want(DType::F32, "x")?;
    if x != y {
        return Err("input and output differ".into());
    }
    let rows = |axis: usize| -> Made<(usize, usize)> {
        x.plain("x")?;
        let (a, b) = x.shape.split_at_checked(axis).ok_or("axis is out of range")?;
        Ok((product(a)?, product(b)?))
    };
    let kind = match n.over {
        NormOver::Layer(axis) => rows(axis).map(|(rows, len)| NormKind::Layer { rows, len })?,
        NormOver::Rms(axis) => rows(axis).map(|(rows, len)| NormKind::Rms { rows, len })?,
        NormOver::Group(groups) => {
            let [images, c, spatial @ ..] = &x.shape[..] else { return Err("x is no image".into()) };
            NormKind::Group { n: *images, c: *c, spatial: product(spatial)?, groups, layout: x.layout }
        }
    };
    cx.one(KOp::Norm(NormProblem { kind, eps: n.eps, scale: n.scale, bias: n.bias, residual: n.residual }))
}
