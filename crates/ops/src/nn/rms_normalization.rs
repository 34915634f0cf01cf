//! RMSNormalization: division by the root of the mean square over the axes from `axis` to the last, then scale. <https://onnx.ai/onnx/operators/onnx__RMSNormalization.html>

use super::normalization::{known_rank, rounder, scaled, stash_type};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("scale", "V")],
    outputs: &[Param::one("Y", "V")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::float("epsilon", 1e-05), AttrDef::int("stash_type", 1)],
    types: &[types_of("T", FLOATS_BF16), types_of("V", FLOATS_BF16)],
};

/// The ONNX operator RMSNormalization.
pub static RMS_NORMALIZATION: OpDef = OpDef {
    name: "RMSNormalization",
    since: 23,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    stash_type(&cx.attrs)?;
    if let Some(rank) = cx.rank(0) {
        shapes::axis(cx.attrs.int("axis")?, rank)?;
    }
    cx.set_tensor(0, cx.dtype(1), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, scale) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let (round, last) = (rounder(stash_type(&cx.attrs)?), rounder(scale.dtype()));
    let epsilon = f64::from(cx.attrs.float("epsilon")?);
    let mut data = x.to_f64s()?;
    data.iter_mut().for_each(|v| *v = round(*v));
    let len = x.shape()[axis..].iter().product::<usize>();
    for i in 0..x.shape()[..axis].iter().product::<usize>() {
        let row = &mut data[i * len..][..len];
        let square = round(row.iter().map(|v| v * v).sum::<f64>() / len as f64);
        let root = round((square + epsilon).sqrt());
        row.iter_mut().for_each(|v| *v = last(round(*v / root)));
    }
    let out = scaled(data, x.shape(), last, scale, None)?;
    Ok(vec![Tensor::from_f64s(scale.dtype(), x.shape(), &out)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let (x, scale) = (b.input(node, 0)?, b.input(node, 1)?);
    let axis = attrs.int("axis")?;
    let axes = match axis < 0 {
        true => (axis..0).collect::<Vec<_>>(),
        false => (axis..known_rank(b, x)? as i64).collect(),
    };
    let unknown = || OpError::unsupported("an input of unknown type");
    let (dtype, to) = (b.ty(x).dtype().ok_or_else(unknown)?, b.ty(scale).dtype().ok_or_else(unknown)?);
    let stash = stash_type(&attrs)?;
    let wide = if dtype == stash { x } else { b.op_with("Cast", &[x], Attrs::new().with("to", stash))? };
    let (axes, epsilon) = (b.ints(&axes), b.scalar_like(wide, attrs.float("epsilon")?.into())?);
    let square = b.op("Mul", &[wide, wide])?;
    let mean = b.op("ReduceMean", &[square, axes])?;
    let safe = b.op("Add", &[mean, epsilon])?;
    let root = b.op("Sqrt", &[safe])?;
    let mut out = b.op("Div", &[wide, root])?;
    if to != stash {
        out = b.op_with("Cast", &[out], Attrs::new().with("to", to))?;
    }
    Ok(vec![b.op("Mul", &[out, scale])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, scale) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4]));
        s.case().input(x.clone()).input(scale).add();
        let scale = s.any(F32, &[4]);
        s.case().input(x).input(scale).add();
    }
    for (shape, axis) in [(&[5][..], 0i64), (&[3, 4], 1), (&[2, 3, 4], -2), (&[2, 1, 3, 2], 1), (&[2, 0, 3], -1)] {
        let from = if axis < 0 { shape.len() - axis.unsigned_abs() as usize } else { axis as usize };
        let (x, scale) = (s.any(F32, shape), s.any(F32, &shape[from..]));
        s.case().input(x).input(scale).attr("axis", axis).attr("epsilon", 0.01).add();
    }
    let (x, scale) = (s.any(F16, &[2, 4]), s.any(F16, &[1]));
    s.case().input(x).input(scale).attr("stash_type", 16).add();
}
