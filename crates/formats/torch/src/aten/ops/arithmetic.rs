//! Arithmetic of two operands.

use crate::aten::schema::{Args, Row, row};
use crate::aten::{Context, Outcome, Val, unsupported};
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, ValueId};

pub(crate) const ROWS: &[Row] = &[
    row("add.Tensor|add.Scalar|sub.Tensor|sub.Scalar|subtract.Tensor(N self, N other, N alpha=1)", sum),
    row("rsub.Scalar|rsub.Tensor(N self, N other, N alpha=1)", rsub),
    row("mul.Tensor|mul.Scalar|multiply.Tensor|multiply.Scalar(N self, N other)", mul),
    row("div.Tensor|div.Scalar|div.Tensor_mode|divide.Tensor(N self, N other, S? rounding_mode=None)", div),
    row("true_divide.Tensor|true_divide.Scalar(N self, N other)", div),
    row("floor_divide|floor_divide.Scalar|floordiv(N self, N other)", floor_divide),
    row("remainder.Tensor|remainder.Scalar(N self, N other)", remainder),
    row("fmod.Tensor|fmod.Scalar(N self, N other)", fmod),
    row("pow.Tensor_Scalar|pow.Tensor_Tensor|pow.Scalar|float_power.Tensor_Scalar(N self, N exponent)", pow),
    row("maximum|fmax|max.other(T self, N other)", largest),
    row("minimum|fmin|min.other(T self, N other)", smallest),
    row("atan2|arctan2(T self, T other)", atan2),
    row("addcmul(T self, T tensor1, T tensor2, N value=1)", addcmul),
    row("addcdiv(T self, T tensor1, T tensor2, N value=1)", addcdiv),
    row("lerp.Scalar|lerp.Tensor(T self, T end, N weight)", lerp),
    row("xlogy.Tensor(T self, T other)", xlogy),
    row("hypot(T self, T other)", hypot),
    row("logaddexp(T self, T other)", logaddexp),
    row("bitwise_and.Tensor|__and__.Tensor|__and__.Scalar|bitwise_and.Scalar(N self, N other)", bits),
    row("bitwise_or.Tensor|__or__.Tensor|__or__.Scalar|bitwise_or.Scalar(N self, N other)", bits),
    row("bitwise_xor.Tensor|__xor__.Tensor|__xor__.Scalar|bitwise_xor.Scalar(N self, N other)", bits),
    row("bitwise_left_shift.Tensor|__lshift__.Scalar|__lshift__.Tensor(N self, N other)", shift),
    row("bitwise_right_shift.Tensor|__rshift__.Scalar|__rshift__.Tensor(N self, N other)", shift),
    row("logical_and|logical_or|logical_xor(T self, T other)", logical),
];

fn plain<'a>(a: &'a Args<'_>) -> &'a str {
    a.name.strip_prefix("aten::").unwrap_or(a.name)
}

/// Both operands in the type where they meet.
fn pair(cx: &mut Context, x: &Val, y: &Val) -> Outcome<(ValueId, ValueId, DType)> {
    let dtype = cx.common(&[x, y])?;
    let (x, y) = (cx.operand(x, dtype)?, cx.operand(y, dtype)?);
    Ok((x, y, dtype))
}

/// `op` of two operands.
pub(crate) fn binary(cx: &mut Context, op: &str, x: &Val, y: &Val) -> Outcome<Val> {
    let (x, y, dtype) = pair(cx, x, y)?;
    let made = match (dtype, op) {
        (DType::Bool, "Add") => cx.op("Or", &[x, y])?,
        (DType::Bool, "Mul") => cx.op("And", &[x, y])?,
        _ => cx.op(op, &[x, y])?,
    };
    Ok(cx.tensor(made))
}

fn is_one(v: &Val) -> bool {
    matches!(v, Val::Int(1)) || matches!(v, Val::Float(x) if *x == 1.0)
}

/// `x + alpha * y` or `x - alpha * y`.
fn scaled(cx: &mut Context, op: &str, x: &Val, y: &Val, alpha: &Val) -> Outcome<Val> {
    if is_one(alpha) {
        return binary(cx, op, x, y);
    }
    let (x, y, dtype) = pair(cx, x, y)?;
    let alpha = cx.operand(alpha, dtype)?;
    let y = cx.op("Mul", &[y, alpha])?;
    let made = cx.op(op, &[x, y])?;
    Ok(cx.tensor(made))
}

fn sum(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let op = if plain(a) == "add" { "Add" } else { "Sub" };
    scaled(cx, op, a.get(0), a.get(1), a.get(2))
}

fn rsub(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    scaled(cx, "Sub", a.get(1), a.get(0), a.get(2))
}

fn mul(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    binary(cx, "Mul", a.get(0), a.get(1))
}

fn div(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let mode = match a.get(2) {
        Val::Str(mode) => Some(mode.to_string()),
        _ => None,
    };
    let (x, y, dtype) = pair(cx, a.get(0), a.get(1))?;
    let made = match mode.as_deref() {
        None => {
            let dtype = if dtype.is_float() || dtype.is_complex() { dtype } else { DType::F32 };
            let (x, y) = (cx.cast(x, dtype)?, cx.cast(y, dtype)?);
            cx.op("Div", &[x, y])?
        }
        Some("floor") => floored(cx, x, y, dtype)?,
        Some(_) => {
            let q = cx.op("Div", &[x, y])?;
            match dtype.is_float() {
                false => q,
                true => {
                    let (sign, size) = (cx.op("Sign", &[q])?, cx.op("Abs", &[q])?);
                    let whole = cx.op("Floor", &[size])?;
                    cx.op("Mul", &[sign, whole])?
                }
            }
        }
    };
    Ok(cx.tensor(made))
}

/// `x / y` rounded down.
pub(crate) fn floored(cx: &mut Context, x: ValueId, y: ValueId, dtype: DType) -> Outcome<ValueId> {
    let q = cx.op("Div", &[x, y])?;
    if dtype.is_float() {
        return cx.op("Floor", &[q]);
    }
    // Integers are divided towards zero: one less where there is a rest and the signs differ. Positive numbers need none.
    let positive = |cx: &Context, v: ValueId| cx.known_ints(v).is_some_and(|k| k.iter().all(|&n| n >= 0));
    let size = |cx: &Context, v: ValueId| cx.fact(v).value.is_some_and(|t| t.dims.iter().all(is_size));
    if positive(cx, y) && (positive(cx, x) || size(cx, x)) {
        return Ok(q);
    }
    let zero = cx.scalar(dtype, 0.0)?;
    let rest = cx.op("Mod", &[x, y])?;
    let negative = cx.op("Less", &[x, zero])?;
    let other = cx.op("Less", &[y, zero])?;
    let differ = cx.op("Xor", &[negative, other])?;
    let whole = cx.op("Equal", &[rest, zero])?;
    let broken = cx.op("Not", &[whole])?;
    let less = cx.op("And", &[differ, broken])?;
    let less = cx.cast(less, dtype)?;
    cx.op("Sub", &[q, less])
}

/// A sum of products of sizes without a minus is not negative.
fn is_size(d: &modelsmith_ir::Dim) -> bool {
    match d {
        modelsmith_ir::Dim::Known(n) => *n >= 0,
        modelsmith_ir::Dim::Expr(e) => e.terms().all(|(_, c)| c >= 0),
        modelsmith_ir::Dim::Unknown => false,
    }
}

fn floor_divide(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, dtype) = pair(cx, a.get(0), a.get(1))?;
    let made = floored(cx, x, y, dtype)?;
    Ok(cx.tensor(made))
}

fn remainder(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, dtype) = pair(cx, a.get(0), a.get(1))?;
    if !dtype.is_float() {
        let made = cx.op("Mod", &[x, y])?;
        return Ok(cx.tensor(made));
    }
    let q = cx.op("Div", &[x, y])?;
    let q = cx.op("Floor", &[q])?;
    let q = cx.op("Mul", &[q, y])?;
    let made = cx.op("Sub", &[x, q])?;
    Ok(cx.tensor(made))
}

fn fmod(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, _) = pair(cx, a.get(0), a.get(1))?;
    let made = cx.op_with("Mod", &[x, y], Attrs::new().with("fmod", 1))?;
    Ok(cx.tensor(made))
}

fn pow(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    if let (Val::Tensor(t), Val::Int(2)) = (a.get(0), a.get(1)) {
        let v = cx.read(*t)?;
        let made = cx.op("Mul", &[v, v])?;
        return Ok(cx.tensor(made));
    }
    let (x, y, _) = pair(cx, a.get(0), a.get(1))?;
    let made = cx.op("Pow", &[x, y])?;
    Ok(cx.tensor(made))
}

fn largest(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    binary(cx, "Max", a.get(0), a.get(1))
}

fn smallest(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    binary(cx, "Min", a.get(0), a.get(1))
}

fn atan2(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (y, x, dtype) = pair(cx, a.get(0), a.get(1))?;
    if !dtype.is_float() {
        return unsupported("atan2 of integers");
    }
    let (zero, pi) = (cx.scalar(dtype, 0.0)?, cx.scalar(dtype, std::f64::consts::PI)?);
    let minus = cx.scalar(dtype, -std::f64::consts::PI)?;
    let slope = cx.op("Div", &[y, x])?;
    let angle = cx.op("Atan", &[slope])?;
    let left = cx.op("Less", &[x, zero])?;
    let below = cx.op("Less", &[y, zero])?;
    let turn = cx.op("Where", &[below, minus, pi])?;
    let turned = cx.op("Add", &[angle, turn])?;
    let angle = cx.op("Where", &[left, turned, angle])?;
    // 0 / 0 has no slope; the angle of the origin is 0.
    let at_x = cx.op("Equal", &[x, zero])?;
    let at_y = cx.op("Equal", &[y, zero])?;
    let origin = cx.op("And", &[at_x, at_y])?;
    let made = cx.op("Where", &[origin, zero, angle])?;
    Ok(cx.tensor(made))
}

fn product(cx: &mut Context, a: &Args<'_>, op: &str) -> Outcome<Val> {
    let made = binary(cx, op, a.get(1), a.get(2))?;
    let made = if is_one(a.get(3)) { made } else { binary(cx, "Mul", &made, a.get(3))? };
    binary(cx, "Add", a.get(0), &made)
}

fn addcmul(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    product(cx, a, "Mul")
}

fn addcdiv(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    product(cx, a, "Div")
}

fn lerp(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let way = binary(cx, "Sub", a.get(1), a.get(0))?;
    let part = binary(cx, "Mul", &way, a.get(2))?;
    binary(cx, "Add", a.get(0), &part)
}

fn xlogy(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, dtype) = pair(cx, a.get(0), a.get(1))?;
    let zero = cx.scalar(dtype, 0.0)?;
    let log = cx.op("Log", &[y])?;
    let made = cx.op("Mul", &[x, log])?;
    let none = cx.op("Equal", &[x, zero])?;
    let made = cx.op("Where", &[none, zero, made])?;
    Ok(cx.tensor(made))
}

fn hypot(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, _) = pair(cx, a.get(0), a.get(1))?;
    let (x, y) = (cx.op("Mul", &[x, x])?, cx.op("Mul", &[y, y])?);
    let sum = cx.op("Add", &[x, y])?;
    let made = cx.op("Sqrt", &[sum])?;
    Ok(cx.tensor(made))
}

fn logaddexp(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, _) = pair(cx, a.get(0), a.get(1))?;
    let high = cx.op("Max", &[x, y])?;
    let gap = cx.op("Sub", &[x, y])?;
    let gap = cx.op("Abs", &[gap])?;
    let gap = cx.op("Neg", &[gap])?;
    let soft = cx.op("Exp", &[gap])?;
    let one = cx.scalar(cx.dtype(soft)?, 1.0)?;
    let soft = cx.op("Add", &[soft, one])?;
    let soft = cx.op("Log", &[soft])?;
    let made = cx.op("Add", &[high, soft])?;
    Ok(cx.tensor(made))
}

fn bits(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, dtype) = pair(cx, a.get(0), a.get(1))?;
    let name = plain(a).trim_matches('_').trim_start_matches("bitwise_");
    let op = match (dtype, name) {
        (DType::Bool, "and") => "And",
        (DType::Bool, "or") => "Or",
        (DType::Bool, _) => "Xor",
        (_, "and") => "BitwiseAnd",
        (_, "or") => "BitwiseOr",
        _ => "BitwiseXor",
    };
    let made = cx.op(op, &[x, y])?;
    Ok(cx.tensor(made))
}

fn shift(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y, dtype) = pair(cx, a.get(0), a.get(1))?;
    let left = plain(a).contains("left") || plain(a).contains("lshift");
    if dtype.is_signed_int() {
        // The hub shifts unsigned integers: here by powers of two, rounded down as the bits are.
        let two = cx.scalar(dtype, 2.0)?;
        let power = cx.op("Pow", &[two, y])?;
        let made = if left { cx.op("Mul", &[x, power])? } else { floored(cx, x, power, dtype)? };
        return Ok(cx.tensor(made));
    }
    let way = if left { "LEFT" } else { "RIGHT" };
    let made = cx.op_with("BitShift", &[x, y], Attrs::new().with("direction", way))?;
    Ok(cx.tensor(made))
}

fn logical(cx: &mut Context, a: &Args<'_>) -> Outcome<Val> {
    let (x, y) = (a.tensor(cx, 0)?, a.tensor(cx, 1)?);
    let (x, y) = (cx.cast(x, DType::Bool)?, cx.cast(y, DType::Bool)?);
    let op = match plain(a) {
        "logical_and" => "And",
        "logical_or" => "Or",
        _ => "Xor",
    };
    let made = cx.op(op, &[x, y])?;
    Ok(cx.tensor(made))
}
