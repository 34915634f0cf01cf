//! Comparisons, choices and masks.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val};
use modelsmith_base::DType;
use modelsmith_ir::Attrs;

pub(crate) const ROWS: &[Row] = &[
    row("eq.Tensor|eq.Scalar|ne.Tensor|ne.Scalar|not_equal.Tensor(N self, N other)", compare),
    row("lt.Tensor|lt.Scalar|less.Tensor|le.Tensor|le.Scalar|less_equal.Tensor(N self, N other)", compare),
    row("gt.Tensor|gt.Scalar|greater.Tensor|ge.Tensor|ge.Scalar|greater_equal.Tensor(N self, N other)", compare),
    row("where.self|where.ScalarSelf|where.ScalarOther|where.Scalar(T condition, N self, N other)", choose),
    row("where(T condition)", places),
    row("masked_fill.Scalar|masked_fill.Tensor(T self, T mask, N value)", masked_fill),
    row("isclose(T self, T other, F rtol=1e-05, F atol=1e-08, B equal_nan=False)", isclose),
    row("equal(T self, T other)", equal),
    row("is_nonzero(T self)", is_nonzero),
];

fn plain<'a>(a: &'a Args<'_>) -> &'a str {
    a.name.strip_prefix("aten::").unwrap_or(a.name)
}

fn compare(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    comparison(cx, plain(a), a.get(0), a.get(1))
}

/// `x` compared with `y` by an operator of PyTorch's name.
pub(crate) fn comparison(cx: &mut Context, name: &str, x: &Val, y: &Val) -> Outcome<Val> {
    let (op, negate) = match name {
        "eq" => ("Equal", false),
        "ne" | "not_equal" => ("Equal", true),
        "lt" | "less" => ("Less", false),
        "le" | "less_equal" => ("LessOrEqual", false),
        "gt" | "greater" => ("Greater", false),
        _ => ("GreaterOrEqual", false),
    };
    let mut dtype = cx.common(&[x, y])?;
    if dtype == DType::Bool && op != "Equal" {
        dtype = DType::I32;
    }
    let (x, y) = (cx.operand(x, dtype)?, cx.operand(y, dtype)?);
    let mut made = cx.op(op, &[x, y])?;
    if negate {
        made = cx.op("Not", &[made])?;
    }
    Ok(cx.tensor(made))
}

fn choose(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mask = a.tensor(cx, 0)?;
    let mask = cx.cast(mask, DType::Bool)?;
    let dtype = cx.common(&[a.get(1), a.get(2)])?;
    let (x, y) = (cx.operand(a.get(1), dtype)?, cx.operand(a.get(2), dtype)?);
    let made = cx.op("Where", &[mask, x, y])?;
    Ok(cx.tensor(made))
}

fn places(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let rank = cx.rank(v)?;
    let found = cx.op("NonZero", &[v])?;
    let mut out = Vec::new();
    for i in 0..rank {
        let at = cx.int(i64::try_from(i).unwrap_or(0));
        let row = cx.op_with("Gather", &[found, at], Attrs::new().with("axis", 0))?;
        out.push(cx.tensor(row));
    }
    Ok(cx.list(out))
}

fn masked_fill(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, mask) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let mask = cx.cast(mask, DType::Bool)?;
    let dtype = cx.dtype(v)?;
    let value = cx.operand(a.get(2), dtype)?;
    let made = cx.op("Where", &[mask, value, v])?;
    Ok(cx.tensor(made))
}

fn isclose(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let (x, y) = (cx.floating(x)?, cx.floating(y)?);
    let dtype = cx.dtype(x)?;
    let (rtol, atol) = (a.float(cx, 2)?, a.float(cx, 3)?);
    let (rtol, atol) = (cx.scalar(dtype, rtol)?, cx.scalar(dtype, atol)?);
    let gap = cx.op("Sub", &[x, y])?;
    let gap = cx.op("Abs", &[gap])?;
    let size = cx.op("Abs", &[y])?;
    let bound = cx.op("Mul", &[size, rtol])?;
    let bound = cx.op("Add", &[bound, atol])?;
    let made = cx.op("LessOrEqual", &[gap, bound])?;
    Ok(cx.tensor(made))
}

fn equal(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let same = comparison(cx, "eq", a.get(0), a.get(1))?;
    let Val::Tensor(t) = same else { return Ok(same) };
    let v = cx.read(t)?;
    let whole = cx.cast(v, DType::I32)?;
    let least = cx.op_opt("ReduceMin", &[Some(whole), None], Attrs::new().with("keepdims", 0))?;
    let flag = cx.cast(least, DType::Bool)?;
    Ok(cx.number_of(crate::aten::Kind::Bool, flag))
}

fn is_nonzero(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let none = cx.ints(&[]);
    let v = cx.op("Reshape", &[v, none])?;
    let flag = cx.cast(v, DType::Bool)?;
    Ok(cx.number_of(crate::aten::Kind::Bool, flag))
}
