//! Reading and writing by index.

use crate::aten::context::axis_at;
use crate::aten::schema::{Args, Row, row};
use crate::aten::value::long;
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row("index.Tensor|_unsafe_index.Tensor(T self, T[] indices)", index),
    row(
        "index_put|_index_put_impl|_unsafe_index_put(T self, T[] indices, T values, B accumulate=False, B \
         unsafe=False)",
        index_put,
    ),
    row("index_select(T self, I dim, T index)", index_select),
    row("gather(T self, I dim, T index, B sparse_grad=False)", gather),
    row("take_along_dim(T self, T indices, I? dim=None)", take_along),
    row("take(T self, T index)", take),
    row(
        "scatter.src|scatter.value|scatter.reduce|scatter.value_reduce(T self, I dim, T index, N src, S? \
         reduce=None)",
        scatter,
    ),
    row("scatter.value(T self, I dim, T index, N value)", scatter),
    row("scatter_add(T self, I dim, T index, T src)", scatter_add),
    row("index_add(T self, I dim, T index, T source, N alpha=1)", index_add),
    row("index_copy(T self, I dim, T index, T source)", index_copy),
    row("index_fill.int_Scalar|index_fill.int_Tensor(T self, I dim, T index, N value)", index_fill),
    row("masked_select(T self, T mask)", masked_select),
    row("masked_scatter(T self, T mask, T source)", masked_scatter),
    row("nonzero(T self)", nonzero),
    row("argwhere(T self)", nonzero),
    row("select_scatter(T self, T src, I dim, I index)", select_scatter),
    row("slice_scatter(T self, T src, I dim=0, I? start=None, I? end=None, I step=1)", slice_scatter),
    row("bucketize.Tensor(T self, T boundaries, B out_int32=False, B right=False)", bucketize),
];

/// Indices by axis; a mask stands for as many axes as it has.
fn axes(cx: &mut Context, items: &[Val]) -> Outcome<Vec<(usize, ValueId)>> {
    let (mut out, mut axis) = (Vec::new(), 0usize);
    for item in items {
        let Val::Tensor(t) = item else {
            axis = axis.saturating_add(1);
            continue;
        };
        let v = cx.read(*t)?;
        if !matches!(cx.dtype(v)?, DType::Bool | DType::U8) {
            let v = cx.cast(v, DType::I64)?;
            out.push((axis, v));
            axis = axis.saturating_add(1);
            continue;
        }
        let rank = cx.rank(v)?;
        let found = cx.op("NonZero", &[v])?;
        for k in 0..rank {
            let at = cx.int(long(k));
            let row = cx.op_with("Gather", &[found, at], Attrs::new().with("axis", 0))?;
            out.push((axis, row));
            axis = axis.saturating_add(1);
        }
    }
    Ok(out)
}

/// The indices broadcast to one shape and put side by side on a last axis.
fn joined(cx: &mut Context, indices: &[(usize, ValueId)]) -> Outcome<(ValueId, usize)> {
    let mut rank = 0;
    for &(_, v) in indices {
        rank = rank.max(cx.rank(v)?);
    }
    let last = cx.ints(&[-1]);
    if let [(_, only)] = indices {
        return Ok((cx.op("Unsqueeze", &[*only, last])?, rank));
    }
    // The sum of the shapes' zeros has the shape to which all broadcast.
    let mut zeros: Option<ValueId> = None;
    let zero = cx.int(0);
    for &(_, v) in indices {
        let none = cx.op("Mul", &[v, zero])?;
        zeros = Some(match zeros {
            Some(z) => cx.op("Add", &[z, none])?,
            None => none,
        });
    }
    let Some(zeros) = zeros else { return unsupported("an index of nothing") };
    let mut parts = Vec::new();
    for &(_, v) in indices {
        let wide = cx.op("Add", &[v, zeros])?;
        parts.push(cx.op("Unsqueeze", &[wide, last])?);
    }
    Ok((cx.op_with("Concat", &parts, Attrs::new().with("axis", -1))?, rank))
}

/// The axes of a tensor of `rank` with the indexed ones in front.
fn front(indices: &[(usize, ValueId)], rank: usize) -> Vec<usize> {
    let first = indices.iter().map(|&(a, _)| a);
    let rest = (0..rank).filter(|i| !indices.iter().any(|(a, _)| a == i));
    first.chain(rest).collect()
}

/// True where the indexed axes are neighbours: the result has the axes of the indices in their place.
fn neighbours(indices: &[(usize, ValueId)]) -> bool {
    indices.windows(2).all(|w| matches!(w, [(a, _), (b, _)] if a.checked_add(1) == Some(*b)))
}

fn index(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let items = a.vals(cx, 1)?;
    let indices = axes(cx, &items)?;
    if let [(axis, at)] = indices.as_slice() {
        let made = cx.op_with("Gather", &[v, *at], Attrs::new().with("axis", long(*axis)))?;
        return Ok(cx.tensor(made));
    }
    if indices.is_empty() {
        return Ok(cx.tensor(v));
    }
    let rank = cx.rank(v)?;
    let perm = front(&indices, rank);
    let turned = cx.permute(v, &perm)?;
    let (at, wide) = joined(cx, &indices)?;
    let mut made = cx.op("GatherND", &[turned, at])?;
    let first = indices.first().map_or(0, |&(a, _)| a);
    if neighbours(&indices) && first > 0 {
        // The axes of the indices come first; those before the first indexed axis belong before them.
        let total = rank.saturating_sub(indices.len()).saturating_add(wide);
        let perm = (wide..wide.saturating_add(first))
            .chain(0..wide)
            .chain(wide.saturating_add(first)..total)
            .collect::<Vec<_>>();
        made = cx.permute(made, &perm)?;
    }
    Ok(cx.tensor(made))
}

fn index_put(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, values) = (a.tensor(cx, 0)?, a.tensor(cx, 2)?);
    let add = a.flag(3)?;
    let dtype = cx.dtype(v)?;
    let values = cx.cast(values, dtype)?;
    let items = a.vals(cx, 1)?;
    // A mask over the first axes with one value is a choice.
    if let ([Val::Tensor(t)], false) = (items.as_slice(), add) {
        let mask = cx.read(*t)?;
        if cx.dtype(mask)? == DType::Bool && cx.rank(values)? == 0 {
            let (have, rank) = (cx.rank(mask)?, cx.rank(v)?);
            let axes = (have..rank).map(long).collect::<Vec<_>>();
            let axes = cx.ints(&axes);
            let mask = if have < rank { cx.op("Unsqueeze", &[mask, axes])? } else { mask };
            let made = cx.op("Where", &[mask, values, v])?;
            return Ok(cx.tensor(made));
        }
    }
    let indices = axes(cx, &items)?;
    let rank = cx.rank(v)?;
    let perm = front(&indices, rank);
    let turned = cx.permute(v, &perm)?;
    let (at, _) = joined(cx, &indices)?;
    let part = cx.op("GatherND", &[turned, at])?;
    // Axes of the index stand where the indexed axes stood, if those are neighbours, and in front else.
    let before = if neighbours(&indices) { indices.first().map_or(0, |&(a, _)| a) } else { 0 };
    let updates = spread_like(cx, values, part, (cx.rank(at)?.saturating_sub(1), before))?;
    let attrs = Attrs::new().with("reduction", if add { "add" } else { "none" });
    let made = cx.op_with("ScatterND", &[turned, at, updates], attrs)?;
    let mut back = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        if let Some(slot) = back.get_mut(p) {
            *slot = i;
        }
    }
    let made = cx.permute(made, &back)?;
    Ok(cx.tensor(made))
}

/// `values` in the shape of `part`, whose first `axes.0` axes are behind `axes.1` others in the order that `values` has.
fn spread_like(cx: &mut Context, values: ValueId, part: ValueId, axes: (usize, usize)) -> Outcome<ValueId> {
    let shape = cx.op("Shape", &[part])?;
    let (index, before) = axes;
    if before == 0 {
        return cx.op("Expand", &[values, shape]);
    }
    let (rank, moved) = (cx.rank(part)?, index.saturating_add(before));
    let order = (index..moved).chain(0..index).chain(moved..rank).collect::<Vec<_>>();
    let list = order.iter().map(|&i| long(i)).collect::<Vec<_>>();
    let list = cx.ints(&list);
    let shape = cx.op_with("Gather", &[shape, list], Attrs::new().with("axis", 0))?;
    let whole = cx.op("Expand", &[values, shape])?;
    let mut back = vec![0; rank];
    for (i, &p) in order.iter().enumerate() {
        if let Some(slot) = back.get_mut(p) {
            *slot = i;
        }
    }
    cx.permute(whole, &back)
}

fn index_select(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis, at) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.tensor(cx, 2)?);
    let mut made = cx.op_with("Gather", &[v, at], Attrs::new().with("axis", axis))?;
    if cx.rank(at)? == 0 {
        let axes = cx.ints(&[axis]);
        made = cx.op("Unsqueeze", &[made, axes])?;
    }
    Ok(cx.tensor(made))
}

fn gather(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis, at) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.tensor(cx, 2)?);
    let made = cx.op_with("GatherElements", &[v, at], Attrs::new().with("axis", axis))?;
    Ok(cx.tensor(made))
}

fn take_along(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, at) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    match a.opt_int(cx, 2)? {
        Some(axis) => {
            let made = cx.op_with("GatherElements", &[v, at], Attrs::new().with("axis", axis))?;
            Ok(cx.tensor(made))
        }
        None => take(cx, a),
    }
}

fn take(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, at) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let all = cx.ints(&[-1]);
    let flat = cx.op("Reshape", &[v, all])?;
    let made = cx.op_with("Gather", &[flat, at], Attrs::new().with("axis", 0))?;
    Ok(cx.tensor(made))
}

fn scattered(cx: &mut Context, a: &Args<'_>, reduction: &str) -> Outcome<Val> {
    let (v, axis, at) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.tensor(cx, 2)?);
    let dtype = cx.dtype(v)?;
    let mut updates = cx.operand(a.get(3), dtype)?;
    let shape = cx.op("Shape", &[at])?;
    match a.get(3) {
        Val::Tensor(_) if cx.ty(updates).rank() != Some(0) => {
            // Of a larger source the part that the index covers counts.
            if cx.ty(updates).shape() != cx.ty(at).shape() {
                let zeros = vec![0; cx.rank(at)?];
                let start = cx.ints(&zeros);
                updates = cx.op("Slice", &[updates, start, shape])?;
            }
        }
        _ => updates = cx.op("Expand", &[updates, shape])?,
    }
    let attrs = Attrs::new().with("axis", axis).with("reduction", reduction);
    let made = cx.op_with("ScatterElements", &[v, at, updates], attrs)?;
    Ok(cx.tensor(made))
}

fn scatter(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let reduction = match a.get(4) {
        Val::Str(s) if s.as_ref() == "add" => "add",
        Val::Str(s) if s.as_ref() == "multiply" => "mul",
        _ => "none",
    };
    scattered(cx, a, reduction)
}

fn scatter_add(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    scattered(cx, a, "add")
}

/// Rows of `source` put at `index` of an axis.
fn rows(cx: &mut Context, a: &Args<'_>, source: ValueId, add: bool) -> Outcome<Val> {
    let (v, at) = (a.tensor(cx, 0)?, a.tensor(cx, 2)?);
    let rank = cx.rank(v)?;
    let axis = axis_at(a.int(cx, 1)?, rank)?;
    let mut perm = (0..rank).collect::<Vec<_>>();
    perm.swap(0, axis);
    let (turned, source) = (cx.permute(v, &perm)?, cx.permute(source, &perm)?);
    let axes = cx.ints(&[-1]);
    let at = cx.op("Unsqueeze", &[at, axes])?;
    let attrs = Attrs::new().with("reduction", if add { "add" } else { "none" });
    let made = cx.op_with("ScatterND", &[turned, at, source], attrs)?;
    let made = cx.permute(made, &perm)?;
    Ok(cx.tensor(made))
}

fn index_add(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dtype = cx.dtype(v)?;
    let source = a.tensor(cx, 3)?;
    let alpha = cx.operand(a.get(4), dtype)?;
    let source = if matches!(a.get(4), Val::Int(1)) { source } else { cx.op("Mul", &[source, alpha])? };
    rows(cx, a, source, true)
}

fn index_copy(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let source = a.tensor(cx, 3)?;
    rows(cx, a, source, false)
}

fn index_fill(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis, at) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.tensor(cx, 2)?);
    let dtype = cx.dtype(v)?;
    let value = cx.operand(a.get(3), dtype)?;
    let part = cx.op_with("Gather", &[v, at], Attrs::new().with("axis", axis))?;
    let shape = cx.op("Shape", &[part])?;
    let source = cx.op("Expand", &[value, shape])?;
    rows(cx, a, source, false)
}

fn masked_select(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, mask) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let (vs, ms) = (cx.op("Shape", &[v])?, cx.op("Shape", &[mask])?);
    let (v, mask) = match cx.ty(v).shape() == cx.ty(mask).shape() {
        true => (v, mask),
        false => (cx.op("Expand", &[v, ms])?, cx.op("Expand", &[mask, vs])?),
    };
    let all = cx.ints(&[-1]);
    let (v, mask) = (cx.op("Reshape", &[v, all])?, cx.op("Reshape", &[mask, all])?);
    let made = cx.op("Compress", &[v, mask])?;
    Ok(cx.tensor(made))
}

fn masked_scatter(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, mask, source) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.tensor(cx, 2)?);
    let shape = cx.op("Shape", &[v])?;
    let mask = cx.op("Expand", &[mask, shape])?;
    let at = cx.op("NonZero", &[mask])?;
    let at = cx.permute(at, &[1, 0])?;
    let all = cx.ints(&[-1]);
    let flat = cx.op("Reshape", &[source, all])?;
    let count = cx.op("Shape", &[at])?;
    let (zero, one) = (cx.ints(&[0]), cx.ints(&[1]));
    let count = cx.op("Slice", &[count, zero, one])?;
    let updates = cx.op("Slice", &[flat, zero, count])?;
    let made = cx.op("ScatterND", &[v, at, updates])?;
    Ok(cx.tensor(made))
}

fn nonzero(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let found = cx.op("NonZero", &[v])?;
    let made = cx.permute(found, &[1, 0])?;
    Ok(cx.tensor(made))
}

fn select_scatter(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, src) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let axis = axis_at(a.int(cx, 2)?, cx.rank(v)?)?;
    let axes = cx.ints(&[long(axis)]);
    let row = cx.op("Unsqueeze", &[src, axes])?;
    let at = cx.vector(&[a.get(3).clone()])?;
    let made = cx.put_rows(v, axis, at, row)?;
    Ok(cx.tensor(made))
}

fn slice_scatter(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, src) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let axis = axis_at(a.int(cx, 2)?, cx.rank(v)?)?;
    let step = cx.vector(&[a.get(5).clone()])?;
    let or = |v: &Val, end: i64| if matches!(v, Val::None) { Val::Int(end) } else { v.clone() };
    let (start, end) = (or(a.get(3), 0), or(a.get(4), i64::MAX));
    let (start, end) = (cx.vector(&[start])?, cx.vector(&[end])?);
    let base = cx.base(v);
    let view = super::view::view_of(cx, base, crate::aten::value::Step::Slice(axis, start, end, step))?;
    if let Val::Tensor(t) = view {
        cx.write(t, src)?;
    }
    Ok(Val::Tensor(base))
}

fn bucketize(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, bounds) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let axes = cx.ints(&[-1]);
    let v = cx.op("Unsqueeze", &[v, axes])?;
    let op = if a.flag(3)? { "GreaterOrEqual" } else { "Greater" };
    let over = cx.op(op, &[v, bounds])?;
    let over = cx.cast(over, DType::I64)?;
    let made = cx.op_with("ReduceSum", &[over, axes], Attrs::new().with("keepdims", 0))?;
    Ok(cx.tensor(made))
}
