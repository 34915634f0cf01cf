//! IsNaN: whether each element is NaN. <https://onnx.ai/onnx/operators/onnx__IsNaN.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ])),
        types_of("T2", BOOL),
    ],
};

/// The ONNX operator IsNaN.
pub static IS_NAN: OpDef = OpDef {
    name: "IsNaN",
    since: 20,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T1", FLOATS), types_of("T2", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T1", FLOATS_BF16), types_of("T2", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(Bool), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    elementwise::predicate(inputs, f64::is_nan)
}

fn samples(s: &mut Samples) {
    elementwise::unary_samples(s, SCHEMA.types[0].set, -3.0, 3.0);
}
