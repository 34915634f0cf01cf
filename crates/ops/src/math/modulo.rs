//! Mod: remainder with broadcasting: of the quotient rounded down, or, with `fmod`, truncated. <https://onnx.ai/onnx/operators/onnx__Mod.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[AttrDef::int("fmod", 0)],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Mod.
pub static MODULO: OpDef = OpDef {
    name: "Mod",
    since: 28,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 10,
            schema: Schema { types: &[types_of("T", NUMERIC)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past { since: 13, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Rewrite(floats_need_fmod) },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], None)?;
    let truncated = cx.attrs.flag("fmod")?;
    shapes::binary_value(cx, |a, b| match (&a, &b) {
        (Dim::Known(a), Dim::Known(b)) if truncated => a.checked_rem(*b).map_or(Dim::Unknown, Dim::Known),
        _ if shapes::positive(&b) && (!truncated || shapes::non_negative(&a)) => a.modulo(&b),
        _ => Dim::Unknown,
    });
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::refuse_zero_divisor(inputs)?;
    match cx.attrs.flag("fmod")? {
        true => elementwise::binary(inputs, |a, b| a % b, i64::wrapping_rem, |a, b| a % b),
        false => elementwise::binary(inputs, floored, floored_int, |a, b| a % b),
    }
}

/// The remainder that has the sign of `b`. It is exact in `f64` but for the last sum, which rounds once more than the
/// result's type would alone only for `f64` itself.
fn floored(a: f64, b: f64) -> f64 {
    let r = a % b;
    match r {
        r if r == 0.0 => r.copysign(b),
        r if (r < 0.0) != (b < 0.0) => r + b,
        r => r,
    }
}

fn floored_int(a: i64, b: i64) -> i64 {
    let r = a.wrapping_rem(b);
    if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
}

/// Before opset 28 floats need `fmod`.
fn floats_need_fmod(cx: &mut AdaptCx) -> OpResult<()> {
    let float = cx.input(0).and_then(|v| cx.model.ty(v).dtype()).is_none_or(DType::is_float);
    match float && !matches!(cx.attrs().get("fmod"), Some(Attr::Int(n)) if *n != 0) {
        true => Err(OpError::unsupported("the floored remainder of floats, which begins at opset 28")),
        false => Ok(()),
    }
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
    for dtype in SCHEMA.types[0].set.dtypes() {
        let a = if dtype.is_float() { s.floats(dtype, &[3, 4], -9.0, 9.0) } else { s.any(dtype, &[3, 4]) };
        let b = if dtype.is_float() { s.floats(dtype, &[4], 1.0, 3.0) } else { s.ints(dtype, &[4], 2, 5) };
        s.case().attr("fmod", 1).input(a.clone()).input(b.clone()).add();
        s.case().input(a).input(b).add();
    }
    let (a, b) = (s.ints(I32, &[9], -9, 9), s.ints(I32, &[9], -5, -1));
    s.case().input(a.clone()).input(b.clone()).add();
    s.case().attr("fmod", 1).input(a).input(b).add();
}
