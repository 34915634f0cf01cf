//! Reductions, sorting, and sums along an axis.

use crate::aten::context::axis_at;
use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row("sum|mean|prod(T self, I? dtype=None)", whole),
    row("sum.dim_IntList|mean.dim|nansum(T self, I[]? dim, B keepdim=False, I? dtype=None)", along),
    row("prod.dim_int(T self, I dim, B keepdim=False, I? dtype=None)", along),
    row("amax|amin(T self, I[] dim=[], B keepdim=False)", along),
    row("logsumexp|special_logsumexp(T self, I[] dim, B keepdim=False)", along),
    row("max|min(T self)", whole),
    row("max.dim|min.dim(T self, I dim, B keepdim=False)", pair),
    row("argmax|argmin(T self, I? dim=None, B keepdim=False)", arg),
    row("all|any(T self)", flags),
    row("all.dim|any.dim(T self, I dim, B keepdim=False)", flags),
    row("all.dims|any.dims(T self, I[]? dim, B keepdim=False)", flags),
    row("std|var(T self, B unbiased=True)", spread_whole),
    row("std.dim|var.dim(T self, I[]? dim, B unbiased=True, B keepdim=False)", spread_along),
    row("std.correction|var.correction(T self, I[]? dim=None, N? correction=None, B keepdim=False)", spread_corrected),
    row(
        "var_mean.correction|std_mean.correction(T self, I[]? dim=None, N? correction=None, B keepdim=False)",
        spread_mean,
    ),
    row(
        "norm.ScalarOpt_dim|norm.Scalar|linalg_vector_norm(T self, N? p=2, I[]? dim=None, B keepdim=False, \
         I? dtype=None)",
        norm,
    ),
    row("frobenius_norm.dim(T self, I[] dim, B keepdim=False)", frobenius),
    row("cumsum|cumsum_(T self, I dim, I? dtype=None)", cumsum),
    row("cumprod(T self, I dim, I? dtype=None)", cumprod),
    row("topk(T self, I k, I dim=-1, B largest=True, B sorted=True)", topk),
    row("sort|sort.stable(T self, I dim=-1, B descending=False)", sort),
    row("sort.stable(T self, B? stable, I dim=-1, B descending=False)", sort_stable),
    row("argsort(T self, I dim=-1, B descending=False)", argsort),
    row("median.dim|kthvalue(T self, I dim, B keepdim=False)", median),
    row("count_nonzero(T self, I? dim=None)", count),
    row("numel(T self)", numel),
    row("dist(T self, T other, F p=2)", dist),
];

fn plain<'a>(a: &'a Args<'_>) -> &'a str {
    a.name.strip_prefix("aten::").unwrap_or(a.name)
}

/// `op` over `axes` (all where there are none).
pub(super) fn reduced(cx: &mut Context, op: &str, v: ValueId, axes: &[i64], keep: bool) -> Outcome<ValueId> {
    let attrs = Attrs::new().with("keepdims", i64::from(keep));
    if cx.ty(v).rank() == Some(0) {
        return match op {
            "ReduceLogSumExp" | "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" => Ok(v),
            _ => cx.op_opt(op, &[Some(v), None], attrs),
        };
    }
    let axes = if axes.is_empty() { None } else { Some(cx.ints(axes)) };
    let inputs = match axes {
        Some(axes) => vec![Some(v), Some(axes)],
        None => vec![Some(v)],
    };
    cx.op_opt(op, &inputs, attrs)
}

fn operator(name: &str) -> &'static str {
    match name {
        "sum" | "nansum" => "ReduceSum",
        "mean" => "ReduceMean",
        "prod" => "ReduceProd",
        "max" | "amax" => "ReduceMax",
        "min" | "amin" => "ReduceMin",
        _ => "ReduceLogSumExp",
    }
}

/// The operand in the type in which it is reduced: integers and flags are summed as 64-bit integers.
fn prepared(cx: &mut Context, name: &str, v: ValueId, dtype: Option<DType>) -> Outcome<ValueId> {
    let have = cx.dtype(v)?;
    let v = match (name, dtype) {
        (_, Some(d)) => cx.cast(v, d)?,
        ("sum" | "prod", None) if !have.is_float() && !have.is_complex() => cx.cast(v, DType::I64)?,
        ("mean" | "logsumexp" | "special_logsumexp", None) => cx.floating(v)?,
        ("max" | "min" | "amax" | "amin", None) if have == DType::Bool => cx.cast(v, DType::U8)?,
        _ => v,
    };
    if name != "nansum" {
        return Ok(v);
    }
    let nan = cx.op("IsNaN", &[v])?;
    let zero = cx.scalar(cx.dtype(v)?, 0.0)?;
    cx.op("Where", &[nan, zero, v])
}

fn whole(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dtype = if a.values.len() > 1 { a.dtype(cx, 1)? } else { None };
    let v = prepared(cx, plain(a), v, dtype)?;
    let made = reduced(cx, operator(plain(a)), v, &[], false)?;
    Ok(cx.tensor(made))
}

fn along(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axes = a.ints(cx, 1)?;
    let dtype = if a.values.len() > 3 { a.dtype(cx, 3)? } else { None };
    let v = prepared(cx, plain(a), v, dtype)?;
    let made = reduced(cx, operator(plain(a)), v, &axes, a.flag(2)?)?;
    Ok(cx.tensor(made))
}

fn pair(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis, keep) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.flag(2)?);
    let v = prepared(cx, plain(a), v, None)?;
    let (values, index) = match plain(a) {
        "max" => ("ReduceMax", "ArgMax"),
        _ => ("ReduceMin", "ArgMin"),
    };
    let values = reduced(cx, values, v, &[axis], keep)?;
    let attrs = Attrs::new().with("axis", axis).with("keepdims", i64::from(keep));
    let index = cx.op_with(index, &[v], attrs)?;
    named(cx, &[("values", values), ("indices", index)])
}

pub(super) fn named(cx: &mut Context, fields: &[(&str, ValueId)]) -> Outcome<Val> {
    let items = fields.iter().map(|&(_, v)| cx.tensor(v)).collect();
    let names = fields.iter().map(|(n, _)| (*n).to_owned()).collect();
    Ok(Val::Tuple(std::rc::Rc::new(crate::aten::value::Tuple { items, names })))
}

fn arg(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let op = if plain(a) == "argmax" { "ArgMax" } else { "ArgMin" };
    let v = if cx.dtype(v)? == DType::Bool { cx.cast(v, DType::U8)? } else { v };
    let made = match a.opt_int(cx, 1)? {
        Some(axis) => {
            let attrs = Attrs::new().with("axis", axis).with("keepdims", i64::from(a.flag(2)?));
            cx.op_with(op, &[v], attrs)?
        }
        None => {
            let all = cx.ints(&[-1]);
            let flat = cx.op("Reshape", &[v, all])?;
            cx.op_with(op, &[flat], Attrs::new().with("axis", 0).with("keepdims", 0))?
        }
    };
    Ok(cx.tensor(made))
}

fn flags(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let (axes, keep) = match a.values.len() {
        1 => (Vec::new(), false),
        _ => (a.ints(cx, 1)?, a.flag(2)?),
    };
    let flag = cx.cast(v, DType::Bool)?;
    let whole = cx.cast(flag, DType::I32)?;
    let op = if plain(a) == "all" { "ReduceMin" } else { "ReduceMax" };
    let made = reduced(cx, op, whole, &axes, keep)?;
    let made = cx.cast(made, DType::Bool)?;
    Ok(cx.tensor(made))
}

fn spread_whole(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let correction = f64::from(u8::from(a.flag(1)?));
    let (made, _) = variance(cx, a, &[], correction, false)?;
    Ok(cx.tensor(made))
}

fn spread_along(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let axes = a.ints(cx, 1)?;
    let correction = f64::from(u8::from(a.flag(2)?));
    let (made, _) = variance(cx, a, &axes, correction, a.flag(3)?)?;
    Ok(cx.tensor(made))
}

fn spread_corrected(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let axes = a.ints(cx, 1)?;
    let correction = a.opt_float(cx, 2)?.unwrap_or(1.0);
    let (made, _) = variance(cx, a, &axes, correction, a.flag(3)?)?;
    Ok(cx.tensor(made))
}

fn spread_mean(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let axes = a.ints(cx, 1)?;
    let correction = a.opt_float(cx, 2)?.unwrap_or(1.0);
    let (made, mean) = variance(cx, a, &axes, correction, a.flag(3)?)?;
    let out = vec![cx.tensor(made), cx.tensor(mean)];
    Ok(Val::tuple(out))
}

/// The variance (or its root, by the name) over `axes` with `n - correction` in the denominator, and the mean.
fn variance(cx: &mut Context, a: &Args<'_>, axes: &[i64], correction: f64, keep: bool) -> Outcome<(ValueId, ValueId)> {
    let v = a.tensor(cx, 0)?;
    let dtype = cx.dtype(v)?;
    let mean = reduced(cx, "ReduceMean", v, axes, true)?;
    let gap = cx.op("Sub", &[v, mean])?;
    let square = cx.op("Mul", &[gap, gap])?;
    let mut made = reduced(cx, "ReduceMean", square, axes, keep)?;
    if correction != 0.0 {
        let rank = cx.rank(v)?;
        let all = (0..i64::try_from(rank).unwrap_or(0)).collect::<Vec<_>>();
        let mut count = cx.int(1);
        for &axis in if axes.is_empty() { &all } else { axes } {
            let axis = axis_at(axis, rank)?;
            let size = cx.size(v, axis)?;
            count = match (cx.known_ints(count).as_deref(), cx.known_ints(size).as_deref()) {
                (Some(&[x]), Some(&[y])) => cx.int(x.saturating_mul(y)),
                _ => cx.op("Mul", &[count, size])?,
            };
        }
        let n = cx.cast(count, dtype)?;
        let c = cx.scalar(dtype, correction)?;
        let rest = cx.op("Sub", &[n, c])?;
        let ratio = cx.op("Div", &[n, rest])?;
        made = cx.op("Mul", &[made, ratio])?;
    }
    if plain(a).starts_with("std") {
        made = cx.op("Sqrt", &[made])?;
    }
    let mean = if keep { mean } else { reduced(cx, "ReduceMean", v, axes, false)? };
    Ok((made, mean))
}

fn norm(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let p = a.opt_float(cx, 1)?.unwrap_or(2.0);
    let axes = a.ints(cx, 2)?;
    let keep = a.flag(3)?;
    let v = match a.dtype(cx, 4)? {
        Some(d) => cx.cast(v, d)?,
        None => cx.floating(v)?,
    };
    let dtype = cx.dtype(v)?;
    let made = match p {
        1.0 => reduced(cx, "ReduceL1", v, &axes, keep)?,
        2.0 => reduced(cx, "ReduceL2", v, &axes, keep)?,
        p if p.is_infinite() => {
            let size = cx.op("Abs", &[v])?;
            reduced(cx, if p > 0.0 { "ReduceMax" } else { "ReduceMin" }, size, &axes, keep)?
        }
        0.0 => {
            let zero = cx.scalar(dtype, 0.0)?;
            let none = cx.op("Equal", &[v, zero])?;
            let some = cx.op("Not", &[none])?;
            let some = cx.cast(some, dtype)?;
            reduced(cx, "ReduceSum", some, &axes, keep)?
        }
        p => {
            let size = cx.op("Abs", &[v])?;
            let (power, root) = (cx.scalar(dtype, p)?, cx.scalar(dtype, 1.0 / p)?);
            let size = cx.op("Pow", &[size, power])?;
            let sum = reduced(cx, "ReduceSum", size, &axes, keep)?;
            cx.op("Pow", &[sum, root])?
        }
    };
    Ok(cx.tensor(made))
}

fn frobenius(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axes = a.ints(cx, 1)?;
    let made = reduced(cx, "ReduceL2", v, &axes, a.flag(2)?)?;
    Ok(cx.tensor(made))
}

fn cumulative(cx: &mut Context, a: &Args<'_>, op: &str) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let dtype = match a.dtype(cx, 2)? {
        Some(d) => d,
        None => match cx.dtype(v)? {
            d if d.is_float() => d,
            _ => DType::I64,
        },
    };
    let v = cx.cast(v, dtype)?;
    if cx.ty(v).rank() == Some(0) {
        return Ok(cx.tensor(v));
    }
    let axis = cx.int(axis);
    let made = cx.op(op, &[v, axis])?;
    Ok(cx.tensor(made))
}

fn cumsum(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    cumulative(cx, a, "CumSum")
}

fn cumprod(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    cumulative(cx, a, "CumProd")
}

fn top(cx: &mut Context, v: ValueId, k: ValueId, axis: i64, largest: bool) -> Outcome<(ValueId, ValueId)> {
    let attrs = Attrs::new().with("axis", axis).with("largest", i64::from(largest)).with("sorted", 1);
    let made = cx.node("TopK", &[Some(v), Some(k)], attrs, 2)?;
    match *made {
        [values, indices] => Ok((values, indices)),
        _ => unsupported("a selection without indices"),
    }
}

fn topk(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 2)?);
    let k = cx.vector(&[a.get(1).clone()])?;
    let (values, indices) = top(cx, v, k, axis, a.flag(3)?)?;
    named(cx, &[("values", values), ("indices", indices)])
}

fn sorted(cx: &mut Context, v: ValueId, axis: i64, descending: bool) -> Outcome<(ValueId, ValueId)> {
    let at = axis_at(axis, cx.rank(v)?)?;
    let size = cx.size_val(v, at)?;
    let k = cx.vector(&[size])?;
    top(cx, v, k, axis, descending)
}

fn sort(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let (values, indices) = sorted(cx, v, axis, a.flag(2)?)?;
    named(cx, &[("values", values), ("indices", indices)])
}

fn sort_stable(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 2)?);
    let (values, indices) = sorted(cx, v, axis, a.flag(3)?)?;
    named(cx, &[("values", values), ("indices", indices)])
}

fn argsort(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let (_, indices) = sorted(cx, v, axis, a.flag(2)?)?;
    Ok(cx.tensor(indices))
}

fn median(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    if plain(a) != "median" {
        return unsupported(format!("{} of an axis", plain(a)));
    }
    let (v, axis) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let at = axis_at(axis, cx.rank(v)?)?;
    let size = cx.size(v, at)?;
    let (one, two) = (cx.int(1), cx.int(2));
    let last = cx.op("Sub", &[size, one])?;
    let middle = cx.op("Div", &[last, two])?;
    let (values, indices) = sorted(cx, v, axis, false)?;
    let middle = if a.flag(2)? {
        let axes = cx.ints(&[0]);
        cx.op("Unsqueeze", &[middle, axes])?
    } else {
        middle
    };
    let attrs = || Attrs::new().with("axis", axis);
    let values = cx.op_with("Gather", &[values, middle], attrs())?;
    let indices = cx.op_with("Gather", &[indices, middle], attrs())?;
    named(cx, &[("values", values), ("indices", indices)])
}

fn count(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let axes = a.ints(cx, 1)?;
    let flag = cx.cast(v, DType::Bool)?;
    let whole = cx.cast(flag, DType::I64)?;
    let made = reduced(cx, "ReduceSum", whole, &axes, false)?;
    Ok(cx.tensor(made))
}

fn numel(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let count = match cx.ty(v).sizes() {
        Some(sizes) => return Ok(Val::Int(sizes.iter().map(|&d| i64::try_from(d).unwrap_or(0)).product())),
        None => cx.op("Size", &[v])?,
    };
    Ok(cx.number_of(crate::aten::Kind::Int, count))
}

fn dist(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, p) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?, a.float(cx, 2)?);
    let gap = cx.op("Sub", &[x, y])?;
    let op = match p {
        1.0 => "ReduceL1",
        2.0 => "ReduceL2",
        p => return unsupported(format!("the {p}-norm of a difference")),
    };
    let made = reduced(cx, op, gap, &[], false)?;
    Ok(cx.tensor(made))
}
