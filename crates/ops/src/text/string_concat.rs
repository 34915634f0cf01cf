//! StringConcat: each string of X followed by that of Y, with broadcasting. <https://onnx.ai/onnx/operators/onnx__StringConcat.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("Y", "T")],
    outputs: &[Param::one("Z", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[String]))],
};

/// The ONNX operator StringConcat.
pub static STRING_CONCAT: OpDef = OpDef {
    name: "StringConcat",
    since: 20,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], Some(String))
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, y) = (elementwise::operand(inputs, 0)?, elementwise::operand(inputs, 1)?);
    let (shape, at) = elementwise::pairs(x, y)?;
    let (x, y) = (x.strings()?, y.strings()?);
    let out = at.into_iter().map(|(i, j)| format!("{}{}", x[i], y[j])).collect();
    Ok(vec![Tensor::from_strings(&shape, out)?.into()])
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
