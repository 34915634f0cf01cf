//! BitwiseNot: every bit inverted. <https://onnx.ai/onnx/operators/onnx__BitwiseNot.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[I8, I16, I32, I64, U8, U16, U32, U64]))],
};

/// The ONNX operator BitwiseNot.
pub static BITWISE_NOT: OpDef = OpDef {
    name: "BitwiseNot",
    since: 18,
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
    let out = x.to_i64s()?.into_iter().map(|x| !x).collect::<Vec<_>>();
    Ok(vec![Tensor::from_i64s(x.dtype(), x.shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(I32, shape);
        s.case().input(x).add();
    }
}
