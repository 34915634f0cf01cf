//! com.microsoft.ComplexMulConj: products of complex numbers and the conjugates of others.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{complex_mul, composite};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS)],
};

/// The operator ComplexMulConj of ONNX Runtime.
pub static COMPLEX_MUL_CONJ: OpDef = OpDef {
    name: "ComplexMulConj",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&COMPLEX_MUL_CONJ, cx),
    eval: |cx, inputs| composite::eval_wide(&COMPLEX_MUL_CONJ, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    complex_mul::product(b, node, true)
}

fn samples(s: &mut Samples) {
    complex_mul::samples(s);
}
