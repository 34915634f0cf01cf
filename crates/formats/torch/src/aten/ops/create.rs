//! Tensors made from sizes and numbers, and conversions of type.

use crate::aten::schema::{Args, Row, element, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};
use modelsmith_tensor::Tensor;

pub(crate) const ROWS: &[Row] = &[
    row("zeros|ones|empty.memory_format|empty(I[] size, I? dtype=None, A layout=None, A device=None)", sized),
    row("new_zeros|new_ones|new_empty(T self, I[] size, I? dtype=None, A layout=None)", new_sized),
    row("zeros_like|ones_like|empty_like(T self, I? dtype=None, A layout=None)", like),
    row("full(I[] size, N fill_value, I? dtype=None, A layout=None)", full),
    row("new_full(T self, I[] size, N fill_value, I? dtype=None, A layout=None)", new_full),
    row("full_like(T self, N fill_value, I? dtype=None, A layout=None)", full_like),
    row("fill.Scalar|fill.Tensor(T self, N value)", fill),
    row("zero(T self)", zero),
    // The longest first: any number would fit the type of the shorter ones.
    row("arange.start_step|range.step(N start, N end, N step, I? dtype=None, A layout=None)", arange),
    row("arange.start(N start, N end, I? dtype=None, A layout=None, A device=None, A pin_memory=None)", arange_start),
    row("arange(N end, I? dtype=None, A layout=None, A device=None, A pin_memory=None)", arange_end),
    row("linspace(N start, N end, I steps, I? dtype=None, A layout=None)", linspace),
    row("eye|eye.m(I n, I? m=None, I? dtype=None, A layout=None)", eye),
    row("tensor|as_tensor(A data, I? dtype=None, A device=None, B requires_grad=False)", tensor),
    row("scalar_tensor(N s, I? dtype=None, A layout=None)", tensor),
    row("to.other(T self, T other, B non_blocking=False, B copy=False, A memory_format=None)", type_as),
    row("to.dtype(T self, I dtype, B non_blocking=False, B copy=False, A memory_format=None)", to_dtype),
    row("to.device(T self, D device, I dtype, B non_blocking=False, B copy=False, A memory_format=None)", to_device),
    row("to.prim_Device(T self, A device, I? dtype=None, B non_blocking=False, B copy=False)", to_device),
    row(
        "to.dtype_layout(T self, I? dtype=None, A layout=None, A device=None, A pin_memory=None, B \
         non_blocking=False, B copy=False, A memory_format=None)",
        to_layout,
    ),
    row("type_as(T self, T other)", type_as),
    row("_to_copy(T self, I? dtype=None, A layout=None, A device=None)", to_layout),
    row("float|double|half|bfloat16|long|int|short|char|byte|bool|cpu|cuda(T self)", named),
    row("clone|contiguous|detach|alias|lift_fresh|lift_fresh_copy(T self, A memory_format=None)", copied),
    row("requires_grad_|positive|view_as_real_copy|detach_copy|pin_memory|_fw_primal(T self, A x=None)", copied),
    row("copy(T self, T src, B non_blocking=False)", copy),
    row("one_hot(T self, I num_classes=-1)", one_hot),
    row("rand_like|randn_like|bernoulli(T self, A p=None)", random),
    row("tril_indices|triu_indices(I row, I col, I offset=0, I? dtype=None)", triangle),
    row("complex(T real, T imag)", complex),
];

fn plain<'a>(a: &'a Args<'_>) -> &'a str {
    a.name.strip_prefix("aten::").unwrap_or(a.name)
}

/// A tensor of `size` full of `value`.
fn filled(cx: &mut Context, size: ValueId, value: &Val, dtype: DType) -> Outcome<Val> {
    if !matches!(value, Val::Int(_) | Val::Float(_) | Val::Bool(_)) {
        let v = cx.operand(value, dtype)?;
        let made = cx.op("Expand", &[v, size])?;
        return Ok(cx.tensor(made));
    }
    let v = cx.operand(value, dtype)?;
    let one = cx.known_tensor(v).and_then(|t| t.reshaped(&[1]).ok());
    let Some(one) = one else { return unsupported("a fill with an unknown number") };
    // A small constant is written down; large ones are made where they are used.
    if let Some(known) = cx.known_ints(size) {
        let shape = known.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
        let count = shape.as_ref().and_then(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d)));
        if let (Some(shape), Some(count)) = (shape, count.filter(|&n| n <= 64)) {
            let made = one.gathered(&shape, std::iter::repeat_n(0, count))?;
            let made = cx.constant(made);
            return Ok(cx.tensor(made));
        }
    }
    let made = cx.op_with("ConstantOfShape", &[size], Attrs::new().with("value", one))?;
    Ok(cx.tensor(made))
}

fn start(name: &str) -> Val {
    if name.contains("ones") { Val::Int(1) } else { Val::Int(0) }
}

fn sized(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let size = a.vector(cx, 0)?;
    let dtype = a.dtype(cx, 1)?.unwrap_or(DType::F32);
    filled(cx, size, &start(a.name), dtype)
}

fn new_sized(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, size) = (a.tensor(cx, 0)?, a.vector(cx, 1)?);
    let dtype = match a.dtype(cx, 2)? {
        Some(d) => d,
        None => cx.dtype(v)?,
    };
    filled(cx, size, &start(a.name), dtype)
}

fn like(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    like_with(cx, a, 1, &start(a.name))
}

fn like_with(cx: &mut Context, a: &Args<'_>, dtype: usize, value: &Val) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dtype = match a.dtype(cx, dtype)? {
        Some(d) => d,
        None => cx.dtype(v)?,
    };
    let shape = match cx.ty(v).sizes() {
        Some(sizes) => {
            let sizes = sizes.iter().map(|&d| i64::try_from(d).unwrap_or(0)).collect::<Vec<_>>();
            cx.ints(&sizes)
        }
        None => cx.op("Shape", &[v])?,
    };
    filled(cx, shape, value, dtype)
}

fn number_type(v: &Val) -> DType {
    match v.number() {
        Some(crate::aten::Kind::Bool) => DType::Bool,
        Some(crate::aten::Kind::Int) => DType::I64,
        _ => DType::F32,
    }
}

fn full(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let size = a.vector(cx, 0)?;
    let dtype = match (a.dtype(cx, 2)?, a.get(1)) {
        (Some(d), _) => d,
        (None, Val::Tensor(t)) => {
            let v = cx.read(*t)?;
            cx.dtype(v)?
        }
        (None, v) => number_type(v),
    };
    filled(cx, size, a.get(1), dtype)
}

fn new_full(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, size) = (a.tensor(cx, 0)?, a.vector(cx, 1)?);
    let dtype = match a.dtype(cx, 3)? {
        Some(d) => d,
        None => cx.dtype(v)?,
    };
    filled(cx, size, a.get(2), dtype)
}

fn full_like(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    like_with(cx, a, 2, a.get(1))
}

fn fill(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    like_with(cx, a, 9, a.get(1))
}

fn zero(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    like_with(cx, a, 9, &Val::Int(0))
}

fn arange_end(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    steps(cx, a, [&Val::Int(0), a.get(0), &Val::Int(1)], 1)
}

fn arange_start(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    steps(cx, a, [a.get(0), a.get(1), &Val::Int(1)], 2)
}

fn arange(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    steps(cx, a, [a.get(0), a.get(1), a.get(2)], 3)
}

fn steps(cx: &mut Context, a: &Args<'_>, ends: [&Val; 3], dtype: usize) -> Outcome<Val> {
    let dtype = match a.dtype(cx, dtype)? {
        Some(d) => d,
        None => cx.common(&ends)?,
    };
    // Half precision is counted in full precision and rounded.
    let counted = if dtype == DType::F16 || dtype == DType::BF16 { DType::F32 } else { dtype };
    let counted = if dtype == DType::Bool || dtype == DType::U8 { DType::I64 } else { counted };
    let mut operands = Vec::new();
    for v in ends {
        operands.push(cx.operand(v, counted)?);
    }
    let made = cx.op("Range", &operands)?;
    let made = cx.cast(made, dtype)?;
    Ok(cx.tensor(made))
}

fn linspace(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let dtype = a.dtype(cx, 3)?.unwrap_or(DType::F32);
    if let (Val::Int(_) | Val::Float(_), Val::Int(_) | Val::Float(_), Val::Int(n)) = (a.get(0), a.get(1), a.get(2)) {
        let (first, last) = (a.float(cx, 0)?, a.float(cx, 1)?);
        let n = usize::try_from(*n).unwrap_or(0);
        if n > 1 << 20 {
            return unsupported(format!("linspace of {n} steps"));
        }
        let gap = (last - first) / f64::from(u32::try_from(n.saturating_sub(1).max(1)).unwrap_or(1));
        let at = |i: usize| {
            // As PyTorch does: the second half counts from the end.
            let k = |i: usize| f64::from(u32::try_from(i).unwrap_or(0));
            if i < n / 2 { first + gap * k(i) } else { last - gap * k(n.saturating_sub(1).saturating_sub(i)) }
        };
        let mut values = (0..n).map(at).collect::<Vec<_>>();
        if let [one] = values.as_mut_slice() {
            *one = first;
        }
        let made = Tensor::from_f64s(dtype, &[n], &values)?;
        let made = cx.constant(made);
        return Ok(cx.tensor(made));
    }
    unsupported("linspace between numbers that are known by running only")
}

fn eye(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let rows = a.get(0).clone();
    let columns = if a.is_none(1) { rows.clone() } else { a.get(1).clone() };
    let dtype = a.dtype(cx, 2)?.unwrap_or(DType::F32);
    let size = cx.vector(&[rows, columns])?;
    let zeros = filled(cx, size, &Val::Int(0), dtype)?;
    let Val::Tensor(t) = zeros else { return Ok(zeros) };
    let v = cx.read(t)?;
    let made = cx.op_with("EyeLike", &[v], Attrs::new().with("dtype", dtype))?;
    Ok(cx.tensor(made))
}

fn tensor(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let wanted = a.dtype(cx, 1)?;
    let mut flat = Vec::new();
    let mut shape = Vec::new();
    spread(cx, a.get(0), 0, &mut shape, &mut flat)?;
    let dtype = match wanted {
        Some(d) => d,
        None => {
            let all = flat.iter().collect::<Vec<_>>();
            cx.common(&all)?
        }
    };
    let mut parts = Vec::new();
    for v in &flat {
        parts.push(cx.operand(v, dtype)?);
    }
    let size = shape.iter().map(|&d| i64::try_from(d).unwrap_or(0)).collect::<Vec<_>>();
    let known = parts.iter().map(|&v| cx.known_tensor(v)).collect::<Option<Vec<_>>>();
    let made = match (known, parts.as_slice()) {
        (_, &[one]) if shape.is_empty() => one,
        (Some(known), _) => {
            let bytes = known.iter().flat_map(|t| t.bytes().to_vec()).collect::<Vec<_>>();
            cx.constant(Tensor::from_bytes(dtype, &shape, &bytes)?)
        }
        (None, parts) => {
            let axes = cx.ints(&[0]);
            let mut rows = Vec::new();
            for &p in parts {
                rows.push(cx.op("Unsqueeze", &[p, axes])?);
            }
            let joined = cx.op_with("Concat", &rows, Attrs::new().with("axis", 0))?;
            let size = cx.ints(&size);
            cx.op("Reshape", &[joined, size])?
        }
    };
    Ok(cx.tensor(made))
}

/// Numbers of nested lists in order, and the shape of the nest.
fn spread(cx: &Context, v: &Val, depth: usize, shape: &mut Vec<usize>, out: &mut Vec<Val>) -> Outcome<()> {
    if v.number().is_some() || matches!(v, Val::Tensor(_)) {
        out.push(v.clone());
        return Ok(());
    }
    let items = cx.items(v)?;
    match shape.get(depth) {
        None => shape.push(items.len()),
        Some(&n) if n == items.len() => {}
        Some(_) => return unsupported("a tensor of rows of unequal length"),
    }
    items.iter().try_for_each(|v| spread(cx, v, depth.saturating_add(1), shape, out))
}

/// `t` in another element type: itself where it has that type.
fn converted(cx: &mut Context, v: &Val, dtype: Option<DType>, copy: bool) -> Outcome<Val> {
    let Val::Tensor(t) = v else { return unsupported("a conversion of no tensor") };
    let x = cx.read(*t)?;
    match dtype {
        Some(d) if cx.ty(x).dtype() != Some(d) => {
            let made = cx.cast(x, d)?;
            Ok(cx.tensor(made))
        }
        _ if copy => Ok(cx.tensor(x)),
        _ => Ok(v.clone()),
    }
}

fn to_dtype(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let dtype = a.dtype(cx, 1)?;
    converted(cx, a.get(0), dtype, a.flag(3)?)
}

fn to_device(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let dtype = match (a.get(1), a.get(2)) {
        // `to(dtype)` of older archives stands in the place of the device.
        (Val::Int(code), Val::None) => Some(element(*code)?),
        _ => a.dtype(cx, 2)?,
    };
    converted(cx, a.get(0), dtype, false)
}

fn to_layout(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let dtype = a.dtype(cx, 1)?;
    converted(cx, a.get(0), dtype, plain(a) == "_to_copy")
}

fn type_as(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let other = a.tensor(cx, 1)?;
    let dtype = cx.dtype(other)?;
    converted(cx, a.get(0), Some(dtype), false)
}

fn named(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let dtype = match plain(a) {
        "float" => Some(DType::F32),
        "double" => Some(DType::F64),
        "half" => Some(DType::F16),
        "bfloat16" => Some(DType::BF16),
        "long" => Some(DType::I64),
        "int" => Some(DType::I32),
        "short" => Some(DType::I16),
        "char" => Some(DType::I8),
        "byte" => Some(DType::U8),
        "bool" => Some(DType::Bool),
        _ => None,
    };
    converted(cx, a.get(0), dtype, false)
}

fn copied(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    match plain(a) {
        "contiguous" | "detach" | "alias" | "requires_grad_" | "positive" | "lift_fresh" | "_fw_primal" => {
            Ok(a.get(0).clone())
        }
        _ => {
            let v = a.tensor(cx, 0)?;
            Ok(cx.tensor(v))
        }
    }
}

fn copy(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (to, from) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let dtype = cx.dtype(to)?;
    let from = cx.cast(from, dtype)?;
    let same = cx.ty(to).shape().is_some() && cx.ty(to).shape() == cx.ty(from).shape();
    if same {
        return Ok(cx.tensor(from));
    }
    let shape = cx.op("Shape", &[to])?;
    let made = cx.op("Expand", &[from, shape])?;
    Ok(cx.tensor(made))
}

fn one_hot(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, classes) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    if classes < 0 {
        return unsupported("one_hot whose number of classes is the largest index");
    }
    let (depth, values) = (cx.int(classes), cx.ints(&[0, 1]));
    let made = cx.op_with("OneHot", &[v, depth, values], Attrs::new().with("axis", -1))?;
    Ok(cx.tensor(made))
}

fn random(_: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    unsupported(format!("{} draws random numbers", plain(a)))
}

fn triangle(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (rows, columns, offset) = (a.int(cx, 0)?, a.int(cx, 1)?, a.int(cx, 2)?);
    if rows.saturating_mul(columns) > 1 << 20 {
        return unsupported("indices of a triangle of more than a million elements");
    }
    let lower = plain(a) == "tril_indices";
    let inside = |r: i64, c: i64| if lower { c - r <= offset } else { c - r >= offset };
    let all = (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))).filter(|&(r, c)| inside(r, c));
    let (r, c): (Vec<i64>, Vec<i64>) = all.unzip();
    let made = Tensor::new(&[2, r.len()], [r, c].concat())?;
    let made = cx.constant(made);
    Ok(cx.tensor(made))
}

fn complex(_: &mut Context, _: &Args<'_>) -> Outcome<Val> {
    unsupported("complex numbers")
}
