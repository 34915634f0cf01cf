//! Or: logical disjunction with broadcasting. <https://onnx.ai/onnx/operators/onnx__Or.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T1")],
    attrs: &[],
    types: &[types_of("T", BOOL), types_of("T1", BOOL)],
};

/// The ONNX operator Or.
pub static OR: OpDef = OpDef {
    name: "Or",
    since: 7,
    schema: SCHEMA,
    flags: Flags::COMMUTATIVE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 1,
        schema: Schema { attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::int("broadcast", 0)], ..SCHEMA },
        up: Adapt::Rewrite(legacy::broadcast_from_axis),
        down: Adapt::Rewrite(legacy::broadcast_to_axis),
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], Some(Bool))
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::logical(inputs, |a, b| a | b)
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, BOOL);
}
