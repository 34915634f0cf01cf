//! LayerNormalization: normalisation over the axes from `axis` to the last, then scale and bias. <https://onnx.ai/onnx/operators/onnx__LayerNormalization.html>

use super::normalization::{build, known_rank, moments, rounder, scaled, stash_type};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("Scale", "T"), Param::opt("B", "T")],
    outputs: &[Param::one("Y", "T"), Param::opt("Mean", "U"), Param::opt("InvStdDev", "U")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::float("epsilon", 1e-05), AttrDef::int("stash_type", 1)],
    types: &[types_of("T", FLOATS_BF16), types_of("U", TypeSet::tensors(&[F32, BF16]))],
};

/// The ONNX operator LayerNormalization.
pub static LAYER_NORMALIZATION: OpDef = OpDef {
    name: "LayerNormalization",
    since: 17,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set(0, cx.ty(0));
    let stash = stash_type(&cx.attrs)?;
    let shape = match cx.shape(0) {
        Some(shape) => {
            let axis = shapes::axis(cx.attrs.int("axis")?, shape.len())?;
            Some(shape.iter().enumerate().map(|(i, d)| if i < axis { d.clone() } else { Dim::Known(1) }).collect())
        }
        None => None,
    };
    for output in [1, 2] {
        cx.set_tensor(output, Some(stash), Option::<Vec<Dim>>::clone(&shape));
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let stash = stash_type(&cx.attrs)?;
    let (round, last) = (rounder(stash), rounder(x.dtype()));
    let epsilon = f64::from(cx.attrs.float("epsilon")?);
    let mut data = x.to_f64s()?;
    data.iter_mut().for_each(|v| *v = round(*v));
    let (mut means, mut inverses) = (Vec::new(), Vec::new());
    let len = x.shape()[axis..].iter().product::<usize>();
    for i in 0..x.shape()[..axis].iter().product::<usize>() {
        let row = &mut data[i * len..][..len];
        let (mean, inverse) = moments(row, epsilon, round);
        row.iter_mut().for_each(|v| *v = last(round(round(*v - mean) * inverse)));
        means.push(mean);
        inverses.push(inverse);
    }
    let out = scaled(data, x.shape(), last, cx.tensor(inputs, 1)?, cx.opt_tensor(inputs, 2)?)?;
    let kept = x.shape().iter().enumerate().map(|(i, &d)| if i < axis { d } else { 1 }).collect::<Vec<_>>();
    Ok(vec![
        Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into(),
        Tensor::from_f64s(stash, &kept, &means)?.into(),
        Tensor::from_f64s(stash, &kept, &inverses)?.into(),
    ])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let (x, scale, bias) = (b.input(node, 0)?, b.input(node, 1)?, b.opt_input(node, 2));
    let axis = attrs.int("axis")?;
    let axes = match axis < 0 {
        true => (axis..0).collect::<Vec<_>>(),
        false => (axis..known_rank(b, x)? as i64).collect(),
    };
    let dtype = b.ty(x).dtype().ok_or_else(|| OpError::unsupported("an input of unknown type"))?;
    let stash = stash_type(&attrs)?;
    let wide = if dtype == stash { x } else { b.op_with("Cast", &[x], Attrs::new().with("to", stash))? };
    let [mut out, mean, inverse] = build(b, wide, &axes, attrs.float("epsilon")?)?;
    if dtype != stash {
        out = b.op_with("Cast", &[out], Attrs::new().with("to", dtype))?;
    }
    out = b.op("Mul", &[out, scale])?;
    if let Some(bias) = bias {
        out = b.op("Add", &[out, bias])?;
    }
    Ok(vec![out, mean, inverse])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, scale, bias) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4]), s.any(dtype, &[4]));
        s.case().input(x).input(scale).input(bias).add();
    }
    for (shape, axis) in [(&[5][..], 0i64), (&[3, 4], 1), (&[2, 3, 4], -2), (&[2, 1, 3, 2], 1), (&[2, 0, 3], -1)] {
        let from = if axis < 0 { shape.len() - axis.unsigned_abs() as usize } else { axis as usize };
        let (x, scale) = (s.any(F32, shape), s.any(F32, &shape[from..]));
        let case = s.case().input(x).input(scale).attr("axis", axis).attr("epsilon", 0.01);
        case.outputs(3).add();
    }
    let (x, scale, bias) = (s.any(F16, &[2, 4]), s.any(F16, &[1]), s.any(F16, &[4]));
    s.case().input(x).input(scale).input(bias).attr("stash_type", 16).outputs(3).add();
}
