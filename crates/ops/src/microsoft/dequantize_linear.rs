//! com.microsoft.DequantizeLinear: as the operator of that name, before it knew integers of 16 and 4 bit.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T1"), Param::one("x_scale", "T2"), Param::opt("x_zero_point", "T1")],
    outputs: &[Param::one("y", "T2")],
    attrs: &[AttrDef::optional("axis", AttrKind::Int)],
    types: &[
        types_of("T1", TypeSet::tensors(&[I8, U8, I16, U16, I32, I4, U4])),
        types_of("T2", TypeSet::tensors(&[F32, F16])),
    ],
};

/// The operator DequantizeLinear of ONNX Runtime.
pub static DEQUANTIZE_LINEAR: OpDef = OpDef {
    name: "DequantizeLinear",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&DEQUANTIZE_LINEAR, cx),
    eval: |cx, inputs| composite::eval(&DEQUANTIZE_LINEAR, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let attrs = fused::chosen(&b.attrs(node)?, &["axis"])?;
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?), b.opt_input(node, 2)];
    b.node("", "DequantizeLinear", &operands, attrs, 1)
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x).input(Tensor::scalar(0.3f32)).add();
        let (x, scale, zero) = (s.any(dtype, &[2, 3, 2]), s.floats(F32, &[3], 0.1, 0.5), s.any(dtype, &[3]));
        // Integers of 32 bit are products, which have no zero point.
        let zero = if dtype == I32 { Tensor::vector(&[0i32; 3]) } else { zero };
        s.case().input(x).input(scale).input(zero).attr("axis", 1).add();
    }
    let (x, scale, zero) = (s.any(I8, &[5]), s.floats(F16, &[], 0.1, 0.5), s.any(I8, &[]));
    s.case().input(x).input(scale).input(zero).add();
}
