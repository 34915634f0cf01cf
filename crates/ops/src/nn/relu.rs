//! Relu: `max(x, 0)`; NaN stays NaN. <https://onnx.ai/onnx/operators/onnx__Relu.html>

use crate::prelude::*;

const SIGNED: TypeSet = TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64]);

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", SIGNED)],
};

/// The ONNX operator Relu.
pub static RELU: OpDef = OpDef {
    name: "Relu",
    since: 14,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
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
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T", FLOATS_BF16)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::unary_numeric(inputs, |x| if x < 0.0 { 0.0 } else { x }, |x| x.max(0))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let zero = b.scalar_like(x, 0.0)?;
    Ok(vec![b.op("Max", &[x, zero])?])
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SIGNED, -3.0, 3.0);
}
