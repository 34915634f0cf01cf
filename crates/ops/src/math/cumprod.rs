//! CumProd: running product along an axis; `exclusive` leaves each element itself out, `reverse` runs from the end. Integers wrap. <https://onnx.ai/onnx/operators/onnx__CumProd.html>

use super::scan;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T"), Param::one("axis", "T2")],
    outputs: &[Param::one("y", "T")],
    attrs: &[AttrDef::int("exclusive", 0), AttrDef::int("reverse", 0)],
    types: &[types_of("T", WIDE_BF16), types_of("T2", INDEX)],
};

/// The ONNX operator CumProd.
pub static CUMPROD: OpDef = OpDef {
    name: "CumProd",
    since: 26,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    scan::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let out = if x.dtype().is_float() {
        Tensor::from_f64s(x.dtype(), x.shape(), &scan::along(cx, inputs, &x.to_f64s()?, 1.0, |a, x| a * x)?)?
    } else {
        Tensor::from_i64s(x.dtype(), x.shape(), &scan::along(cx, inputs, &x.to_i64s()?, 1, i64::wrapping_mul)?)?
    };
    Ok(vec![out.into()])
}

fn samples(s: &mut Samples) {
    scan::samples(s, SCHEMA.types[0].set);
}
