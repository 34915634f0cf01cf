//! GlobalLpPool: p-norm over all spatial axes, which stay as ones. <https://onnx.ai/onnx/operators/onnx__GlobalLpPool.html>

use super::pooling;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::int("p", 2)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator GlobalLpPool.
pub static GLOBAL_LP_POOL: OpDef = OpDef {
    name: "GlobalLpPool",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { attrs: &[AttrDef::float("p", 2.0)], types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Rewrite(pooling::whole_p),
            down: Adapt::Rewrite(pooling::float_p),
        },
        Past {
            since: 2,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    pooling::infer_global(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let p = cx.attrs.int("p")? as f64;
    pooling::global(cx.tensor(inputs, 0)?, |channel| pooling::norm(channel, p))
}

fn samples(s: &mut Samples) {
    pooling::global_samples(s, FLOATS_BF16);
    let x = s.any(F32, &[2, 3, 4]);
    s.case().attr("p", 3).input(x).add();
}
