//! com.microsoft.MatMulIntegerToFloat: the integer product of quantized matrices, scaled to floats, plus a bias.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T1"),
        Param::one("B", "T2"),
        Param::one("a_scale", "T3"),
        Param::one("b_scale", "T3"),
        Param::opt("a_zero_point", "T1"),
        Param::opt("b_zero_point", "T2"),
        Param::opt("bias", "T3"),
    ],
    outputs: &[Param::one("Y", "T3")],
    attrs: &[],
    types: &[types_of("T1", BYTES), types_of("T2", BYTES), types_of("T3", TypeSet::tensors(&[F32, F16]))],
};

/// The operator MatMulIntegerToFloat of ONNX Runtime.
pub static MAT_MUL_INTEGER_TO_FLOAT: OpDef = OpDef {
    name: "MatMulIntegerToFloat",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MAT_MUL_INTEGER_TO_FLOAT, cx),
    eval: |cx, inputs| composite::eval(&MAT_MUL_INTEGER_TO_FLOAT, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let operands = [Some(b.input(node, 0)?), Some(b.input(node, 1)?), b.opt_input(node, 4), b.opt_input(node, 5)];
    let scales = [b.input(node, 2)?, b.input(node, 3)?];
    let bias = b.opt_input(node, 6);
    Ok(vec![scaled(b, &operands, scales, bias)?])
}

/// MatMulInteger of `operands`, times both scales, plus the bias, in the type of the scales.
///
/// # Errors
/// When that type is not known.
pub(crate) fn scaled(
    b: &mut Builder,
    operands: &[Option<ValueId>],
    scales: [ValueId; 2],
    bias: Option<ValueId>,
) -> OpResult<ValueId> {
    let dtype = b.ty(scales[1]).dtype().ok_or_else(|| OpError::unsupported("a scale of unknown type"))?;
    let sums = b.node("", "MatMulInteger", operands, Attrs::new(), 1)?[0];
    // Sums exceed the range of 16-bit floats long before their products with the scales do.
    let wide = |d: DType| Attrs::new().with("to", d);
    let sums = b.op_with("Cast", &[sums], wide(F32))?;
    let mut factors = scales;
    if dtype != F32 {
        factors = [b.op_with("Cast", &[scales[0]], wide(F32))?, b.op_with("Cast", &[scales[1]], wide(F32))?];
    }
    let factor = b.op("Mul", &factors)?;
    let mut y = b.op("Mul", &[sums, factor])?;
    if dtype != F32 {
        y = b.op_with("Cast", &[y], wide(dtype))?;
    }
    match bias {
        Some(bias) => b.op("Add", &[y, bias]),
        None => Ok(y),
    }
}

fn samples(s: &mut Samples) {
    for left in BYTES.dtypes() {
        for right in BYTES.dtypes() {
            let (a, b) = (s.any(left, &[2, 3, 4]), s.any(right, &[4, 5]));
            let (p, q, bias) = (s.any(left, &[]), s.any(right, &[5]), s.any(F32, &[5]));
            let (x, y) = (Tensor::scalar(0.5f32), s.floats(F32, &[5], 0.1, 0.5));
            let case = s.case().input(a.clone()).input(b.clone()).input(x.clone()).input(y.clone());
            case.input(p).input(q).input(bias).add();
            s.case().input(a).input(b).input(x).input(y).add();
        }
    }
    let (a, b, x) = (s.any(U8, &[3, 4]), s.any(I8, &[4, 2]), s.floats(F16, &[], 0.1, 0.5));
    s.case().input(a).input(b).input(x.clone()).input(x).add();
}
