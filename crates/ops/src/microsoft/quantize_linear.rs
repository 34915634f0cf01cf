//! com.microsoft.QuantizeLinear: as the operator of that name, before it knew integers of 16 and 4 bit.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T1"), Param::one("y_scale", "T1"), Param::opt("y_zero_point", "T2")],
    outputs: &[Param::one("y", "T2")],
    attrs: &[AttrDef::optional("axis", AttrKind::Int)],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F16])),
        types_of("T2", TypeSet::tensors(&[I8, U8, I16, U16, I4, U4])),
    ],
};

/// The operator QuantizeLinear of ONNX Runtime.
pub static QUANTIZE_LINEAR: OpDef = OpDef {
    name: "QuantizeLinear",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&QUANTIZE_LINEAR, cx),
    eval: |cx, inputs| composite::eval(&QUANTIZE_LINEAR, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let attrs = fused::chosen(&b.attrs(node)?, &["axis"])?;
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?), b.opt_input(node, 2)];
    b.node("", "QuantizeLinear", &operands, attrs, 1)
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[1].set.dtypes() {
        let (x, zero) = (s.any(F32, &[3, 4]), s.any(dtype, &[]));
        s.case().input(x).input(Tensor::scalar(0.3f32)).input(zero).add();
        let (x, scale, zero) = (s.any(F32, &[2, 3, 2]), s.floats(F32, &[3], 0.1, 0.5), s.any(dtype, &[3]));
        s.case().input(x).input(scale).input(zero).attr("axis", 1).add();
    }
    let (x, scale, zero) = (s.any(F16, &[5]), s.floats(F16, &[], 0.1, 0.5), s.any(I8, &[]));
    s.case().input(x.clone()).input(scale.clone()).input(zero).add();
    s.case().input(x).input(scale).add();
}
