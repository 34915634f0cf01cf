//! SequenceConstruct: a sequence of its operands. <https://onnx.ai/onnx/operators/onnx__SequenceConstruct.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("inputs", "T", 1)],
    outputs: &[Param::one("output_sequence", "S")],
    attrs: &[],
    types: &[types_of("T", ALL), types_of("S", ALL.only_sequences())],
};

/// The ONNX operator SequenceConstruct.
pub static SEQUENCE_CONSTRUCT: OpDef = OpDef {
    name: "SequenceConstruct",
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
    let item = (0..cx.input_count()).map(|i| cx.ty(i)).reduce(|a, b| a.join(&b)).unwrap_or_default();
    cx.set(0, Type::Sequence(Box::new(item)));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let items = (0..inputs.len()).map(|i| cx.tensor(inputs, i).cloned().map(Value::from)).collect::<OpResult<_>>()?;
    Ok(vec![Value::Sequence(items)])
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let (a, b) = (s.any(dtype, &[2]), s.any(dtype, &[2, 3]));
        s.case().input(a).input(b).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
}
