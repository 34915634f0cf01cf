//! RandomUniform: numbers drawn evenly between `low` and `high`, in a given shape. <https://onnx.ai/onnx/operators/onnx__RandomUniform.html>

use super::draws::{self, Law};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[],
    outputs: &[Param::one("output", "T")],
    attrs: &[
        AttrDef::int("dtype", 1),
        AttrDef::float("high", 1.0),
        AttrDef::float("low", 0.0),
        AttrDef::optional("seed", AttrKind::Float),
        AttrDef::required("shape", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator RandomUniform.
pub static RANDOM_UNIFORM: OpDef = OpDef {
    name: "RandomUniform",
    since: 22,
    schema: SCHEMA,
    flags: Flags::RANDOM,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 1,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    draws::infer_given(cx)
}

fn eval(cx: &EvalCx, _: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let dtype = draws::dtype(&cx.attrs, None)?.unwrap_or(F32);
    draws::tensor(&cx.attrs, Law::Uniform, dtype, &draws::shape(&cx.attrs)?)
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        s.case()
            .attr("shape", [2, 3])
            .attr("dtype", dtype)
            .attr("seed", 3.0f32)
            .attr("low", -1.5f32)
            .attr("high", 2.5f32)
            .add();
    }
    for shape in Samples::shapes() {
        let shape = shape.iter().map(|&n| n as i64).collect::<Vec<_>>();
        s.case().attr("shape", shape).add();
    }
}
