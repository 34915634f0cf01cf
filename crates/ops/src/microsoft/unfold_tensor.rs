//! com.microsoft.UnfoldTensor: the slices of a dimension, each of `size` elements, side by side in a new last
//! dimension.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("dim", -1), AttrDef::required("size", AttrKind::Int), AttrDef::int("step", 1)],
    types: &[types_of("T", ALL_IR4)],
};

/// The operator UnfoldTensor of ONNX Runtime.
pub static UNFOLD_TENSOR: OpDef = OpDef {
    name: "UnfoldTensor",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&UNFOLD_TENSOR, cx),
    eval: |cx, inputs| composite::eval(&UNFOLD_TENSOR, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let x = b.input(node, 0)?;
    let shape = b.ty(x).shape().ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?.to_vec();
    let axis = shapes::axis(view.int("dim")?, shape.len())?;
    let (size, step) = (view.int("size")?, view.int("step")?);
    let length = shape[axis].known().ok_or_else(|| OpError::unsupported("a dimension of unknown size"))?;
    if size < 1 || step < 1 || size > length {
        return Err(OpError::invalid(format!("slices of {size} at steps of {step} in a dimension of {length}")));
    }
    let count = (length - size) / step + 1;
    moves::sizes(&[count, size])?;
    let places = (0..count).flat_map(|i| (0..size).map(move |j| i * step + j)).collect::<Vec<_>>();
    let places = b.constant(Tensor::new(&[count as usize, size as usize], places)?);
    let slices = b.op_with("Gather", &[x, places], Attrs::new().with("axis", axis as i64))?;
    let last = shape.len() as i64;
    let perm = (0..=last).filter(|&d| d != axis as i64 + 1).chain([axis as i64 + 1]).collect::<Vec<_>>();
    Ok(vec![b.op_with("Transpose", &[slices], Attrs::new().with("perm", perm))?])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[2, 5, 3]);
        s.case().input(x.clone()).attr("size", 2).add();
        s.case().input(x).attr("size", 3).attr("dim", 1).attr("step", 2).add();
    }
}
