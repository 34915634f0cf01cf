//! com.microsoft.ReduceSumInteger: sums of 8-bit integers over some axes, in 32 bits.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T1")],
    outputs: &[Param::one("reduced", "T2")],
    attrs: &[AttrDef::required("axes", AttrKind::Ints), AttrDef::required("keepdims", AttrKind::Int)],
    types: &[types_of("T1", BYTES), types_of("T2", TypeSet::tensors(&[I32, U32]))],
};

/// The operator ReduceSumInteger of ONNX Runtime.
pub static REDUCE_SUM_INTEGER: OpDef = OpDef {
    name: "ReduceSumInteger",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&REDUCE_SUM_INTEGER, cx),
    eval: |cx, inputs| composite::eval(&REDUCE_SUM_INTEGER, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let x = b.input(node, 0)?;
    let to = if b.ty(x).dtype() == Some(U8) { U32 } else { I32 };
    let x = b.op_with("Cast", &[x], Attrs::new().with("to", to))?;
    let axes = b.ints(&view.ints("axes")?);
    Ok(vec![b.op_with("ReduceSum", &[x, axes], Attrs::new().with("keepdims", view.int("keepdims")?))?])
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        let x = s.any(dtype, &[2, 3, 4]);
        s.case().input(x.clone()).attr("axes", [1]).attr("keepdims", 1).add();
        s.case().input(x).attr("axes", [0, -1]).attr("keepdims", 0).add();
    }
}
