//! LRN: division by a power of the sum of squares over neighbouring channels. <https://onnx.ai/onnx/operators/onnx__LRN.html>

use super::normalization::channels;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::float("alpha", 1e-04),
        AttrDef::float("beta", 0.75),
        AttrDef::float("bias", 1.0),
        AttrDef::required("size", AttrKind::Int),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator LRN.
pub static LRN: OpDef = OpDef {
    name: "LRN",
    since: 13,
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
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (n, c, plane) = channels(x)?;
    let size = cx.attrs.int("size")?;
    let size = usize::try_from(size).ok().filter(|&s| s > 0);
    let size = size.ok_or_else(|| OpError::invalid("size must be at least 1"))?;
    let read = |name: &str| Ok::<_, OpError>(f64::from(cx.attrs.float(name)?));
    let (alpha, beta, bias) = (read("alpha")?, read("beta")?, read("bias")?);
    let data = x.to_f64s()?;
    let mut out = data.clone();
    for i in 0..n * c {
        let (image, k) = (i / c * c, i % c);
        let near = k.saturating_sub((size - 1) / 2)..c.min((k + size / 2).saturating_add(1));
        for p in 0..plane {
            let sum = near.clone().map(|k| data[(image + k) * plane + p].powi(2)).sum::<f64>();
            out[i * plane + p] /= (bias + alpha / size as f64 * sum).powf(beta);
        }
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let x = s.any(dtype, &[2, 5, 2, 2]);
        s.case().input(x).attr("size", 3).add();
    }
    for (shape, size) in [(&[2, 4, 3][..], 2), (&[1, 3, 2, 1, 2], 7), (&[2, 3], 1), (&[0, 3, 2], 3)] {
        let x = s.any(F32, shape);
        let case = s.case().input(x).attr("size", size).attr("alpha", 0.5);
        case.attr("beta", 0.5).attr("bias", 2.0).add();
    }
}
