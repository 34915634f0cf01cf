//! SequenceAt: the element at `position`, counted from the end when negative.
//!
//! <https://onnx.ai/onnx/operators/onnx__SequenceAt.html>

use crate::prelude::*;

use crate::sequence::positions;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_sequence", "S"), Param::one("position", "I")],
    outputs: &[Param::one("tensor", "T")],
    attrs: &[],
    types: &[types_of("S", ALL.only_sequences()), types_of("T", ALL), types_of("I", INDEX)],
};

/// The ONNX operator SequenceAt.
pub static SEQUENCE_AT: OpDef = OpDef {
    name: "SequenceAt",
    since: 11,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set(0, positions::item(&cx.ty(0)));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let items = positions::items(inputs, 0)?;
    let at = positions::position(cx, inputs, 1, items.len())?.unwrap_or(items.len());
    match items.get(at) {
        Some(v) => Ok(vec![v.clone()]),
        None => Err(OpError::invalid(format!("position {at} of a sequence of {}", items.len()))),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let items = Value::Sequence(vec![s.any(dtype, &[2]).into(), s.any(dtype, &[1, 3]).into()]);
        s.case().input(items.clone()).input(Tensor::scalar(-1i64)).add();
        s.case().input(items).input(Tensor::scalar(0i32)).add();
    }
}
