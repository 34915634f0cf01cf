//! SequenceEmpty: a sequence of no tensors, of element type `dtype` (`f32` by default).
//!
//! <https://onnx.ai/onnx/operators/onnx__SequenceEmpty.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[],
    outputs: &[Param::one("output", "S")],
    attrs: &[AttrDef::optional("dtype", AttrKind::Int)],
    types: &[types_of("S", ALL.only_sequences())],
};

/// The ONNX operator SequenceEmpty.
pub static SEQUENCE_EMPTY: OpDef = OpDef {
    name: "SequenceEmpty",
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
    let dtype = cx.attrs.opt_dtype("dtype")?.unwrap_or(F32);
    cx.set(0, Type::Sequence(Box::new(Type::of(dtype))));
    Ok(())
}

fn eval(_: &EvalCx, _: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    Ok(vec![Value::Sequence(vec![])])
}

fn samples(s: &mut Samples) {
    s.case().add();
    for dtype in ALL.dtypes() {
        let x = s.any(dtype, &[2]);
        let code = modelsmith_ir::code_of_dtype(dtype);
        let text = format!(
            "graph(%x: {dtype}[2]) {{
               %s = SequenceEmpty() {{dtype = {code}}} %y = SequenceInsert(%s, %x) return %y
             }}"
        );
        s.case().input(x).model(&text).add();
    }
}
