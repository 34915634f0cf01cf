//! Copies between strided views.

use super::contract::check_perm;
use super::pointwise::broadcast_strides;
use super::{Call, Cx, Made, Operand};
use crate::recipe::{Border, Move};
use modelsmith_kop::{CopyProblem, KOp};

/// A copy of the view of `src` to that of `dst`, over `dims`; all three in the order of the result's axes.
struct View {
    dims: Vec<usize>,
    src_offset: i128,
    src: Vec<i128>,
    dst_offset: usize,
    dst: Vec<usize>,
}

fn call(cx: &Cx, v: View, dst: &Operand, input: usize, output: usize) -> Made<Call> {
    let bits = cx.input(input)?.dtype.bits();
    if bits % 8 != 0 || bits == 0 || cx.input(input)?.dtype != dst.dtype {
        return Err("element types do not fit a copy".into());
    }
    let order = dst.memory_order();
    let stride = |s: i128| isize::try_from(s).map_err(|_| "strides overflow".to_string());
    let empty = v.dims.contains(&0);
    let op = KOp::Copy(CopyProblem {
        elem_bytes: bits / 8,
        dims: order.iter().map(|&a| v.dims[a]).collect(),
        src_offset: if empty {
            0
        } else {
            usize::try_from(v.src_offset).map_err(|_| "a view starts before its source")?
        },
        src_strides: order.iter().map(|&a| stride(v.src[a])).collect::<Made<_>>()?,
        dst_offset: v.dst_offset,
        dst_strides: order.iter().map(|&a| v.dst[a]).collect(),
    });
    Ok(Call { op, inputs: vec![input], outputs: vec![output] })
}

fn signed(strides: &[usize]) -> Vec<i128> {
    strides.iter().map(|&s| s as i128).collect()
}

/// A copy of the whole of the source to the part of `dst` that starts at `at` on `axis`.
fn into_part(cx: &Cx, input: usize, axis: usize, at: usize) -> Made<Call> {
    let (src, dst) = (cx.input(input)?, cx.output(0)?);
    let (s, d) = (src.strides(), dst.strides());
    if src.shape.len() != dst.shape.len() || axis >= d.len() {
        return Err("ranks differ".into());
    }
    let dst_offset = at.checked_mul(d[axis]).ok_or("sizes overflow")?;
    let v = View { dims: src.shape.clone(), src_offset: 0, src: signed(&s), dst_offset, dst: d };
    call(cx, v, dst, input, 0)
}

pub(super) fn copies(cx: &Cx, m: &Move) -> Made<Vec<Call>> {
    match m {
        Move::Concat(axis) => concat(cx, *axis),
        Move::Split(axis) => split(cx, *axis),
        Move::Pad { before } => pad(cx, before),
        Move::Extend { before, border } => extend(cx, before, *border),
        Move::Shuffle { groups } => shuffle(cx, *groups),
        Move::Reorder | Move::Transpose(_) | Move::Expand | Move::Slice { .. } => {
            let (x, y) = (cx.input(0)?, cx.output(0)?);
            let (src_offset, src) = source(cx, m, x, y)?;
            let v = View { dims: y.shape.clone(), src_offset, src, dst_offset: 0, dst: y.strides() };
            Ok(vec![call(cx, v, y, 0, 0)?])
        }
    }
}

/// Offset and strides in `x` of the view that becomes `y`.
fn source(cx: &Cx, m: &Move, x: &Operand, y: &Operand) -> Made<(i128, Vec<i128>)> {
    let own = x.strides();
    match m {
        Move::Transpose(perm) => {
            check_perm(perm, x.shape.len())?;
            if y.shape.len() != perm.len() || perm.iter().zip(&y.shape).any(|(&p, &d)| x.shape[p] != d) {
                return Err("the result has another shape".into());
            }
            Ok((0, perm.iter().map(|&p| own[p] as i128).collect()))
        }
        Move::Expand => Ok((0, signed(&broadcast_strides(x, &y.shape)?))),
        Move::Slice { start, step } => {
            let rank = x.shape.len();
            if start.len() != rank || step.len() != rank || y.shape.len() != rank {
                return Err("ranks differ".into());
            }
            let mut offset = 0i128;
            for (i, d) in start.iter().enumerate() {
                let at = d.eval(cx.sizes).ok_or("the start of a slice is not known")?;
                offset += i128::from(at).saturating_mul(own[i] as i128);
                let last = i128::from(at) + (y.shape[i] as i128 - 1).saturating_mul(i128::from(step[i]));
                let inside = 0..x.shape[i] as i128;
                if !y.shape.contains(&0) && (!inside.contains(&i128::from(at)) || !inside.contains(&last)) {
                    return Err(format!("a slice of axis {i} reaches outside"));
                }
            }
            Ok((offset, own.iter().zip(step).map(|(&s, &t)| s as i128 * i128::from(t)).collect()))
        }
        _ if x.shape == y.shape => Ok((0, signed(&own))),
        _ => Err("input and output differ in shape".into()),
    }
}

fn concat(cx: &Cx, axis: usize) -> Made<Vec<Call>> {
    let dst = cx.output(0)?;
    let mut at = 0usize;
    let mut out = Vec::new();
    for i in 0..cx.inputs.len() {
        let src = cx.input(i)?;
        let fits = src.shape.len() == dst.shape.len()
            && (0..dst.shape.len()).all(|a| a == axis || src.shape[a] == dst.shape[a]);
        if !fits || axis >= dst.shape.len() {
            return Err(format!("input {i} does not fit the result"));
        }
        out.push(into_part(cx, i, axis, at)?);
        at = at.checked_add(src.shape[axis]).ok_or("sizes overflow")?;
    }
    match dst.shape.get(axis) == Some(&at) {
        true => Ok(out),
        false => Err("the parts do not fill the result".into()),
    }
}

fn split(cx: &Cx, axis: usize) -> Made<Vec<Call>> {
    let src = cx.input(0)?;
    let own = src.strides();
    let mut at = 0usize;
    let mut out = Vec::new();
    for i in 0..cx.outputs.len() {
        let dst = cx.output(i)?;
        let fits = src.shape.len() == dst.shape.len()
            && (0..src.shape.len()).all(|a| a == axis || src.shape[a] == dst.shape[a]);
        if !fits || axis >= own.len() {
            return Err(format!("output {i} does not fit the input"));
        }
        let src_offset = at as i128 * own[axis] as i128;
        let v = View { dims: dst.shape.clone(), src_offset, src: signed(&own), dst_offset: 0, dst: dst.strides() };
        out.push(call(cx, v, dst, 0, i)?);
        at = at.checked_add(dst.shape[axis]).ok_or("sizes overflow")?;
    }
    match src.shape.get(axis) == Some(&at) {
        true => Ok(out),
        false => Err("the parts do not fill the input".into()),
    }
}

fn pad(cx: &Cx, before: &[i64]) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let rank = x.shape.len();
    if before.len() != rank || y.shape.len() != rank || cx.input(1)?.len()? != 1 {
        return Err("operands do not fit".into());
    }
    let (own, to) = (x.strides(), y.strides());
    let (mut dims, mut src_offset, mut dst_offset) = (y.shape.clone(), 0i128, 0usize);
    let mut calls = Vec::new();
    for (i, &b) in before.iter().enumerate() {
        let (cut, lead) = (b.min(0).unsigned_abs() as usize, b.max(0).unsigned_abs() as usize);
        let lead = lead.min(y.shape[i]);
        let len = x.shape[i].saturating_sub(cut).min(y.shape[i] - lead);
        let at = |n: usize| n.checked_mul(to[i]).and_then(|o| o.checked_add(dst_offset)).ok_or("sizes overflow");
        // What lies before and behind along this axis, within what is left of the axes before it: no element is written
        // twice.
        for (from, n) in [(0, lead), (lead + len, y.shape[i] - lead - len)] {
            if n > 0 {
                let mut border = dims.clone();
                border[i] = n;
                let fill =
                    View { dims: border, src_offset: 0, src: vec![0; rank], dst_offset: at(from)?, dst: to.clone() };
                calls.push(call(cx, fill, y, 1, 0)?);
            }
        }
        src_offset += cut as i128 * own[i] as i128;
        dst_offset = at(lead)?;
        dims[i] = len;
    }
    let copy = View { dims, src_offset, src: signed(&own), dst_offset, dst: to };
    calls.push(call(cx, copy, y, 0, 0)?);
    Ok(calls)
}

/// Elements of an axis of the output that follow each other in the input, forwards, backwards, or all at one place.
#[derive(Clone, Copy)]
struct Stretch {
    to: usize,
    len: usize,
    from: usize,
    step: i128,
}

/// The stretches of an axis of `n` elements with `before` and `after` more; `None` where they do not fit.
fn stretches(n: usize, before: usize, after: usize, border: Border) -> Option<[Stretch; 3]> {
    if !border.fits(n, before.max(after)) {
        return None;
    }
    let last = n.saturating_sub(1);
    let (lead, tail, step) = match border {
        Border::Edge => (0, last, 0),
        Border::Reflect => (before, last.saturating_sub(1), -1),
        Border::Wrap => (n - before, 0, 1),
    };
    Some([
        Stretch { to: 0, len: before, from: lead, step },
        Stretch { to: before, len: n, from: 0, step: 1 },
        Stretch { to: before + n, len: after, from: tail, step },
    ])
}

fn extend(cx: &Cx, before: &[usize], border: Border) -> Made<Vec<Call>> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let rank = x.shape.len();
    if before.len() != rank || y.shape.len() != rank {
        return Err("operands do not fit".into());
    }
    let (own, to) = (signed(&x.strides()), y.strides());
    let start = View { dims: vec![], src_offset: 0, src: vec![], dst_offset: 0, dst: to.clone() };
    let mut views = vec![start];
    for axis in 0..rank {
        let (n, before) = (x.shape[axis], before[axis]);
        let after = n.checked_add(before).and_then(|n| y.shape[axis].checked_sub(n));
        let all = after.and_then(|after| stretches(n, before, after, border)).ok_or("the border does not fit")?;
        let mut longer = Vec::with_capacity(3 * views.len());
        for (v, s) in views.iter().flat_map(|v| all.iter().filter(|s| s.len > 0).map(move |s| (v, s))) {
            let offset =
                s.to.checked_mul(to[axis]).and_then(|o| o.checked_add(v.dst_offset)).ok_or("sizes overflow")?;
            longer.push(View {
                dims: v.dims.iter().copied().chain([s.len]).collect(),
                src_offset: v.src_offset + s.from as i128 * own[axis],
                src: v.src.iter().copied().chain([s.step * own[axis]]).collect(),
                dst_offset: offset,
                dst: to.clone(),
            });
        }
        views = longer;
    }
    views.into_iter().map(|v| call(cx, v, y, 0, 0)).collect()
}

/// Each output takes the channels of the shuffled image that follow those of the outputs before it.
fn shuffle(cx: &Cx, groups: usize) -> Made<Vec<Call>> {
    let x = cx.input(0)?;
    let bits = x.dtype.bits();
    if x.shape.len() < 3 || bits % 8 != 0 || bits == 0 || groups == 0 || !x.shape[1].is_multiple_of(groups) {
        return Err("operands do not fit".into());
    }
    let mut first = 0usize;
    let mut calls = Vec::new();
    for output in 0..cx.outputs.len() {
        let y = cx.output(output)?;
        let rest = |shape: &[usize]| (shape[0], shape[2..].to_vec());
        let same = y.shape.len() == x.shape.len() && rest(&y.shape) == rest(&x.shape) && y.dtype == x.dtype;
        if !same || !y.shape[1].is_multiple_of(groups) {
            return Err(format!("output {output} does not fit"));
        }
        let op = KOp::Copy(shuffled(x, y, groups, first / groups)?);
        calls.push(Call { op, inputs: vec![0], outputs: vec![output] });
        first = first.checked_add(y.shape[1]).ok_or("sizes overflow")?;
    }
    match first == x.shape[1] {
        true => Ok(calls),
        false => Err("the outputs do not hold all channels".into()),
    }
}

/// The copy of the channels from `first` on of every group to `y`.
fn shuffled(x: &Operand, y: &Operand, groups: usize, first: usize) -> Made<CopyProblem> {
    let (from, to, each) = (x.strides(), y.strides(), x.shape[1] / groups);
    // Axes in the order in which the result lies in memory; the channels are two: their place in a group, the group.
    let (mut dims, mut src, mut dst) = (vec![], vec![], vec![]);
    for axis in y.memory_order() {
        let both = [(y.shape[axis], from[axis], to[axis])];
        let place = (y.shape[1] / groups, from[1], to[1].saturating_mul(groups));
        let group = (groups, from[1].saturating_mul(each), to[1]);
        let split = [place, group];
        for &(n, s, d) in if axis == 1 { &split[..] } else { &both[..] } {
            dims.push(n);
            src.push(isize::try_from(s).map_err(|_| "strides overflow")?);
            dst.push(d);
        }
    }
    let src_offset = first.checked_mul(from[1]).ok_or("sizes overflow")?;
    let elem_bytes = x.dtype.bits() / 8;
    Ok(CopyProblem { elem_bytes, dims, src_offset, src_strides: src, dst_offset: 0, dst_strides: dst })
}
