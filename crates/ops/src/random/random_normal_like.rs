//! RandomNormalLike: numbers drawn from the bell curve of `mean` and `scale`, in the shape and, unless told otherwise, the type of the input. <https://onnx.ai/onnx/operators/onnx__RandomNormalLike.html>

use super::draws::{self, Law};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[
        AttrDef::optional("dtype", AttrKind::Int),
        AttrDef::float("mean", 0.0),
        AttrDef::float("scale", 1.0),
        AttrDef::optional("seed", AttrKind::Float),
    ],
    types: &[types_of("T1", ALL_IR4), types_of("T2", FLOATS_BF16)],
};

/// The ONNX operator RandomNormalLike.
pub static RANDOM_NORMAL_LIKE: OpDef = OpDef {
    name: "RandomNormalLike",
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
    draws::tensor(&cx.attrs, Law::Normal, dtype, x.shape())
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().attr("dtype", F32).attr("seed", 3.0f32).attr("mean", 1.5f32).attr("scale", 0.5f32).input(x).add();
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
