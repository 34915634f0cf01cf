//! Not: logical negation. <https://onnx.ai/onnx/operators/onnx__Not.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", BOOL)],
};

/// The ONNX operator Not.
pub static NOT: OpDef = OpDef {
    name: "Not",
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
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = elementwise::operand(inputs, 0)?;
    Ok(vec![Tensor::from_bools(x.shape(), x.to_bools()?.into_iter().map(|b| !b).collect())?.into()])
}

fn samples(s: &mut Samples) {
    for shape in Samples::shapes() {
        let x = s.any(Bool, shape);
        s.case().input(x).add();
    }
}
