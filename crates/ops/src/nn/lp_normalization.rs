//! LpNormalization: division by the 1-norm or 2-norm along `axis`; a lane of zeros stays zero. <https://onnx.ai/onnx/operators/onnx__LpNormalization.html>

use super::lanes;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::int("p", 2)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator LpNormalization.
pub static LP_NORMALIZATION: OpDef = OpDef {
    name: "LpNormalization",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
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
    lanes::infer(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let p = cx.attrs.int("p")?;
    if p != 1 && p != 2 {
        return Err(OpError::invalid(format!("p is {p}, 1 and 2 are allowed")));
    }
    lanes::map(cx, inputs, |x| {
        let norm = match p {
            1 => x.iter().map(|v| v.abs()).sum::<f64>(),
            _ => x.iter().map(|v| v * v).sum::<f64>().sqrt(),
        };
        if norm != 0.0 {
            x.iter_mut().for_each(|v| *v /= norm);
        }
    })
}

fn samples(s: &mut Samples) {
    lanes::samples(s, FLOATS_BF16);
    let x = s.any(F32, &[3, 4]);
    s.case().input(x).attr("p", 1).attr("axis", 0).add();
    s.case().input(Tensor::vector(&[0f32, 0.0])).add();
}
