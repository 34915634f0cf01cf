//! MeanVarianceNormalization: `(x - mean) / (deviation + 1e-9)` over `axes`. <https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::ints("axes", &[0, 2, 3])],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator MeanVarianceNormalization.
pub static MEAN_VARIANCE_NORMALIZATION: OpDef = OpDef {
    name: "MeanVarianceNormalization",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[Past {
        since: 9,
        schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let Some(rank) = cx.rank(0) {
        shapes::axes(&cx.attrs.ints("axes")?, rank)?;
    }
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axes = shapes::axes(&cx.attrs.ints("axes")?, x.rank())?;
    let kept = (0..x.rank()).map(|i| if axes.contains(&i) { 1 } else { x.shape()[i] }).collect::<Vec<_>>();
    let at = index::Offsets::unsigned(x.shape(), &index::broadcast_strides(&kept, x.shape())?).collect::<Vec<_>>();
    let mut data = x.to_f64s()?;
    let groups = kept.iter().product::<usize>();
    let count = axes.iter().map(|&i| x.shape()[i]).product::<usize>() as f64;
    let mut mean = vec![0.0; groups];
    data.iter().zip(&at).for_each(|(v, &i)| mean[i] += v / count);
    let mut variance = vec![0.0; groups];
    data.iter().zip(&at).for_each(|(v, &i)| variance[i] += (v - mean[i]) * (v - mean[i]) / count);
    data.iter_mut().zip(&at).for_each(|(v, &i)| *v = (*v - mean[i]) / (variance[i].sqrt() + 1e-9));
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &data)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let x = b.input(node, 0)?;
    let axes = b.attrs(node)?.ints("axes")?;
    let (axes, epsilon) = (b.ints(&axes), b.scalar_like(x, 1e-9)?);
    let mean = b.op("ReduceMean", &[x, axes])?;
    let centred = b.op("Sub", &[x, mean])?;
    let square = b.op("Mul", &[centred, centred])?;
    let variance = b.op("ReduceMean", &[square, axes])?;
    let root = b.op("Sqrt", &[variance])?;
    let safe = b.op("Add", &[root, epsilon])?;
    Ok(vec![b.op("Div", &[centred, safe])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let x = s.any(dtype, &[2, 3, 2, 4]);
        s.case().input(x).add();
    }
    for (shape, axes) in [(&[5][..], vec![0]), (&[3, 4], vec![-1]), (&[2, 3, 4], vec![0, 2]), (&[2, 0, 3], vec![2])] {
        let x = s.any(F32, shape);
        s.case().input(x).attr("axes", axes).add();
    }
}
