//! Hardmax: 1 at the first largest element along `axis`, 0 elsewhere. <https://onnx.ai/onnx/operators/onnx__Hardmax.html>

use super::lanes;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", -1)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Hardmax.
pub static HARDMAX: OpDef = OpDef {
    name: "Hardmax",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { attrs: &[AttrDef::int("axis", 1)], types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { attrs: &[AttrDef::int("axis", 1)], types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Rewrite(lanes::from_flattened),
            down: Adapt::Rewrite(lanes::to_flattened),
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    lanes::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    lanes::map(cx, inputs, |x| {
        let mut best = 0;
        for i in 1..x.len() {
            if x[i] > x[best] {
                best = i;
            }
        }
        x.iter_mut().enumerate().for_each(|(i, v)| *v = f64::from(u8::from(i == best)));
    })
}

fn samples(s: &mut Samples) {
    lanes::samples(s, FLOATS_BF16);
}
