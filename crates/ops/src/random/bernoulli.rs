//! Bernoulli: 1 with the probability that each element holds, else 0. <https://onnx.ai/onnx/operators/onnx__Bernoulli.html>

use super::draws;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::optional("dtype", AttrKind::Int), AttrDef::optional("seed", AttrKind::Float)],
    types: &[
        types_of("T1", FLOATS_BF16),
        types_of("T2", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
    ],
};

/// The ONNX operator Bernoulli.
pub static BERNOULLI: OpDef = OpDef {
    name: "Bernoulli",
    since: 22,
    schema: SCHEMA,
    flags: Flags::RANDOM,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 15,
        schema: Schema {
            types: &[
                types_of("T1", FLOATS),
                types_of("T2", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
            ],
            ..SCHEMA
        },
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
    let mut g = draws::generator(&cx.attrs)?;
    let out = x.to_f64s()?.into_iter().map(|p| f64::from(g.uniform(0.0, 1.0) < p)).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(dtype, x.shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.floats(dtype, &[3, 4], 0.0, 1.0);
        s.case().input(x).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let x = s.floats(F32, &[3, 4], 0.0, 1.0);
        s.case().attr("dtype", dtype).attr("seed", 5.0f32).input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.floats(F32, shape, 0.0, 1.0);
        s.case().input(x).add();
    }
}
