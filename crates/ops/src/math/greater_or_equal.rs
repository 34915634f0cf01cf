//! GreaterOrEqual: whether A is not smaller than B, with broadcasting; false for NaN. <https://onnx.ai/onnx/operators/onnx__GreaterOrEqual.html>

use crate::prelude::*;
use std::cmp::Ordering;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T1")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16), types_of("T1", BOOL)],
};

/// The ONNX operator GreaterOrEqual.
pub static GREATER_OR_EQUAL: OpDef = OpDef {
    name: "GreaterOrEqual",
    since: 16,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 12,
        schema: Schema { types: &[types_of("T", NUMERIC), types_of("T1", BOOL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], Some(Bool))?;
    shapes::compared_value(cx, Ordering::is_ge);
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::compare(inputs, Ordering::is_ge)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let operands = [b.input(node, 0)?, b.input(node, 1)?];
    let strict = b.op("Greater", &operands)?;
    let equal = b.op("Equal", &operands)?;
    Ok(vec![b.op("Or", &[strict, equal])?])
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
