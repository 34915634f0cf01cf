//! com.microsoft.ExpandDims: Unsqueeze at one axis.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("axis", "tensor(int32)")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", ALL_IR4)],
};

/// The operator ExpandDims of ONNX Runtime.
pub static EXPAND_DIMS: OpDef = OpDef {
    name: "ExpandDims",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&EXPAND_DIMS, cx),
    eval: |cx, inputs| composite::eval(&EXPAND_DIMS, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, axis, one) = (b.input(node, 0)?, b.input(node, 1)?, b.ints(&[1]));
    let axis = b.op_with("Cast", &[axis], Attrs::new().with("to", I64))?;
    let axes = b.op("Reshape", &[axis, one])?;
    Ok(vec![b.op("Unsqueeze", &[x, axes])?])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x.clone()).input(Tensor::scalar(1i32)).add();
        s.case().input(x).input(Tensor::scalar(-1i32)).add();
    }
}
