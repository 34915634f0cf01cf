//! SequenceLength: the number of elements of a sequence.
//!
//! <https://onnx.ai/onnx/operators/onnx__SequenceLength.html>

use crate::prelude::*;

use crate::sequence::positions;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_sequence", "S")],
    outputs: &[Param::one("length", "I")],
    attrs: &[],
    types: &[types_of("S", ALL.only_sequences()), types_of("I", I64_ONLY)],
};

/// The ONNX operator SequenceLength.
pub static SEQUENCE_LENGTH: OpDef = OpDef {
    name: "SequenceLength",
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
    cx.set_tensor(0, Some(I64), Some(vec![]));
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    Ok(vec![Tensor::scalar(positions::items(inputs, 0)?.len() as i64).into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let items = Value::Sequence(vec![s.any(dtype, &[2]).into(), s.any(dtype, &[]).into()]);
        s.case().input(items).add();
    }
    s.case().input(Value::Sequence(vec![])).add();
}
