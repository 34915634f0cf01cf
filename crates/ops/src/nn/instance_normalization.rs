//! InstanceNormalization: normalisation of each channel of each image over its spatial axes, then scale and bias per channel. <https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html>

use super::normalization::{build, channel_wise, channels, known_rank, moments, per_channel};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("scale", "T"), Param::one("B", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::float("epsilon", 1e-05)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator InstanceNormalization.
pub static INSTANCE_NORMALIZATION: OpDef = OpDef {
    name: "InstanceNormalization",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::optional("consumed_inputs", AttrKind::Ints), AttrDef::float("epsilon", 1e-05)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (n, c, plane) = channels(x)?;
    let read = |i: usize, name: &str| per_channel(cx.tensor(inputs, i)?, c, name);
    let (scale, bias) = (read(1, "scale")?, read(2, "B")?);
    let epsilon = f64::from(cx.attrs.float("epsilon")?);
    let mut data = x.to_f64s()?;
    for i in 0..n * c {
        let row = &mut data[i * plane..][..plane];
        let (mean, inverse) = moments(row, epsilon, |x| x);
        row.iter_mut().for_each(|v| *v = (*v - mean) * inverse * scale[i % c] + bias[i % c]);
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &data)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, scale, bias) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let rank = known_rank(b, x)?;
    let epsilon = b.attrs(node)?.float("epsilon")?;
    let [out, ..] = build(b, x, &(2..rank as i64).collect::<Vec<_>>(), epsilon)?;
    let (scale, bias) = (channel_wise(b, scale, rank)?, channel_wise(b, bias, rank)?);
    let out = b.op("Mul", &[out, scale])?;
    Ok(vec![b.op("Add", &[out, bias])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, scale, bias) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[3]), s.any(dtype, &[3]));
        s.case().input(x).input(scale).input(bias).add();
    }
    for shape in [&[2, 3, 2, 2][..], &[1, 3, 2, 1, 2], &[0, 3, 2]] {
        let (x, scale, bias) = (s.any(F32, shape), s.any(F32, &[3]), s.any(F32, &[3]));
        s.case().input(x).input(scale).input(bias).attr("epsilon", 0.1).add();
    }
}
