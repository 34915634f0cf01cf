//! Joining, repeating, padding and reordering, and questions about shapes.

use crate::aten::context::axis_at;
use crate::aten::schema::{Args, Row, code, row};
use crate::aten::value::long;
use crate::aten::{Context, Kind, List, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};
use modelsmith_tensor::Tensor;

pub(crate) const ROWS: &[Row] = &[
    row("cat|concat|concatenate(A tensors, I dim=0)", cat),
    row("stack(A tensors, I dim=0)", stack),
    row("hstack|vstack|dstack(T[] tensors)", hstack),
    row("repeat|tile(T self, I[] repeats)", repeat),
    row("repeat_interleave.self_int(T self, I repeats, I? dim=None)", interleave),
    row("flip(T self, I[] dims)", flip),
    row("fliplr|flipud(T self)", flip_named),
    row("roll(T self, I[] shifts, I[] dims=[])", roll),
    row("rot90(T self, I k=1, I[] dims=[])", rot90),
    row("tril|triu(T self, I diagonal=0)", triangle),
    row("diagonal|diagonal_copy(T self, I offset=0, I dim1=0, I dim2=1)", diagonal),
    row("diag(T self, I diagonal=0)", diag),
    row("diff(T self, I n=1, I dim=-1, T? prepend=None, T? append=None)", diff),
    row("constant_pad_nd(T self, I[] pad, N value=0)", constant_pad),
    row("pad(T self, I[] pad, S mode='constant', N? value=None)", pad),
    row("reflection_pad1d|reflection_pad2d|reflection_pad3d(T self, I[] padding)", pad_named),
    row("replication_pad1d|replication_pad2d|replication_pad3d(T self, I[] padding)", pad_named),
    row("unfold(T self, I dimension, I size, I step)", unfold),
    row("meshgrid|meshgrid.indexing(T[] tensors, S indexing='ij')", meshgrid),
    row("broadcast_tensors(T[] tensors)", broadcast),
    row("unique_consecutive|unique_dim(T self, A sorted=True, A inverse=False, A counts=False)", unsaid),
    row("_unique(T self, B sorted=True, B return_inverse=False)", unique),
    row("_unique2(T self, B sorted=True, B return_inverse=False, B return_counts=False)", unique),
    row("size(T self)", sizes),
    row("size.int|sym_size.int(T self, I dim)", size),
    row("sym_numel(T self)", numel),
    row("dim|ndimension(T self)", dim),
    row("is_floating_point|is_complex|is_signed(T self)", kind),
    row("item|_local_scalar_dense(T self)", item),
    row("_shape_as_tensor(T self)", shape_as_tensor),
    row("scalar_type|prim::dtype(T self)", dtype_of),
    row("is_contiguous(T self, A memory_format=None)", contiguous),
];

/// Tensors of one element type; empty vectors are left out, as PyTorch does.
fn alike(cx: &mut Context, a: &Args<'_>) -> Outcome<Vec<ValueId>> {
    let items = a.vals(cx, 0)?;
    let all = items.iter().collect::<Vec<_>>();
    let dtype = cx.common(&all)?;
    let mut out = Vec::new();
    for v in &items {
        let v = cx.operand(v, dtype)?;
        if cx.ty(v).sizes().as_deref() != Some(&[0]) {
            out.push(v);
        }
    }
    Ok(out)
}

/// The sequence behind a list whose length is known by running only.
fn sequence(cx: &Context, v: &Val) -> Option<ValueId> {
    match v {
        Val::List(r) => match cx.heap.lists.get(r.0) {
            Some(List::Sequence(v, _)) => Some(*v),
            _ => None,
        },
        _ => None,
    }
}

fn cat(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let axis = a.int(cx, 1)?;
    if let Some(v) = sequence(cx, a.get(0)) {
        let made = cx.op_with("ConcatFromSequence", &[v], Attrs::new().with("axis", axis))?;
        return Ok(cx.tensor(made));
    }
    let parts = alike(cx, a)?;
    let made = match *parts {
        [] => return unsupported("a join of nothing"),
        [one] => one,
        _ => cx.op_with("Concat", &parts, Attrs::new().with("axis", axis))?,
    };
    Ok(cx.tensor(made))
}

fn stack(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let axis = a.int(cx, 1)?;
    if let Some(v) = sequence(cx, a.get(0)) {
        let attrs = Attrs::new().with("axis", axis).with("new_axis", 1);
        let made = cx.op_with("ConcatFromSequence", &[v], attrs)?;
        return Ok(cx.tensor(made));
    }
    let axes = cx.ints(&[axis]);
    let mut parts = Vec::new();
    for v in alike(cx, a)? {
        parts.push(cx.op("Unsqueeze", &[v, axes])?);
    }
    let made = match *parts {
        [] => return unsupported("a stack of nothing"),
        [one] => one,
        _ => cx.op_with("Concat", &parts, Attrs::new().with("axis", axis))?,
    };
    Ok(cx.tensor(made))
}

fn hstack(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let parts = alike(cx, a)?;
    let Some(&first) = parts.first() else { return unsupported("a join of nothing") };
    let rank = cx.rank(first)?;
    let axis = match (a.name, rank) {
        ("aten::hstack", 1) => 0,
        ("aten::hstack", 2..) => 1,
        ("aten::vstack", 2..) => 0,
        ("aten::dstack", 3..) => 2,
        _ => return unsupported(format!("{} of tensors of {rank} dimensions", a.name)),
    };
    let made = cx.op_with("Concat", &parts, Attrs::new().with("axis", axis))?;
    Ok(cx.tensor(made))
}

fn repeat(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mut v = a.tensor(cx, 0)?;
    let mut repeats = a.vals(cx, 1)?;
    let rank = cx.rank_or(v, Some(repeats.len()))?;
    if let Some(more) = repeats.len().checked_sub(rank).filter(|&n| n > 0) {
        let axes = (0..more).map(long).collect::<Vec<_>>();
        let axes = cx.ints(&axes);
        v = cx.op("Unsqueeze", &[v, axes])?;
    }
    while repeats.len() < rank {
        repeats.insert(0, Val::Int(1));
    }
    let repeats = cx.vector(&repeats)?;
    let made = cx.op("Tile", &[v, repeats])?;
    Ok(cx.tensor(made))
}

fn interleave(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mut v = a.tensor(cx, 0)?;
    let axis = match a.opt_int(cx, 2)? {
        Some(axis) => axis_at(axis, cx.rank(v)?)?,
        None => {
            let all = cx.ints(&[-1]);
            v = cx.op("Reshape", &[v, all])?;
            0
        }
    };
    // Each element gets an axis of its copies, which is joined with its own.
    let rank = cx.rank(v)?;
    let behind = cx.ints(&[long(axis.saturating_add(1))]);
    let wide = cx.op("Unsqueeze", &[v, behind])?;
    let mut repeats = vec![Val::Int(1); rank.saturating_add(1)];
    if let Some(slot) = repeats.get_mut(axis.saturating_add(1)) {
        *slot = a.get(1).clone();
    }
    let repeats = cx.vector(&repeats)?;
    let copies = cx.op("Tile", &[wide, repeats])?;
    let mut shape = vec![Val::Int(0); axis];
    shape.push(Val::Int(-1));
    for k in axis.saturating_add(1)..rank {
        shape.push(cx.size_val(v, k)?);
    }
    let shape = cx.vector(&shape)?;
    let made = cx.op("Reshape", &[copies, shape])?;
    Ok(cx.tensor(made))
}

fn reversed(cx: &mut Context, v: ValueId, axes: &[i64]) -> Outcome<Val> {
    if axes.is_empty() {
        return Ok(cx.tensor(v));
    }
    let n = axes.len();
    let (start, end, steps) = (cx.ints(&vec![-1; n]), cx.ints(&vec![i64::MIN; n]), cx.ints(&vec![-1; n]));
    let axes = cx.ints(axes);
    let made = cx.op("Slice", &[v, start, end, axes, steps])?;
    Ok(cx.tensor(made))
}

fn flip(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axes) = (a.tensor(cx, 0)?, a.ints(cx, 1)?);
    reversed(cx, v, &axes)
}

fn flip_named(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    reversed(cx, v, &[i64::from(a.name == "aten::fliplr")])
}

fn part(cx: &mut Context, v: ValueId, axis: i64, start: i64, end: i64) -> Outcome<ValueId> {
    let (start, end, axes) = (cx.ints(&[start]), cx.ints(&[end]), cx.ints(&[axis]));
    cx.op("Slice", &[v, start, end, axes])
}

fn roll(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let whole = a.tensor(cx, 0)?;
    let (shifts, mut axes) = (a.vals(cx, 1)?, a.ints(cx, 2)?);
    let mut v = whole;
    if axes.is_empty() {
        let all = cx.ints(&[-1]);
        v = cx.op("Reshape", &[v, all])?;
        axes = vec![0];
    }
    for (shift, &axis) in shifts.iter().zip(&axes) {
        let &Val::Int(shift) = shift else {
            v = rolled(cx, v, shift, axis)?;
            continue;
        };
        let at = axis_at(axis, cx.rank(v)?)?;
        let size = cx.shape(v)?.get(at).and_then(modelsmith_ir::Dim::known);
        let shift = match size {
            Some(n) if n > 0 => shift.rem_euclid(n),
            _ => shift,
        };
        if shift == 0 {
            continue;
        }
        let cut = shift.saturating_neg();
        let (back, front) = (part(cx, v, axis, cut, i64::MAX)?, part(cx, v, axis, 0, cut)?);
        v = cx.op_with("Concat", &[back, front], Attrs::new().with("axis", axis))?;
    }
    if a.ints(cx, 2)?.is_empty() {
        v = cx.reshape_like(v, whole)?;
    }
    Ok(cx.tensor(v))
}

/// `v` moved along an axis by a number that only a run knows.
fn rolled(cx: &mut Context, v: ValueId, shift: &Val, axis: i64) -> Outcome<ValueId> {
    let shift = cx.vector(std::slice::from_ref(shift))?;
    let cut = cx.op("Neg", &[shift])?;
    let (zero, end, axes) = (cx.ints(&[0]), cx.ints(&[i64::MAX]), cx.ints(&[axis]));
    let back = cx.op("Slice", &[v, cut, end, axes])?;
    let front = cx.op("Slice", &[v, zero, cut, axes])?;
    cx.op_with("Concat", &[back, front], Attrs::new().with("axis", axis))
}

fn rot90(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, k) = (a.tensor(cx, 0)?, a.int(cx, 1)?.rem_euclid(4));
    let dims = a.ints(cx, 2)?;
    let rank = cx.rank(v)?;
    let (x, y) = match *dims {
        [] => (0, 1),
        [x, y] => (axis_at(x, rank)?, axis_at(y, rank)?),
        _ => return unsupported("a turn in other than one plane"),
    };
    let mut perm = (0..rank).collect::<Vec<_>>();
    perm.swap(x, y);
    let turned = if k % 2 == 1 { cx.permute(v, &perm)? } else { v };
    match k {
        1 => reversed(cx, turned, &[long(x)]),
        2 => reversed(cx, turned, &[long(x), long(y)]),
        3 => reversed(cx, turned, &[long(y)]),
        _ => Ok(cx.tensor(v)),
    }
}

fn triangle(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let k = match a.get(1) {
        Val::Num(_, k) => *k,
        _ => {
            let k = a.int(cx, 1)?;
            cx.int(k)
        }
    };
    let attrs = Attrs::new().with("upper", i64::from(a.name == "aten::triu"));
    let flags = cx.dtype(v)? == DType::Bool;
    let v = if flags { cx.cast(v, DType::U8)? } else { v };
    let made = cx.op_with("Trilu", &[v, k], attrs)?;
    let made = if flags { cx.cast(made, DType::Bool)? } else { made };
    Ok(cx.tensor(made))
}

fn diagonal(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let (x, y) = (axis_at(a.int(cx, 2)?, rank)?, axis_at(a.int(cx, 3)?, rank)?);
    let offset = a.int(cx, 1)?;
    let shape = cx.shape(v)?;
    let (Some(rows), Some(columns)) =
        (shape.get(x).and_then(modelsmith_ir::Dim::known), shape.get(y).and_then(modelsmith_ir::Dim::known))
    else {
        return unsupported("a diagonal of a matrix whose size is known by running only");
    };
    let at = |i: i64| (i.saturating_sub(offset.min(0)), i.saturating_add(offset.max(0)));
    let pairs = (0..rows.min(columns)).map(at).filter(|&(r, c)| r < rows && c < columns);
    let index = pairs.flat_map(|(r, c)| [r, c]).collect::<Vec<_>>();
    let n = index.len() / 2;
    let perm = [x, y].into_iter().chain((0..rank).filter(|&i| i != x && i != y)).collect::<Vec<_>>();
    let turned = cx.permute(v, &perm)?;
    let index = cx.constant(Tensor::new(&[n, 2], index)?);
    let found = cx.op("GatherND", &[turned, index])?;
    let last = (1..rank.saturating_sub(1)).chain([0]).collect::<Vec<_>>();
    let made = cx.permute(found, &last)?;
    Ok(cx.tensor(made))
}

fn diag(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    if cx.rank(v)? != 1 || a.int(cx, 1)? != 0 {
        return unsupported("diag of a matrix, or beside the diagonal");
    }
    let n = cx.size(v, 0)?;
    let one = cx.ints(&[1]);
    let n = cx.op("Reshape", &[n, one])?;
    let shape = cx.op_with("Concat", &[n, n], Attrs::new().with("axis", 0))?;
    let wide = cx.op("Expand", &[v, shape])?;
    let eye = cx.op("EyeLike", &[wide])?;
    let made = cx.op("Mul", &[wide, eye])?;
    Ok(cx.tensor(made))
}

fn diff(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (mut v, n, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.int(cx, 2)?);
    let (before, after) = (a.opt_tensor(cx, 3)?, a.opt_tensor(cx, 4)?);
    let parts = [before, Some(v), after].into_iter().flatten().collect::<Vec<_>>();
    if parts.len() > 1 {
        v = cx.op_with("Concat", &parts, Attrs::new().with("axis", axis))?;
    }
    for _ in 0..n.clamp(0, 64) {
        let (high, low) = (part(cx, v, axis, 1, i64::MAX)?, part(cx, v, axis, 0, -1)?);
        v = match cx.dtype(v)? {
            DType::Bool => cx.op("Xor", &[high, low])?,
            _ => cx.op("Sub", &[high, low])?,
        };
    }
    Ok(cx.tensor(v))
}

/// Pads in PyTorch's order: pairs from the last axis to the front.
fn padded(cx: &mut Context, a: &Args<'_>, mode: &str, value: &Val) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let pads = a.vals(cx, 1)?;
    let pairs = pads.len() / 2;
    let rank = cx.rank_or(v, Some(pairs.saturating_add(2)))?;
    if pairs > rank {
        return unsupported("more pads than dimensions");
    }
    let mut ends = vec![Val::Int(0); rank.saturating_mul(2)];
    for (i, pair) in pads.chunks(2).enumerate() {
        let axis = rank.saturating_sub(i).saturating_sub(1);
        for (k, p) in pair.iter().enumerate() {
            if let Some(slot) = ends.get_mut(axis.saturating_add(k.saturating_mul(rank))) {
                *slot = p.clone();
            }
        }
    }
    let pads = cx.vector(&ends)?;
    let attrs = Attrs::new().with("mode", mode);
    let dtype = cx.dtype(v)?;
    let made = match mode {
        "constant" => {
            let value = cx.operand(if matches!(value, Val::None) { &Val::Int(0) } else { value }, dtype)?;
            cx.op_with("Pad", &[v, pads, value], attrs)?
        }
        _ => cx.op_with("Pad", &[v, pads], attrs)?,
    };
    Ok(cx.tensor(made))
}

fn constant_pad(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    padded(cx, a, "constant", a.get(2))
}

fn pad(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mode = match a.text(2)? {
        "reflect" => "reflect",
        "replicate" => "edge",
        "circular" => "wrap",
        _ => "constant",
    };
    padded(cx, a, mode, a.get(3))
}

fn pad_named(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mode = if a.name.contains("reflection") { "reflect" } else { "edge" };
    padded(cx, a, mode, &Val::None)
}

fn unfold(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let axis = axis_at(a.int(cx, 1)?, rank)?;
    let (size, step) = (a.int(cx, 2)?, a.int(cx, 3)?);
    if size < 0 || step <= 0 || size > 1 << 20 {
        return unsupported(format!("windows of {size} every {step}"));
    }
    // Window k holds the indices k * step + 0 .. size.
    let length = cx.size(v, axis)?;
    let (zero, width) = (cx.int(0), cx.int(size.saturating_sub(1)));
    let limit = cx.op("Sub", &[length, width])?;
    let by = cx.int(step);
    let starts = cx.op("Range", &[zero, limit, by])?;
    let axes = cx.ints(&[1]);
    let starts = cx.op("Unsqueeze", &[starts, axes])?;
    let inside = cx.ints(&(0..size).collect::<Vec<_>>());
    let index = cx.op("Add", &[starts, inside])?;
    let made = cx.op_with("Gather", &[v, index], Attrs::new().with("axis", long(axis)))?;
    // The axis of the window's elements goes to the end.
    let inner = axis.saturating_add(1);
    let perm = (0..=rank).filter(|&i| i != inner).chain([inner]).collect::<Vec<_>>();
    let made = cx.permute(made, &perm)?;
    Ok(cx.tensor(made))
}

fn meshgrid(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let tensors = a.tensors(cx, 0)?;
    let n = tensors.len();
    let flipped = a.text(1)? == "xy" && n >= 2;
    let place = |i: usize| match (flipped, i) {
        (true, 0) => 1,
        (true, 1) => 0,
        _ => i,
    };
    let mut shape = vec![Val::Int(1); n];
    for (i, &t) in tensors.iter().enumerate() {
        let size = cx.size_val(t, 0)?;
        if let Some(slot) = shape.get_mut(place(i)) {
            *slot = size;
        }
    }
    let shape = cx.vector(&shape)?;
    let mut out = Vec::new();
    for (i, &t) in tensors.iter().enumerate() {
        let axes = (0..n).filter(|&k| k != place(i)).map(long).collect::<Vec<_>>();
        let axes = cx.ints(&axes);
        let wide = cx.op("Unsqueeze", &[t, axes])?;
        let made = cx.op("Expand", &[wide, shape])?;
        out.push(cx.tensor(made));
    }
    Ok(cx.list(out))
}

fn broadcast(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let tensors = a.tensors(cx, 0)?;
    let mut out = Vec::new();
    for &t in &tensors {
        let mut v = t;
        for &other in &tensors {
            if other != t {
                let shape = cx.op("Shape", &[other])?;
                v = cx.op("Expand", &[v, shape])?;
            }
        }
        out.push(cx.tensor(v));
    }
    Ok(cx.list(out))
}

/// The different elements in order, where each went, and how often each is there.
fn unique(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let made = cx.node("Unique", &[Some(v)], Attrs::new().with("sorted", 1), 4)?;
    let [values, _, inverse, counts] = *made else { return unsupported("Unique with other than four results") };
    let shape = cx.op("Shape", &[v])?;
    let inverse = cx.op("Reshape", &[inverse, shape])?;
    let all = [values, inverse, counts].into_iter().take(a.values.len().saturating_sub(1));
    let all = all.map(|v| cx.tensor(v)).collect();
    Ok(Val::tuple(all))
}

fn unsaid(_: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    unsupported(format!("{} is not said in operators of the hub yet", a.name))
}

fn sizes(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let items = (0..rank).map(|i| cx.size_val(v, i)).collect::<Outcome<Vec<_>>>()?;
    Ok(cx.list(items))
}

fn size(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    // Of a tensor whose rank is not known an axis from the front is enough.
    match usize::try_from(axis) {
        Ok(axis) if cx.ty(v).rank().is_none() => {
            let shape = cx.op("Shape", &[v])?;
            let at = cx.int(long(axis));
            let size = cx.op_with("Gather", &[shape, at], Attrs::new().with("axis", 0))?;
            Ok(cx.number_of(Kind::Int, size))
        }
        _ => {
            let axis = axis_at(axis, cx.rank(v)?)?;
            cx.size_val(v, axis)
        }
    }
}

fn numel(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let n = cx.op("Size", &[v])?;
    Ok(cx.number_of(Kind::Int, n))
}

fn dim(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let open = cx.model.graph().params.iter().any(|&p| cx.ty(p).as_tensor().is_some() && cx.ty(p).rank().is_none());
    match cx.rank(v) {
        // All inputs have a rank: this one depends on the way that the program went.
        Err(_) if !open => {
            let shape = cx.op("Shape", &[v])?;
            let rank = cx.op("Size", &[shape])?;
            Ok(cx.number_of(Kind::Int, rank))
        }
        rank => Ok(Val::Int(long(rank?))),
    }
}

fn kind(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dtype = cx.dtype(v)?;
    Ok(Val::Bool(match a.name {
        "aten::is_floating_point" => dtype.is_float(),
        "aten::is_complex" => dtype.is_complex(),
        _ => dtype.is_float() || dtype.is_signed_int(),
    }))
}

/// The only element of a tensor as a number.
pub(crate) fn scalar(cx: &mut Context, v: ValueId) -> Outcome<Val> {
    let v = match cx.ty(v).rank() {
        Some(0) => v,
        _ => {
            let none = cx.ints(&[]);
            cx.op("Reshape", &[v, none])?
        }
    };
    Ok(match cx.dtype(v)? {
        DType::Bool => cx.number_of(Kind::Bool, v),
        d if d.is_float() => {
            let v = cx.cast(v, DType::F64)?;
            cx.number_of(Kind::Float, v)
        }
        _ => {
            let v = cx.cast(v, DType::I64)?;
            cx.number_of(Kind::Int, v)
        }
    })
}

fn item(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    scalar(cx, v)
}

fn shape_as_tensor(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let made = cx.op("Shape", &[v])?;
    Ok(cx.tensor(made))
}

fn dtype_of(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    Ok(Val::Int(code(cx.dtype(v)?)))
}

fn contiguous(_: &mut Context, _: &Args<'_>) -> Outcome<Val> {
    Ok(Val::Bool(true))
}
