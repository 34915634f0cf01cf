//! Equal: whether elements are equal, with broadcasting; NaN equals nothing. <https://onnx.ai/onnx/operators/onnx__Equal.html>

use crate::prelude::*;
use std::cmp::Ordering;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T1")],
    attrs: &[],
    types: &[
        types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String])),
        types_of("T1", BOOL),
    ],
};

/// The ONNX operator Equal.
pub static EQUAL: OpDef = OpDef {
    name: "Equal",
    since: 19,
    schema: SCHEMA,
    flags: Flags::COMMUTATIVE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::int("broadcast", 0)],
                types: &[types_of("T", TypeSet::tensors(&[I32, I64, Bool])), types_of("T1", BOOL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::broadcast_from_axis),
            down: Adapt::Rewrite(legacy::broadcast_to_axis),
        },
        Past {
            since: 7,
            schema: Schema {
                types: &[types_of("T", TypeSet::tensors(&[I32, I64, Bool])), types_of("T1", BOOL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema {
                types: &[
                    types_of("T", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                    types_of("T1", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                types: &[
                    types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
                    types_of("T1", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::broadcast(cx, &[0, 1], Some(Bool))?;
    shapes::compared_value(cx, Ordering::is_eq);
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::compare(inputs, Ordering::is_eq)
}

fn samples(s: &mut Samples) {
    elementwise::binary_samples(s, SCHEMA.types[0].set);
}
