//! Operators whose results share the elements of their operand.

use crate::aten::context::axis_at;
use crate::aten::schema::{Args, Row, row};
use crate::aten::value::{Cell, Step, TensorRef, long};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_ir::{Attrs, Dim, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row("view|reshape|_unsafe_view|_reshape_alias|view_copy(T self, I[] size, A stride=None)", reshape),
    row("view.dtype(T self, I dtype, A x)", reshape),
    row("view_as|reshape_as(T self, T other)", reshape_as),
    row("flatten.using_ints(T self, I start_dim=0, I end_dim=-1)", flatten),
    row("ravel(T self)", flatten_all),
    row("unflatten.int(T self, I dim, I[] sizes)", unflatten),
    row("squeeze(T self)", squeeze),
    row("squeeze.dim|squeeze.dims|squeeze_copy(T self, I[] dim)", squeeze),
    row("unsqueeze|unsqueeze_copy(T self, I dim)", unsqueeze),
    row("transpose.int|swapaxes|swapdims|transpose_copy(T self, I dim0, I dim1)", transpose),
    row("t|numpy_T|mT|adjoint(T self)", turn),
    row("permute|permute_copy(T self, I[] dims)", permute),
    row("movedim.int|movedim.intlist|moveaxis.int(T self, I[] source, I[] destination)", movedim),
    row("expand|expand_copy(T self, I[] size, B implicit=False)", expand),
    row("expand_as(T self, T other)", expand_as),
    row("broadcast_to(T self, I[] size)", expand),
    row("select.int|select_copy(T self, I dim, I index)", select),
    row("slice.Tensor|slice_copy(T self, I dim=0, I? start=None, I? end=None, I step=1)", slice),
    row("narrow|narrow_copy(T self, I dim, I start, I length)", narrow),
    row("split.Tensor|split.sizes|split_with_sizes|split_with_sizes_copy(T self, I[] split_size, I dim=0)", split),
    row("chunk|unsafe_chunk(T self, I chunks, I dim=0)", chunk),
    row("tensor_split.sections(T self, I sections, I dim=0)", tensor_split),
    row("unbind.int|unbind_copy(T self, I dim=0)", unbind),
    row("unsafe_split.Tensor|unsafe_split_with_sizes(T self, I[] split_size, I dim=0)", split),
];

/// A view by `step` of argument 0.
pub(super) fn view(cx: &mut Context, a: &Args<'_>, step: Step) -> Outcome<Val> {
    let t = a.place(0)?;
    view_of(cx, t, step)
}

pub(super) fn view_of(cx: &mut Context, t: TensorRef, step: Step) -> Outcome<Val> {
    let v = cx.read(t)?;
    let value = cx.take(v, &step)?;
    Ok(cx.view(t, step, value))
}

/// True where the elements of `t` lie in order, so that another shape of them is a view and no copy.
pub(super) fn contiguous(cx: &Context, t: TensorRef) -> bool {
    match cx.heap.tensors.get(t.0) {
        Some(Cell::View { of, step: Step::Reshape(_) | Step::Same, .. }) => contiguous(cx, *of),
        Some(Cell::View { of, step: Step::Select(0, _), .. }) => contiguous(cx, *of),
        Some(Cell::View { of, step: Step::Slice(0, _, _, by), .. }) => {
            cx.known_ints(*by).as_deref() == Some(&[1]) && contiguous(cx, *of)
        }
        Some(Cell::View { .. }) => false,
        _ => true,
    }
}

/// Argument 0 in the shape `shape`: a view where its elements lie in order.
fn reshaped(cx: &mut Context, a: &Args<'_>, shape: ValueId) -> Outcome<Val> {
    let t = a.place(0)?;
    if contiguous(cx, t) {
        return view(cx, a, Step::Reshape(shape));
    }
    let v = a.tensor(cx, 0)?;
    let made = cx.op("Reshape", &[v, shape])?;
    Ok(cx.tensor(made))
}

fn reshape(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    if a.name.ends_with("view") && a.values.len() == 3 && !a.is_none(2) {
        return unsupported("a view with strides of its own");
    }
    let shape = sizes(cx, a, 1)?;
    reshaped(cx, a, shape)
}

/// A list of sizes as the operand of Reshape. Sizes that are those of the operand at the same place are written as 0, which
/// keeps them whatever they are.
fn sizes(cx: &mut Context, a: &Args<'_>, at: usize) -> Outcome<ValueId> {
    if let Val::List(r) = a.get(at)
        && let Some(crate::aten::List::Vector(..)) = cx.heap.lists.get(r.0)
    {
        return a.vector(cx, at);
    }
    let mut items = a.vals(cx, at)?;
    let v = a.tensor(cx, 0)?;
    let unknown = items.iter().filter(|v| !matches!(v, Val::Int(_))).count();
    let free = items.iter().any(|v| matches!(v, Val::Int(-1)));
    let have = cx.ty(v).shape().map(<[Dim]>::to_vec).unwrap_or_default();
    for (item, have) in items.iter_mut().zip(&have) {
        let Val::Num(_, n) = item else { continue };
        let same = cx.fact(*n).value.and_then(|t| t.dims.first().cloned()).is_some_and(|d| d == *have);
        if same {
            *item = Val::Int(0);
        }
    }
    if unknown == 1
        && !free
        && let Some(one) = items.iter_mut().find(|v| matches!(v, Val::Num(..)))
    {
        *one = Val::Int(-1);
    }
    cx.vector(&items)
}

fn reshape_as(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let other = a.tensor(cx, 1)?;
    let shape = cx.op("Shape", &[other])?;
    reshaped(cx, a, shape)
}

fn flatten_all(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let shape = cx.ints(&[-1]);
    reshaped(cx, a, shape)
}

fn flatten(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let (start, end) = (a.int(cx, 1)?, a.int(cx, 2)?);
    if start == 0 && end == -1 {
        return flatten_all(cx, a);
    }
    if start == 1 && end == -1 && cx.ty(v).rank() != Some(1) {
        let t = a.place(0)?;
        let made = cx.op_with("Flatten", &[v], Attrs::new().with("axis", 1))?;
        let shape = cx.ints(&[0, -1]);
        return Ok(if contiguous(cx, t) { cx.view(t, Step::Reshape(shape), made) } else { cx.tensor(made) });
    }
    let rank = cx.rank(v)?;
    let (start, end) = (axis_at(start, rank)?, axis_at(end, rank)?);
    let mut shape = vec![Val::Int(0); start];
    shape.push(Val::Int(-1));
    for axis in end.saturating_add(1)..rank {
        shape.push(cx.size_val(v, axis)?);
    }
    let shape = cx.vector(&shape)?;
    reshaped(cx, a, shape)
}

fn unflatten(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let axis = axis_at(a.int(cx, 1)?, rank)?;
    let mut shape = vec![Val::Int(0); axis];
    shape.extend(a.vals(cx, 2)?);
    for axis in axis.saturating_add(1)..rank {
        shape.push(cx.size_val(v, axis)?);
    }
    let shape = cx.vector(&shape)?;
    reshaped(cx, a, shape)
}

/// The shape of `v` without the axes that `drop` names, as the operand of Reshape.
fn squeeze(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (t, v) = (a.place(0)?, a.tensor(cx, 0)?);
    let shape = cx.shape(v)?;
    let rank = shape.len();
    let wanted = if a.values.len() < 2 { None } else { Some(a.ints(cx, 1)?) };
    let mut axes = Vec::new();
    match wanted {
        Some(list) => {
            for axis in list {
                let at = axis_at(axis, rank)?;
                match shape.get(at) {
                    Some(Dim::Known(1)) => axes.push(long(at)),
                    Some(Dim::Known(_)) | None => {}
                    // A size that is not known is taken to be 1: otherwise nothing would have been squeezed.
                    Some(_) => axes.push(long(at)),
                }
            }
        }
        None => {
            if shape.iter().any(|d| d.known().is_none()) {
                cx.warn("torch.squeeze", "squeeze without an axis removes axes of a known size of 1 only".into());
            }
            axes.extend(shape.iter().enumerate().filter(|(_, d)| **d == Dim::Known(1)).map(|(i, _)| long(i)));
        }
    }
    if axes.is_empty() {
        return Ok(a.get(0).clone());
    }
    let list = cx.ints(&axes);
    let made = cx.op("Squeeze", &[v, list])?;
    let shape = cx.op("Shape", &[made])?;
    Ok(cx.view(t, Step::Reshape(shape), made))
}

fn unsqueeze(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (t, v, axis) = (a.place(0)?, a.tensor(cx, 0)?, a.int(cx, 1)?);
    let list = cx.ints(&[axis]);
    let made = cx.op("Unsqueeze", &[v, list])?;
    let shape = cx.op("Shape", &[made])?;
    Ok(cx.view(t, Step::Reshape(shape), made))
}

fn transpose(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let (x, y) = (axis_at(a.int(cx, 1)?, rank)?, axis_at(a.int(cx, 2)?, rank)?);
    let mut perm = (0..rank).collect::<Vec<_>>();
    if x < rank && y < rank {
        perm.swap(x, y);
    }
    view(cx, a, Step::Permute(perm))
}

fn turn(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let mut perm = (0..rank).collect::<Vec<_>>();
    match a.name {
        "aten::mT" | "aten::adjoint" if rank >= 2 => perm.swap(rank.saturating_sub(1), rank.saturating_sub(2)),
        _ => perm.reverse(),
    }
    view(cx, a, Step::Permute(perm))
}

fn permute(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dims = a.ints(cx, 1)?;
    let rank = cx.rank_or(v, Some(dims.len()))?;
    let perm = dims.iter().map(|&d| axis_at(d, rank)).collect::<Outcome<Vec<_>>>()?;
    view(cx, a, Step::Permute(perm))
}

fn movedim(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let (from, to) = (a.ints(cx, 1)?, a.ints(cx, 2)?);
    let from = from.iter().map(|&d| axis_at(d, rank)).collect::<Outcome<Vec<_>>>()?;
    let to = to.iter().map(|&d| axis_at(d, rank)).collect::<Outcome<Vec<_>>>()?;
    let mut rest = (0..rank).filter(|i| !from.contains(i));
    let mut perm = Vec::new();
    for i in 0..rank {
        let moved = to.iter().position(|&t| t == i).and_then(|k| from.get(k).copied());
        perm.extend(moved.or_else(|| rest.next()));
    }
    view(cx, a, Step::Permute(perm))
}

fn expand(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mut items = a.vals(cx, 1)?;
    for item in &mut items {
        if matches!(item, Val::Int(-1)) {
            *item = Val::Int(1);
        }
    }
    let shape = match a.get(1) {
        Val::List(r) if matches!(cx.heap.lists.get(r.0), Some(crate::aten::List::Vector(..))) => a.vector(cx, 1)?,
        _ => cx.vector(&items)?,
    };
    view(cx, a, Step::Expand(shape))
}

fn expand_as(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let other = a.tensor(cx, 1)?;
    let shape = cx.op("Shape", &[other])?;
    view(cx, a, Step::Expand(shape))
}

fn select(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axis = a.int(cx, 1)?;
    let rank = cx.rank(v)?;
    let axis = axis_at(axis, rank)?;
    let index = cx.scalar_of(a.get(2))?;
    view(cx, a, Step::Select(axis, index))
}

fn slice(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axis = a.int(cx, 1)?;
    let axis = match axis {
        0.. => usize::try_from(axis).unwrap_or(0),
        _ => axis_at(axis, cx.rank(v)?)?,
    };
    let step = a.get(4).clone();
    let or = |v: &Val, end: i64| if matches!(v, Val::None) { Val::Int(end) } else { v.clone() };
    let (start, end) = (or(a.get(2), 0), or(a.get(3), i64::MAX));
    if matches!((&start, &end, &step), (Val::Int(0), Val::Int(i64::MAX), Val::Int(1))) {
        return view(cx, a, Step::Same);
    }
    let (start, end, step) = (cx.vector(&[start])?, cx.vector(&[end])?, cx.vector(&[step])?);
    view(cx, a, Step::Slice(axis, start, end, step))
}

fn narrow(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axis = axis_at(a.int(cx, 1)?, cx.rank(v)?)?;
    let start = cx.vector(&[a.get(2).clone()])?;
    let length = cx.vector(&[a.get(3).clone()])?;
    let end = match (cx.known_ints(start).as_deref(), cx.known_ints(length).as_deref()) {
        (Some(&[s]), Some(&[n])) if s >= 0 => cx.ints(&[s.saturating_add(n)]),
        _ => cx.op("Add", &[start, length])?,
    };
    let one = cx.ints(&[1]);
    view(cx, a, Step::Slice(axis, start, end, one))
}

/// Pieces `bounds[i] .. bounds[i + 1]` along an axis.
fn pieces(cx: &mut Context, a: &Args<'_>, axis: usize, bounds: &[i64]) -> Outcome<Val> {
    let mut out = Vec::new();
    let one = cx.ints(&[1]);
    for ends in bounds.windows(2) {
        if let &[start, end] = ends {
            let (start, end) = (cx.ints(&[start]), cx.ints(&[end]));
            out.push(view(cx, a, Step::Slice(axis, start, end, one))?);
        }
    }
    Ok(cx.list(out))
}

/// Most pieces that a tensor is cut into.
const PIECES: i64 = 1 << 12;

fn split(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axis = axis_at(a.int(cx, 2)?, cx.rank(v)?)?;
    let size = cx.shape(v)?.get(axis).and_then(Dim::known);
    if let (Val::Int(each), Some(size)) = (a.get(1), size) {
        let count = size.saturating_add(each.saturating_sub(1)).checked_div(*each).unwrap_or(0).max(1);
        if *each <= 0 || count > PIECES {
            return unsupported(format!("a split of {size} by {each}"));
        }
        let bounds = (0..=count).map(|i| i.saturating_mul(*each).min(size)).collect::<Vec<_>>();
        return pieces(cx, a, axis, &bounds);
    }
    if a.get(1).number().is_some() {
        return unsupported("a split of an axis whose size is known by running only");
    }
    let (mut at, one) = (cx.ints(&[0]), cx.ints(&[1]));
    let mut out = Vec::new();
    for item in a.vals(cx, 1)? {
        let size = cx.vector(&[item])?;
        let end = match (cx.known_ints(at).as_deref(), cx.known_ints(size).as_deref()) {
            (Some(&[s]), Some(&[n])) => cx.ints(&[s.saturating_add(n)]),
            _ => cx.op("Add", &[at, size])?,
        };
        out.push(view(cx, a, Step::Slice(axis, at, end, one))?);
        at = end;
    }
    Ok(cx.list(out))
}

fn chunk(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, count) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let axis = axis_at(a.int(cx, 2)?, cx.rank(v)?)?;
    if !(1..=PIECES).contains(&count) {
        return unsupported(format!("a division into {count} pieces"));
    }
    if let Some(size) = cx.shape(v)?.get(axis).and_then(Dim::known) {
        let each = size.saturating_add(count.saturating_sub(1)).checked_div(count).unwrap_or(1).max(1);
        let count = size.saturating_add(each.saturating_sub(1)).checked_div(each).unwrap_or(0).max(1);
        let bounds = (0..=count).map(|i| i.saturating_mul(each).min(size)).collect::<Vec<_>>();
        return pieces(cx, a, axis, &bounds);
    }
    // Pieces of a size that is known by running only: as many as are asked for.
    let size = cx.size(v, axis)?;
    let (round, by) = (cx.int(count.saturating_sub(1)), cx.int(count));
    let each = cx.op("Add", &[size, round])?;
    let each = cx.op("Div", &[each, by])?;
    let one = cx.ints(&[1]);
    let mut out = Vec::new();
    for i in 0..count {
        let (low, high) = (cx.int(i), cx.int(i.saturating_add(1)));
        let (start, end) = (cx.op("Mul", &[each, low])?, cx.op("Mul", &[each, high])?);
        let (start, end) = (cx.op("Reshape", &[start, one])?, cx.op("Reshape", &[end, one])?);
        out.push(view(cx, a, Step::Slice(axis, start, end, one))?);
    }
    Ok(cx.list(out))
}

fn tensor_split(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, count) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let axis = axis_at(a.int(cx, 2)?, cx.rank(v)?)?;
    let Some(size) = cx.shape(v)?.get(axis).and_then(Dim::known) else {
        return unsupported("a split of an axis whose size is known by running only");
    };
    if !(1..=PIECES).contains(&count) {
        return unsupported(format!("a division into {count} pieces"));
    }
    let (each, more) = (size.checked_div(count).unwrap_or(0), size.checked_rem(count).unwrap_or(0));
    let bounds = (0..=count).map(|i| i.saturating_mul(each).saturating_add(i.min(more))).collect::<Vec<_>>();
    pieces(cx, a, axis, &bounds)
}

fn unbind(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axis = axis_at(a.int(cx, 1)?, cx.rank(v)?)?;
    match cx.shape(v)?.get(axis).and_then(Dim::known) {
        Some(size) if size <= PIECES => {
            let mut out = Vec::new();
            for i in 0..size {
                let index = cx.int(i);
                out.push(view(cx, a, Step::Select(axis, index))?);
            }
            Ok(cx.list(out))
        }
        Some(size) => unsupported(format!("an axis of {size} taken apart")),
        None => {
            let attrs = Attrs::new().with("axis", long(axis)).with("keepdims", 0);
            let parts = cx.op_opt("SplitToSequence", &[Some(v)], attrs)?;
            let mut shape = cx.shape(v)?;
            shape.remove(axis);
            let ty =
                modelsmith_ir::Type::Tensor(modelsmith_ir::TensorType { dtype: cx.ty(v).dtype(), shape: Some(shape) });
            Ok(cx.add_list(crate::aten::List::Sequence(parts, ty)))
        }
    }
}
