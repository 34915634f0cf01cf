//! com.microsoft.DynamicQuantizeMatMul: a matrix quantized by its own range, times a quantized matrix, as floats.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, mat_mul_integer_to_float};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T1"),
        Param::one("B", "T2"),
        Param::one("b_scale", "T1"),
        Param::opt("b_zero_point", "T2"),
        Param::opt("bias", "T1"),
    ],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[],
    types: &[types_of("T1", TypeSet::tensors(&[F32])), types_of("T2", BYTES)],
};

/// The operator DynamicQuantizeMatMul of ONNX Runtime.
pub static DYNAMIC_QUANTIZE_MAT_MUL: OpDef = OpDef {
    name: "DynamicQuantizeMatMul",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&DYNAMIC_QUANTIZE_MAT_MUL, cx),
    eval: |cx, inputs| composite::eval(&DYNAMIC_QUANTIZE_MAT_MUL, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let a = b.input(node, 0)?;
    let quantized = b.node("", "DynamicQuantizeLinear", &[Some(a)], Attrs::new(), 3)?;
    let operands = [Some(quantized[0]), Some(b.input(node, 1)?), Some(quantized[2]), b.opt_input(node, 3)];
    let scales = [quantized[1], b.input(node, 2)?];
    let bias = b.opt_input(node, 4);
    Ok(vec![mat_mul_integer_to_float::scaled(b, &operands, scales, bias)?])
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        let (a, b) = (s.any(F32, &[2, 3, 4]), s.any(dtype, &[4, 5]));
        let (scale, zero, bias) = (s.floats(F32, &[5], 0.1, 0.5), s.any(dtype, &[5]), s.any(F32, &[5]));
        let case = s.case().input(a.clone()).input(b.clone()).input(scale.clone());
        case.input(zero).input(bias).add();
        s.case().input(a).input(b).input(scale).add();
    }
    let (a, b) = (s.any(F32, &[3, 4]), s.any(I8, &[4, 2]));
    s.case().input(a).input(b).input(Tensor::scalar(0.25f32)).add();
}
