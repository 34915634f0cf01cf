//! Operators of the core set into which PyTorch takes others apart when a program is decomposed.

use crate::aten::schema::{Args, Row, row};
use crate::aten::value::long;
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::Attrs;
use modelsmith_tensor::Tensor;

pub(crate) const ROWS: &[Row] = &[
    row("_native_batch_norm_legit.no_stats(T input, T? weight, T? bias, B training, F momentum, F eps)", batch_of_now),
    row("scatter_reduce.two(T self, I dim, T index, T src, S reduce, B include_self=True)", scatter_reduce),
    row("as_strided|as_strided_copy(T self, I[] size, I[] stride, I? storage_offset=None)", as_strided),
    row("sym_storage_offset(T self)", nothing),
    row("sym_is_contiguous(T self, A memory_format=None)", truth),
];

/// Most elements of a view whose places are written out.
const WRITTEN: usize = 1 << 22;

fn nothing(_: &mut Context, _: &Args<'_>) -> Outcome<Val> {
    Ok(Val::Int(0))
}

fn truth(_: &mut Context, _: &Args<'_>) -> Outcome<Val> {
    Ok(Val::Bool(true))
}

/// A normalisation by the statistics of the batch itself: `(x - mean) / sqrt(var + eps) * weight + bias` for each channel.
fn batch_of_now(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let x = a.tensor(cx, 0)?;
    let rank = cx.rank(x)?;
    let dtype = cx.dtype(x)?;
    let axes = (0..rank).filter(|&i| i != 1).map(long).collect::<Vec<_>>();
    let axes = cx.ints(&axes);
    let mean = cx.op("ReduceMean", &[x, axes])?;
    let off = cx.op("Sub", &[x, mean])?;
    let square = cx.op("Mul", &[off, off])?;
    let var = cx.op("ReduceMean", &[square, axes])?;
    let eps = a.float(cx, 5)?;
    let eps = cx.scalar(dtype, eps)?;
    let wide = cx.op("Add", &[var, eps])?;
    let root = cx.op("Sqrt", &[wide])?;
    let mut made = cx.op("Div", &[off, root])?;
    let column = (0..rank).skip(1).map(|i| if i == 1 { -1 } else { 1 }).collect::<Vec<_>>();
    let column = cx.ints(&column);
    for (i, op) in [(1, "Mul"), (2, "Add")] {
        if let Some(v) = a.opt_tensor(cx, i)? {
            let v = cx.op("Reshape", &[v, column])?;
            made = cx.op(op, &[made, v])?;
        }
    }
    let flat = cx.ints(&[-1]);
    let one = cx.scalar(dtype, 1.0)?;
    let spread = cx.op("Div", &[one, root])?;
    let (mean, spread) = (cx.op("Reshape", &[mean, flat])?, cx.op("Reshape", &[spread, flat])?);
    let all = [made, mean, spread].map(|v| cx.tensor(v));
    Ok(Val::tuple(all.to_vec()))
}

fn scatter_reduce(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, axis, index, source) = (a.tensor(cx, 0)?, a.int(cx, 1)?, a.tensor(cx, 2)?, a.tensor(cx, 3)?);
    let reduction = match a.text(4)? {
        "sum" => "add",
        "prod" => "mul",
        "amax" => "max",
        "amin" => "min",
        other => return unsupported(format!("scatter_reduce with the reduction {other}")),
    };
    if !a.flag(5)? {
        return unsupported("scatter_reduce that leaves out what was there");
    }
    let attrs = Attrs::new().with("axis", axis).with("reduction", reduction);
    let made = cx.op_with("ScatterElements", &[x, index, source], attrs)?;
    Ok(cx.tensor(made))
}

/// Elements of a tensor whose elements lie in order, by their places.
fn as_strided(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (t, x) = (a.place(0)?, a.tensor(cx, 0)?);
    if !super::view::contiguous(cx, t) {
        return unsupported("as_strided of a view");
    }
    let (shape, strides) = (a.ints(cx, 1)?, a.ints(cx, 2)?);
    let start = a.opt_int(cx, 3)?.unwrap_or(0);
    let sizes = shape.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
    let count = sizes.as_ref().and_then(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d)));
    let (Some(sizes), Some(count)) = (sizes, count.filter(|&n| n <= WRITTEN)) else {
        return unsupported("as_strided to a shape that is too large");
    };
    if shape.len() != strides.len() {
        return unsupported("as_strided with other than a stride for each size");
    }
    let mut places = Vec::with_capacity(count);
    for i in 0..count {
        let (mut rest, mut at) = (i, start);
        for (&n, &s) in sizes.iter().zip(&strides).rev() {
            at = at.saturating_add(long(rest.checked_rem(n).unwrap_or(0)).saturating_mul(s));
            rest = rest.checked_div(n).unwrap_or(0);
        }
        places.push(at);
    }
    let places = cx.constant(Tensor::from_i64s(DType::I64, &sizes, &places)?);
    let flat = cx.ints(&[-1]);
    let flat = cx.op("Reshape", &[x, flat])?;
    let made = cx.op_with("Gather", &[flat, places], Attrs::new().with("axis", 0))?;
    Ok(cx.tensor(made))
}
