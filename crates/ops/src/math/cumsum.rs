//! CumSum: running sum along an axis; `exclusive` leaves each element itself out, `reverse` runs from the end. Integers wrap. <https://onnx.ai/onnx/operators/onnx__CumSum.html>

use super::scan;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T"), Param::one("axis", "T2")],
    outputs: &[Param::one("y", "T")],
    attrs: &[AttrDef::int("exclusive", 0), AttrDef::int("reverse", 0)],
    types: &[types_of("T", WIDE_BF16), types_of("T2", INDEX)],
};

/// The ONNX operator CumSum.
pub static CUMSUM: OpDef = OpDef {
    name: "CumSum",
    since: 14,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema {
            types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64, U32, U64])), types_of("T2", INDEX)],
            ..SCHEMA
        },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    scan::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let out = if x.dtype() == F32 {
        let mut out = Tensor::zeros(F32, x.shape())?;
        let to = out.as_mut_slice::<f32>()?;
        scan::written(cx, inputs, (x.as_slice::<f32>()?, to), 0.0, (f64::from, |a, x| a + x, |x| x as f32))?;
        out
    } else if x.dtype().is_float() {
        Tensor::from_f64s(x.dtype(), x.shape(), &scan::along(cx, inputs, &x.to_f64s()?, 0.0, |a, x| a + x)?)?
    } else {
        Tensor::from_i64s(x.dtype(), x.shape(), &scan::along(cx, inputs, &x.to_i64s()?, 0, i64::wrapping_add)?)?
    };
    Ok(vec![out.into()])
}

fn samples(s: &mut Samples) {
    scan::samples(s, SCHEMA.types[0].set);
}
