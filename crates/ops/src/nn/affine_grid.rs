//! AffineGrid: the positions of an image under an affine map, for GridSample. <https://onnx.ai/onnx/operators/onnx__AffineGrid.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("theta", "T1"), Param::one("size", "T2")],
    outputs: &[Param::one("grid", "T1")],
    attrs: &[AttrDef::int("align_corners", 0)],
    types: &[types_of("T1", FLOATS_BF16), types_of("T2", I64_ONLY)],
};

/// The ONNX operator AffineGrid.
pub static AFFINE_GRID: OpDef = OpDef {
    name: "AffineGrid",
    since: 20,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let count = cx.value(1).map(|v| v.dims.clone());
    let shape = match count.as_deref() {
        Some([n, _, space @ ..]) if space.len() == 2 || space.len() == 3 => {
            Some([std::slice::from_ref(n), space, &[Dim::from(space.len())]].concat())
        }
        Some(size) => return Err(OpError::invalid(format!("size has {} elements, 4 or 5 are wanted", size.len()))),
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let theta = cx.tensor(inputs, 0)?;
    let size = cx.tensor(inputs, 1)?.to_i64s()?;
    let size = size.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
    let Some([n, _, space @ ..]) = size.as_deref() else {
        return Err(OpError::invalid("size must hold batch, channels and spatial dimensions"));
    };
    let axes = space.len();
    if !(axes == 2 || axes == 3) || theta.shape() != [*n, axes, axes + 1] {
        return Err(OpError::invalid(format!("theta of shape {:?} for {axes} spatial axes", theta.shape())));
    }
    let align = cx.attrs.flag("align_corners")?;
    let at = |i: usize, len: usize| match (align, len) {
        (true, 1) => 0.0,
        (true, _) => -1.0 + 2.0 * i as f64 / (len as f64 - 1.0),
        (false, _) => (2.0 * i as f64 + 1.0) / len as f64 - 1.0,
    };
    let shape = [&[*n], space, &[axes]].concat();
    let count = Tensor::zeros(theta.dtype(), &shape)?.len() / axes;
    let theta64 = theta.to_f64s()?;
    let mut out = Vec::with_capacity(count * axes);
    let places = space.iter().product::<usize>();
    for i in 0..count {
        // Coordinates come innermost axis first.
        let place = index::unravel(i % places, space);
        let point = place.iter().zip(space).rev().map(|(&p, &len)| at(p, len)).chain([1.0]).collect::<Vec<_>>();
        for row in theta64[i / places * axes * (axes + 1)..][..axes * (axes + 1)].chunks_exact(axes + 1) {
            out.push(row.iter().zip(&point).map(|(a, b)| a * b).sum::<f64>());
        }
    }
    Ok(vec![Tensor::from_f64s(theta.dtype(), &shape, &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let theta = s.any(dtype, &[2, 2, 3]);
        s.case().input(theta).input(Tensor::vector(&[2i64, 1, 3, 4])).add();
    }
    for align in [0, 1] {
        let theta = s.any(F32, &[1, 3, 4]);
        let case = s.case().input(theta).input(Tensor::vector(&[1i64, 2, 3, 1, 2]));
        case.attr("align_corners", align).add();
    }
}
