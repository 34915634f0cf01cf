//! com.microsoft.GemmFastGelu: a product of matrices, a bias, and FastGelu of both.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("W", "T"), Param::opt("bias", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator GemmFastGelu of ONNX Runtime.
pub static GEMM_FAST_GELU: OpDef = OpDef {
    name: "GemmFastGelu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&GEMM_FAST_GELU, cx),
    eval: |cx, inputs| composite::eval_wide(&GEMM_FAST_GELU, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, w) = (b.input(node, 0)?, b.input(node, 1)?);
    let mut y = b.op("MatMul", &[x, w])?;
    if let Some(bias) = b.opt_input(node, 2) {
        y = b.op("Add", &[y, bias])?;
    }
    Ok(vec![b.op_with("Gelu", &[y], Attrs::new().with("approximate", "tanh"))?])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (x, w, bias) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4, 5]), s.any(dtype, &[5]));
        s.case().input(x.clone()).input(w.clone()).input(bias).add();
        s.case().input(x).input(w).add();
    }
}
