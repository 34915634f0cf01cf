//! Div: element-wise quotient with broadcasting; that of integers is truncated towards zero. <https://onnx.ai/onnx/operators/onnx__Div.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", NUMERIC_BF16)],
};

/// The ONNX operator Div.
pub static DIV: OpDef = OpDef {
    name: "Div",
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
    shapes::binary_value(cx, quotient);
    Ok(())
}

/// Truncating division of shape elements: rounding down is the same where neither side is negative.
fn quotient(a: Dim, b: Dim) -> Dim {
    match (&a, &b) {
        (Dim::Known(a), Dim::Known(b)) => a.checked_div(*b).map_or(Dim::Unknown, Dim::Known),
        _ if shapes::non_negative(&a) && shapes::positive(&b) => a.floor_div(&b),
        _ => Dim::Unknown,
    }
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::refuse_zero_divisor(inputs)?;
    elementwise::binary(inputs, |a, b| a / b, i64::wrapping_div, |a, b| a / b)
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
