//! com.microsoft.TransposeMatMul: FusedMatMul by its former name, without batches exchanged.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::float("alpha", 1.0), AttrDef::int("transA", 0), AttrDef::int("transB", 0)],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator TransposeMatMul of ONNX Runtime.
pub static TRANSPOSE_MAT_MUL: OpDef = OpDef {
    name: "TransposeMatMul",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&TRANSPOSE_MAT_MUL, cx),
    eval: |cx, inputs| composite::eval(&TRANSPOSE_MAT_MUL, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let attrs = fused::chosen(&b.attrs(node)?, &["alpha", "transA", "transB"])?;
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?)];
    b.node(DOMAIN, "FusedMatMul", &operands, attrs, 1)
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3, 4]));
        s.case().input(a).input(b).attr("alpha", 0.5f32).add();
    }
    let (a, b) = (s.any(F32, &[2, 3, 2]), s.any(F32, &[2, 4, 3]));
    s.case().input(a).input(b).attr("transA", 1).attr("transB", 1).add();
}
