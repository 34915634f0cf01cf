//! Mean: mean of any number of operands, with broadcasting, rounded once. <https://onnx.ai/onnx/operators/onnx__Mean.html>

use super::extremes;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("data_0", "T", 1)],
    outputs: &[Param::one("mean", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Mean.
pub static MEAN: OpDef = OpDef {
    name: "Mean",
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
    extremes::floats(inputs, |a, b| a + b, |x, n| x / n)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let sum = extremes::pairwise(b, node, "Add")?;
    let n = b.model.nodes[node].inputs.len();
    let n = b.scalar_like(sum, n as f64)?;
    Ok(vec![b.op("Div", &[sum, n])?])
}

fn samples(s: &mut Samples) {
    extremes::samples(s, SCHEMA.types[0].set);
}
