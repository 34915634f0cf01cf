//! Functions of each element alone.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::Attrs;

pub(crate) const ROWS: &[Row] = &[
    row("abs|absolute|neg|negative|sign|sgn|relu(T self)", same),
    row("floor|ceil|trunc|fix(T self)", rounding),
    row("round|round.decimals(T self, I decimals=0)", round),
    row("exp|sqrt|sin|cos|tan|asin|arcsin|acos|arccos|atan|arctan|sinh|cosh|asinh|arcsinh(T self)", float),
    row("acosh|arccosh|atanh|arctanh|erf|log|reciprocal|sigmoid|tanh(T self)", float),
    row("special_erf|special_expit|softsign(T self)", float),
    row("exp2|special_exp2|expm1|special_expm1|log2|log10|log1p|special_log1p|rsqrt|square(T self)", derived),
    row("erfc|special_erfc|frac|deg2rad|rad2deg|logit|special_logit(T self, F? eps=None)", derived),
    row("isnan|isinf|isfinite|isposinf|isneginf(T self)", classes),
    row("logical_not|bitwise_not|__not__.Tensor(T self)", not),
    row("nan_to_num(T self, F? nan=None, F? posinf=None, F? neginf=None)", nan_to_num),
    row("clamp|clamp.Tensor|clip|clip.Tensor(T self, N? min=None, N? max=None)", clamp),
    row("clamp_min|clamp_min.Tensor(T self, N min)", clamp_min),
    row("clamp_max|clamp_max.Tensor(T self, N max)", clamp_max),
];

/// The operator of the hub of the same meaning.
fn hub(name: &str) -> &'static str {
    match name {
        "abs" | "absolute" => "Abs",
        "neg" | "negative" => "Neg",
        "sign" | "sgn" => "Sign",
        "relu" => "Relu",
        "floor" => "Floor",
        "ceil" => "Ceil",
        "exp" => "Exp",
        "sqrt" => "Sqrt",
        "sin" => "Sin",
        "cos" => "Cos",
        "tan" => "Tan",
        "asin" | "arcsin" => "Asin",
        "acos" | "arccos" => "Acos",
        "atan" | "arctan" => "Atan",
        "sinh" => "Sinh",
        "cosh" => "Cosh",
        "asinh" | "arcsinh" => "Asinh",
        "acosh" | "arccosh" => "Acosh",
        "atanh" | "arctanh" => "Atanh",
        "erf" | "special_erf" => "Erf",
        "log" => "Log",
        "reciprocal" => "Reciprocal",
        "sigmoid" | "special_expit" => "Sigmoid",
        "tanh" => "Tanh",
        "softsign" => "Softsign",
        _ => "Identity",
    }
}

fn plain<'a>(a: &'a Args<'_>) -> &'a str {
    a.name.strip_prefix("aten::").unwrap_or(a.name)
}

fn same(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    if cx.dtype(v)? == DType::Bool {
        return unsupported("arithmetic of flags");
    }
    let made = cx.op(hub(plain(a)), &[v])?;
    Ok(cx.tensor(made))
}

fn rounding(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let made = match (cx.dtype(v)?.is_float(), plain(a)) {
        (false, _) => v,
        (true, "trunc" | "fix") => {
            let (sign, size) = (cx.op("Sign", &[v])?, cx.op("Abs", &[v])?);
            let whole = cx.op("Floor", &[size])?;
            cx.op("Mul", &[sign, whole])?
        }
        (true, name) => cx.op(hub(name), &[v])?,
    };
    Ok(cx.tensor(made))
}

fn round(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (v, decimals) = (a.tensor(cx, 0)?, a.int(cx, 1)?);
    let dtype = cx.dtype(v)?;
    if !dtype.is_float() {
        return Ok(cx.tensor(v));
    }
    if decimals == 0 {
        let made = cx.op("Round", &[v])?;
        return Ok(cx.tensor(made));
    }
    let by = cx.scalar(dtype, 10f64.powi(i32::try_from(decimals).unwrap_or(0)))?;
    let large = cx.op("Mul", &[v, by])?;
    let whole = cx.op("Round", &[large])?;
    let made = cx.op("Div", &[whole, by])?;
    Ok(cx.tensor(made))
}

fn float(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let v = cx.floating(v)?;
    let made = cx.op(hub(plain(a)), &[v])?;
    Ok(cx.tensor(made))
}

fn derived(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    if plain(a) == "square" {
        let made = cx.op("Mul", &[v, v])?;
        return Ok(cx.tensor(made));
    }
    let v = cx.floating(v)?;
    let dtype = cx.dtype(v)?;
    let one = cx.scalar(dtype, 1.0)?;
    let times = |cx: &mut Context, v, x: f64| {
        let x = cx.scalar(dtype, x)?;
        cx.op("Mul", &[v, x])
    };
    let made = match plain(a) {
        "exp2" | "special_exp2" => {
            let two = cx.scalar(dtype, 2.0)?;
            cx.op("Pow", &[two, v])?
        }
        "expm1" | "special_expm1" => {
            let e = cx.op("Exp", &[v])?;
            cx.op("Sub", &[e, one])?
        }
        "log2" | "log10" => {
            let l = cx.op("Log", &[v])?;
            let base = if plain(a) == "log2" { std::f64::consts::LN_2 } else { std::f64::consts::LN_10 };
            times(cx, l, 1.0 / base)?
        }
        "log1p" | "special_log1p" => {
            let more = cx.op("Add", &[v, one])?;
            cx.op("Log", &[more])?
        }
        "rsqrt" => {
            let root = cx.op("Sqrt", &[v])?;
            cx.op("Reciprocal", &[root])?
        }
        "erfc" | "special_erfc" => {
            let e = cx.op("Erf", &[v])?;
            cx.op("Sub", &[one, e])?
        }
        "frac" => {
            let (sign, size) = (cx.op("Sign", &[v])?, cx.op("Abs", &[v])?);
            let whole = cx.op("Floor", &[size])?;
            let whole = cx.op("Mul", &[sign, whole])?;
            cx.op("Sub", &[v, whole])?
        }
        "deg2rad" => times(cx, v, std::f64::consts::PI / 180.0)?,
        "rad2deg" => times(cx, v, 180.0 / std::f64::consts::PI)?,
        _ => {
            let mut v = v;
            if let Some(eps) = a.opt_float(cx, 1)? {
                let (low, high) = (cx.scalar(dtype, eps)?, cx.scalar(dtype, 1.0 - eps)?);
                v = cx.op("Clip", &[v, low, high])?;
            }
            let rest = cx.op("Sub", &[one, v])?;
            let odds = cx.op("Div", &[v, rest])?;
            cx.op("Log", &[odds])?
        }
    };
    Ok(cx.tensor(made))
}

fn classes(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let v = cx.floating(v)?;
    let signs = |p: i64, n: i64| Attrs::new().with("detect_positive", p).with("detect_negative", n);
    let made = match plain(a) {
        "isnan" => cx.op("IsNaN", &[v])?,
        "isinf" => cx.op("IsInf", &[v])?,
        "isposinf" => cx.op_with("IsInf", &[v], signs(1, 0))?,
        "isneginf" => cx.op_with("IsInf", &[v], signs(0, 1))?,
        _ => {
            let (nan, inf) = (cx.op("IsNaN", &[v])?, cx.op("IsInf", &[v])?);
            let either = cx.op("Or", &[nan, inf])?;
            cx.op("Not", &[either])?
        }
    };
    Ok(cx.tensor(made))
}

fn not(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let made = match (cx.dtype(v)?, plain(a)) {
        (DType::Bool, _) => cx.op("Not", &[v])?,
        (_, "bitwise_not") => cx.op("BitwiseNot", &[v])?,
        _ => {
            let v = cx.cast(v, DType::Bool)?;
            cx.op("Not", &[v])?
        }
    };
    Ok(cx.tensor(made))
}

fn nan_to_num(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let v = a.tensor(cx, 0)?;
    let dtype = cx.dtype(v)?;
    if !dtype.is_float() {
        return Ok(cx.tensor(v));
    }
    let largest = match dtype {
        DType::F64 => f64::MAX,
        DType::F16 => 65504.0,
        DType::BF16 => 3.389_531_389_251_535_5e38,
        _ => f64::from(f32::MAX),
    };
    let values = [a.opt_float(cx, 1)?.unwrap_or(0.0), a.opt_float(cx, 2)?.unwrap_or(largest)];
    let low = a.opt_float(cx, 3)?.unwrap_or(-largest);
    let nan = cx.op("IsNaN", &[v])?;
    let high = cx.op_with("IsInf", &[v], Attrs::new().with("detect_negative", 0))?;
    let under = cx.op_with("IsInf", &[v], Attrs::new().with("detect_positive", 0))?;
    let mut made = v;
    for (mask, value) in [(nan, values[0]), (high, values[1]), (under, low)] {
        let value = cx.scalar(dtype, value)?;
        made = cx.op("Where", &[mask, value, made])?;
    }
    Ok(cx.tensor(made))
}

fn clamp(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    bounded(cx, a.get(0), a.get(1), a.get(2))
}

fn clamp_min(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    bounded(cx, a.get(0), a.get(1), &Val::None)
}

fn clamp_max(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    bounded(cx, a.get(0), &Val::None, a.get(1))
}

/// `v` between `low` and `high`, either of which may be absent, a number or a tensor.
pub(super) fn bounded(cx: &mut Context, v: &Val, low: &Val, high: &Val) -> Outcome<Val> {
    let present = [v, low, high].into_iter().filter(|v| !matches!(v, Val::None)).collect::<Vec<_>>();
    let dtype = cx.common(&present)?;
    let x = cx.operand(v, dtype)?;
    let known = |v: &Val| matches!(v, Val::None | Val::Int(_) | Val::Float(_) | Val::Bool(_));
    if known(low) && known(high) {
        let mut bounds = vec![Some(x)];
        for b in [low, high] {
            bounds.push(match b {
                Val::None => None,
                b => Some(cx.operand(b, dtype)?),
            });
        }
        let made = cx.op_opt("Clip", &bounds, Attrs::new())?;
        return Ok(cx.tensor(made));
    }
    let mut made = x;
    for (bound, op) in [(low, "Max"), (high, "Min")] {
        if !matches!(bound, Val::None) {
            let b = cx.operand(bound, dtype)?;
            made = cx.op(op, &[made, b])?;
        }
    }
    Ok(cx.tensor(made))
}
