//! Neg: minus each element; the smallest signed integer stays itself. <https://onnx.ai/onnx/operators/onnx__Neg.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64]))],
};

/// The ONNX operator Neg.
pub static NEG: OpDef = OpDef {
    name: "Neg",
    since: 13,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
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
            schema: Schema { types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64]))], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)?;
    shapes::unary_value(cx, |a| Dim::Known(0) - a);
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::unary_numeric(inputs, |x| -x, i64::wrapping_neg)
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
}
