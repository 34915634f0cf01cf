//! SequenceErase: a sequence without the element at `position`, by default the last.
//!
//! <https://onnx.ai/onnx/operators/onnx__SequenceErase.html>

use crate::prelude::*;

use crate::sequence::positions;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_sequence", "S"), Param::opt("position", "I")],
    outputs: &[Param::one("output_sequence", "S")],
    attrs: &[],
    types: &[types_of("S", ALL.only_sequences()), types_of("I", INDEX)],
};

/// The ONNX operator SequenceErase.
pub static SEQUENCE_ERASE: OpDef = OpDef {
    name: "SequenceErase",
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
    cx.set(0, cx.ty(0));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let mut items = positions::items(inputs, 0)?.to_vec();
    let at = positions::position(cx, inputs, 1, items.len())?.unwrap_or(items.len().wrapping_sub(1));
    if at >= items.len() {
        return Err(OpError::invalid(format!("position {at} of a sequence of {}", items.len())));
    }
    items.remove(at);
    Ok(vec![Value::Sequence(items)])
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let items = Value::Sequence((1..4).map(|n| s.any(dtype, &[n]).into()).collect());
        s.case().input(items.clone()).input(Tensor::scalar(-3i64)).add();
        s.case().input(items.clone()).input(Tensor::scalar(1i32)).add();
        s.case().input(items).add();
    }
}
