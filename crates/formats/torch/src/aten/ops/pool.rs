//! Pooling.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_ir::{Attrs, Dim, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row(
        "max_pool1d|max_pool2d|max_pool3d(T self, I[] kernel_size, I[] stride=[], I[] padding=0, I[] \
         dilation=1, B ceil_mode=False)",
        max_pool,
    ),
    row(
        "max_pool1d_with_indices|max_pool2d_with_indices|max_pool3d_with_indices(T self, I[] kernel_size, \
         I[] stride=[], I[] padding=0, I[] dilation=1, B ceil_mode=False)",
        max_pool_indices,
    ),
    row(
        "avg_pool1d(T self, I[] kernel_size, I[] stride=[], I[] padding=0, B ceil_mode=False, B \
         count_include_pad=True)",
        avg_pool,
    ),
    row(
        "avg_pool2d|avg_pool3d(T self, I[] kernel_size, I[] stride=[], I[] padding=0, B ceil_mode=False, B \
         count_include_pad=True, I? divisor_override=None)",
        avg_pool,
    ),
    row("adaptive_avg_pool1d|adaptive_avg_pool2d|adaptive_avg_pool3d(T self, I[] output_size)", adaptive_avg),
    row("_adaptive_avg_pool2d|_adaptive_avg_pool3d(T self, I[] output_size)", adaptive_avg),
    row("adaptive_max_pool1d|adaptive_max_pool2d|adaptive_max_pool3d(T self, I[] output_size)", adaptive_max),
];

/// Number of axes of the window, from the name.
fn spatial(a: &Args<'_>) -> usize {
    match a.name {
        n if n.contains("1d") => 1,
        n if n.contains("3d") => 3,
        _ => 2,
    }
}

/// The input with an axis for images, and whether it was added.
fn batched(cx: &mut Context, a: &Args<'_>, n: usize) -> Outcome<(ValueId, bool)> {
    let x = a.tensor(cx, 0)?;
    let rank = cx.rank_or(x, Some(n.saturating_add(2)))?;
    if rank == n.saturating_add(1) {
        let axes = cx.ints(&[0]);
        return Ok((cx.op("Unsqueeze", &[x, axes])?, true));
    }
    Ok((x, false))
}

fn unbatched(cx: &mut Context, v: ValueId, alone: bool) -> Outcome<Val> {
    let axes = cx.ints(&[0]);
    let v = if alone { cx.op("Squeeze", &[v, axes])? } else { v };
    Ok(cx.tensor(v))
}

fn window(cx: &mut Context, a: &Args<'_>, n: usize) -> Outcome<Attrs> {
    let kernel = a.ints_of(cx, 1, n)?;
    let stride = a.ints_of(cx, 2, n)?;
    let stride = if stride.is_empty() { kernel.clone() } else { stride };
    let pads = a.ints_of(cx, 3, n)?;
    let pads = [pads.clone(), pads].concat();
    Ok(Attrs::new().with("kernel_shape", kernel).with("pads", pads).with("strides", stride))
}

fn max_pool(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(a);
    let (x, alone) = batched(cx, a, n)?;
    let dilation = a.ints_of(cx, 4, n)?;
    let attrs = window(cx, a, n)?.with("dilations", dilation).with("ceil_mode", i64::from(a.flag(5)?));
    let made = cx.op_with("MaxPool", &[x], attrs)?;
    unbatched(cx, made, alone)
}

fn max_pool_indices(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(a);
    let (x, alone) = batched(cx, a, n)?;
    let dilation = a.ints_of(cx, 4, n)?;
    let attrs = window(cx, a, n)?.with("dilations", dilation).with("ceil_mode", i64::from(a.flag(5)?));
    let made = cx.node("MaxPool", &[Some(x)], attrs, 2)?;
    let [values, indices] = *made else { return unsupported("a pooling without indices") };
    // The hub counts indices through the whole tensor, PyTorch through one image of one channel.
    let mut plane = cx.int(1);
    for axis in 2..n.saturating_add(2) {
        let size = cx.size(x, axis)?;
        plane = cx.op("Mul", &[plane, size])?;
    }
    let indices = cx.op("Mod", &[indices, plane])?;
    let (values, indices) = (unbatched(cx, values, alone)?, unbatched(cx, indices, alone)?);
    Ok(Val::tuple(vec![values, indices]))
}

fn avg_pool(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let n = spatial(a);
    let (x, alone) = batched(cx, a, n)?;
    let mut attrs = window(cx, a, n)?.with("ceil_mode", i64::from(a.flag(4)?));
    let divisor = a.opt_int(cx, 6)?;
    let pads = a.flag(5)? || divisor.is_some();
    attrs.set("count_include_pad", i64::from(pads));
    let made = cx.op_with("AveragePool", &[x], attrs)?;
    let made = match divisor {
        None => made,
        Some(d) => {
            if a.flag(4)? {
                return unsupported("an average pooling with ceil_mode and a divisor of its own");
            }
            let kernel = a.ints_of(cx, 1, n)?.iter().fold(1i64, |p, &k| p.saturating_mul(k));
            let ratio = f64::from(i32::try_from(kernel).unwrap_or(1)) / f64::from(i32::try_from(d).unwrap_or(1));
            let ratio = cx.scalar(cx.dtype(made)?, ratio)?;
            cx.op("Mul", &[made, ratio])?
        }
    };
    unbatched(cx, made, alone)
}

fn adaptive_avg(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let made = adaptive(cx, a, "GlobalAveragePool", "AveragePool", "ReduceMean")?;
    Ok(made)
}

fn adaptive_max(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let made = adaptive(cx, a, "GlobalMaxPool", "MaxPool", "ReduceMax")?;
    // The second result holds indices, which are seldom used; they are not computed.
    Ok(Val::tuple(vec![made, Val::Unset("indices of an adaptive pooling".into())]))
}

/// Sizes that divide the input become windows; others are sliced cell by cell where both are known, and take windows of
/// gathered indices where they are not.
fn adaptive(cx: &mut Context, a: &Args<'_>, global: &str, op: &str, reduce: &str) -> Outcome<Val> {
    let n = spatial(a);
    let (x, alone) = batched(cx, a, n)?;
    let wanted = match a.vals(cx, 1)?.as_slice() {
        [one] => vec![one.clone(); n],
        many => many.to_vec(),
    };
    let ones = wanted.iter().all(|v| matches!(v, Val::Int(1)));
    if ones {
        let made = cx.op(global, &[x])?;
        return unbatched(cx, made, alone);
    }
    let shape = cx.shape(x)?;
    let have = shape.iter().skip(2).map(Dim::known).collect::<Vec<_>>();
    let mut kernel = Vec::new();
    for (have, want) in have.iter().zip(&wanted) {
        match (have, want) {
            (Some(h), Val::Int(w)) if *w > 0 && h.checked_rem(*w) == Some(0) => {
                kernel.push(h.checked_div(*w).unwrap_or(1));
            }
            (_, Val::None) => kernel.push(1),
            _ => break,
        }
    }
    if kernel.len() == n {
        let attrs = Attrs::new().with("kernel_shape", kernel.clone()).with("strides", kernel);
        let made = cx.op_with(op, &[x], attrs)?;
        return unbatched(cx, made, alone);
    }
    let mut made = x;
    for (i, want) in wanted.iter().enumerate() {
        let axis = i.saturating_add(2);
        match want {
            Val::None => {}
            Val::Int(w) => made = cells(cx, made, axis, *w, reduce)?,
            _ => return unsupported("an adaptive pooling to a size that is known by running only"),
        }
    }
    unbatched(cx, made, alone)
}

/// One axis: cell `i` of `count` is reduced over `floor(i n / count) .. ceil((i + 1) n / count)`.
fn cells(cx: &mut Context, v: ValueId, axis: usize, count: i64, reduce: &str) -> Outcome<ValueId> {
    if !(1..=64).contains(&count) {
        return unsupported(format!("an adaptive pooling to {count} cells of an axis whose size is not a multiple"));
    }
    let size = cx.size(v, axis)?;
    let at = i64::try_from(axis).unwrap_or(0);
    let (axes, by) = (cx.ints(&[at]), cx.int(count));
    let one = cx.ints(&[1]);
    let mut parts = Vec::new();
    for i in 0..count {
        let (low, high) = (cx.int(i), cx.int(i.saturating_add(1)));
        let start = cx.op("Mul", &[size, low])?;
        let start = cx.op("Div", &[start, by])?;
        let end = cx.op("Mul", &[size, high])?;
        let round = cx.int(count.saturating_sub(1));
        let end = cx.op("Add", &[end, round])?;
        let end = cx.op("Div", &[end, by])?;
        let (start, end) = (cx.op("Reshape", &[start, one])?, cx.op("Reshape", &[end, one])?);
        let part = cx.op("Slice", &[v, start, end, axes])?;
        parts.push(cx.op(reduce, &[part, axes])?);
    }
    match *parts {
        [single] => Ok(single),
        _ => cx.op_with("Concat", &parts, Attrs::new().with("axis", at)),
    }
}
