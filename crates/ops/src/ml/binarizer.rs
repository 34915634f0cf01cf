//! Binarizer: 1 where the element is above `threshold`, else 0.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_Binarizer.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("threshold", 0.0)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator Binarizer.
pub static BINARIZER: OpDef = OpDef {
    name: "Binarizer",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let threshold = f64::from(cx.attrs.float("threshold")?);
    elementwise::unary(inputs, |x| f64::from(u8::from(x > threshold)))
}

fn samples(s: &mut Samples) {
    let set = TypeSet::tensors(&[F32, F64, I32, I64]);
    elementwise::unary_samples(s, set, -2.0, 2.0);
    let x = s.any(F32, &[3, 2]);
    s.case().input(x).attr("threshold", 0.5f32).add();
}
