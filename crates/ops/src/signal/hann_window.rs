//! HannWindow: Hann window of a given length, of a periodic function or symmetric. <https://onnx.ai/onnx/operators/onnx__HannWindow.html>

use super::cosine_window;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("size", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::int("output_datatype", 1), AttrDef::int("periodic", 1)],
    types: &[types_of("T1", INDEX), types_of("T2", NUMERIC_BF16)],
};

/// The ONNX operator HannWindow.
pub static HANN_WINDOW: OpDef = OpDef {
    name: "HannWindow",
    since: 17,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Weights of the constant, of the cosine and of the cosine of twice the angle.
const WEIGHTS: [f64; 3] = [0.5, 0.5, 0.0];

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cosine_window::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    cosine_window::eval(cx, inputs, WEIGHTS)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    cosine_window::decompose(b, node, WEIGHTS)
}

fn samples(s: &mut Samples) {
    cosine_window::samples(s, SCHEMA.types[1].set);
}
