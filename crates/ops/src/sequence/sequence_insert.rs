//! SequenceInsert: a sequence with `tensor` at `position`, by default at the end.
//!
//! <https://onnx.ai/onnx/operators/onnx__SequenceInsert.html>

use crate::prelude::*;

use crate::sequence::positions;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_sequence", "S"), Param::one("tensor", "T"), Param::opt("position", "I")],
    outputs: &[Param::one("output_sequence", "S")],
    attrs: &[],
    types: &[types_of("T", ALL), types_of("S", ALL.only_sequences()), types_of("I", INDEX)],
};

/// The ONNX operator SequenceInsert.
pub static SEQUENCE_INSERT: OpDef = OpDef {
    name: "SequenceInsert",
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
    let held = positions::item(&cx.ty(0)).as_tensor().and_then(|t| t.dtype);
    if let (Some(held), Some(given)) = (held, cx.dtype(1))
        && held != given
    {
        return Err(OpError::invalid(format!("the sequence holds {held} tensors, the tensor is {given}")));
    }
    let item = match positions::item(&cx.ty(0)) {
        Type::Unknown => Type::Tensor(TensorType { dtype: cx.dtype(1), shape: None }),
        item => item.join(&cx.ty(1)),
    };
    cx.set(0, Type::Sequence(Box::new(item)));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let mut items = positions::items(inputs, 0)?.to_vec();
    let value = cx.tensor(inputs, 1)?.clone();
    let at = positions::position(cx, inputs, 2, items.len())?.unwrap_or(items.len());
    items.insert(at.min(items.len()), value.into());
    Ok(vec![Value::Sequence(items)])
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let items = Value::Sequence(vec![s.any(dtype, &[2]).into(), s.any(dtype, &[1, 3]).into()]);
        let x = s.any(dtype, &[2]);
        s.case().input(items.clone()).input(x.clone()).add();
        s.case().input(items.clone()).input(x.clone()).input(Tensor::scalar(2i32)).add();
        s.case().input(items).input(x).input(Tensor::scalar(-2i64)).add();
    }
}
