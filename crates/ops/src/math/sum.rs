//! Sum: sum of any number of operands, with broadcasting, rounded once. <https://onnx.ai/onnx/operators/onnx__Sum.html>

use super::extremes;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("data_0", "T", 1)],
    outputs: &[Param::one("sum", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Sum.
pub static SUM: OpDef = OpDef {
    name: "Sum",
    since: 13,
    schema: SCHEMA,
    flags: Flags::COMMUTATIVE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::optional("consumed_inputs", AttrKind::Ints)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(legacy::equal_shapes_only),
        },
        Past {
            since: 8,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    extremes::infer(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    extremes::floats(inputs, |a, b| a + b, |x, _| x)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    Ok(vec![extremes::pairwise(b, node, "Add")?])
}

fn samples(s: &mut Samples) {
    extremes::samples(s, SCHEMA.types[0].set);
}
