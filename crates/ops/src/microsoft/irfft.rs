//! com.microsoft.Irfft: real signals from their one-sided Fourier transforms.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, rfft};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::int("normalized", 0),
        AttrDef::int("onesided", 1),
        AttrDef::required("signal_ndim", AttrKind::Int),
    ],
    types: &[types_of("T", FLOATS)],
};

/// The operator Irfft of ONNX Runtime.
pub static IRFFT: OpDef = OpDef {
    name: "Irfft",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&IRFFT, cx),
    eval: |cx, inputs| composite::eval_wide(&IRFFT, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    rfft::checked(&b.attrs(node)?)?;
    let x = b.input(node, 0)?;
    let shape = b.ty(x).shape().ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?.to_vec();
    let known = shape.iter().rev().nth(1).and_then(Dim::known).filter(|&n| n > 1);
    let bins = known.ok_or_else(|| OpError::unsupported("an unknown number of frequencies, or less than two"))?;
    let (axis, last) = (b.constant(Tensor::scalar(-2i64)), b.ints(&[-1]));
    // The rest of the spectrum mirrors what is there, conjugated.
    let places = b.ints(&(1..bins - 1).rev().collect::<Vec<_>>());
    let rest = b.op_with("Gather", &[x, places], Attrs::new().with("axis", -2))?;
    let dtype = b.ty(x).dtype().ok_or_else(|| OpError::unsupported("an operand of unknown type"))?;
    let signs = b.constant(Tensor::from_f64s(dtype, &[2], &[1.0, -1.0])?);
    let rest = b.op("Mul", &[rest, signs])?;
    let whole = b.op_with("Concat", &[x, rest], Attrs::new().with("axis", -2))?;
    let y = b.node("", "DFT", &[Some(whole), None, Some(axis)], Attrs::new().with("inverse", 1), 1)?[0];
    let zero = b.ints(&[0]);
    let real = b.op_with("Gather", &[y, zero], Attrs::new().with("axis", -1))?;
    Ok(vec![b.op("Squeeze", &[real, last])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        for shape in [&[5usize, 2] as &[usize], &[2, 4, 2], &[1, 3, 9, 2]] {
            let x = s.any(dtype, shape);
            s.case().input(x).attr("signal_ndim", 1).add();
        }
    }
}
