//! BitwiseAnd: bits set in both operands, with broadcasting. <https://onnx.ai/onnx/operators/onnx__BitwiseAnd.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[I8, I16, I32, I64, U8, U16, U32, U64]))],
};

/// The ONNX operator BitwiseAnd.
pub static BITWISE_AND: OpDef = OpDef {
    name: "BitwiseAnd",
    since: 18,
    schema: SCHEMA,
    flags: Flags::COMMUTATIVE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], None)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::integers(inputs, |a, b| a & b)
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
