//! RandomUniformLike: numbers drawn evenly between `low` and `high`, in the shape and, unless told otherwise, the type of the input. <https://onnx.ai/onnx/operators/onnx__RandomUniformLike.html>

use super::draws::{self, Law};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[
        AttrDef::optional("dtype", AttrKind::Int),
        AttrDef::float("high", 1.0),
        AttrDef::float("low", 0.0),
        AttrDef::optional("seed", AttrKind::Float),
    ],
    types: &[types_of("T1", ALL_IR4), types_of("T2", FLOATS_BF16)],
};

/// The ONNX operator RandomUniformLike.
pub static RANDOM_UNIFORM_LIKE: OpDef = OpDef {
    name: "RandomUniformLike",
    since: 22,
    schema: SCHEMA,
    flags: Flags::RANDOM,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 1,
        schema: Schema { types: &[types_of("T1", ALL), types_of("T2", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    draws::infer_like(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let dtype = draws::dtype(&cx.attrs, Some(x.dtype()))?.unwrap_or(F32);
    draws::tensor(&cx.attrs, Law::Uniform, dtype, x.shape())
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().attr("dtype", F32).attr("seed", 3.0f32).attr("low", -1.5f32).attr("high", 2.5f32).input(x).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
}
