//! Sub: element-wise difference with broadcasting; integers wrap. <https://onnx.ai/onnx/operators/onnx__Sub.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Sub.
pub static SUB: OpDef = OpDef {
    name: "Sub",
    since: 14,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[
                    AttrDef::optional("axis", AttrKind::Int),
                    AttrDef::int("broadcast", 0),
                    AttrDef::optional("consumed_inputs", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema {
                attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::int("broadcast", 0)],
                types: &[types_of("T", WIDE)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::broadcast_from_axis),
            down: Adapt::Rewrite(legacy::broadcast_to_axis),
        },
        Past {
            since: 7,
            schema: Schema { types: &[types_of("T", WIDE)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T", WIDE_BF16)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], None)?;
    shapes::binary_value(cx, |a, b| a - b);
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::binary(inputs, |a, b| a - b, i64::wrapping_sub, u64::wrapping_sub)
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
