//! com.microsoft.MatMulBnb4: a matrix times a weight of bitsandbytes, blocks of 4-bit codes of a table, each with a
//! scale.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T1"), Param::one("B", "T2"), Param::one("absmax", "T1")],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::required("K", AttrKind::Int),
        AttrDef::required("N", AttrKind::Int),
        AttrDef::required("block_size", AttrKind::Int),
        AttrDef::required("quant_type", AttrKind::Int),
        AttrDef::int("training_mode", 0),
        AttrDef::int("transB", 1),
    ],
    types: &[types_of("T1", TypeSet::tensors(&[F32, F16, BF16])), types_of("T2", TypeSet::tensors(&[U8]))],
};

/// The operator MatMulBnb4 of ONNX Runtime.
pub static MAT_MUL_BNB4: OpDef = OpDef {
    name: "MatMulBnb4",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MAT_MUL_BNB4, cx),
    eval: |cx, inputs| composite::eval(&MAT_MUL_BNB4, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// What the codes of `quant_type` 0 stand for, floats of 1 sign, 2 exponent and 1 mantissa bits scaled to 1, and of
/// 1, the quantiles of a normal distribution. Dettmers et al., QLoRA, 2023, appendix E.
const CODES: [[f64; 16]; 2] = [
    [
        0.0,
        0.005208333,
        0.6666667,
        1.0,
        0.3333333,
        0.5,
        0.1666667,
        0.25,
        0.0,
        -0.005208333,
        -0.6666667,
        -1.0,
        -0.3333333,
        -0.5,
        -0.1666667,
        -0.25,
    ],
    [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ],
];

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let (k, n, block) = (view.int("K")?, view.int("N")?, view.int("block_size")?);
    let count = k.checked_mul(n).filter(|c| k > 0 && n > 0 && block > 0 && *c <= 1 << 31);
    let count = count.ok_or_else(|| OpError::invalid(format!("block_size {block}, K {k}, N {n}")))?;
    let codes = usize::try_from(view.int("quant_type")?).ok().and_then(|t| CODES.get(t));
    let codes = codes.ok_or_else(|| OpError::invalid("quant_type is neither 0 for FP4 nor 1 for NF4"))?;
    let (a, packed, scales) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let dtype = b.ty(scales).dtype().ok_or_else(|| OpError::unsupported("scales of unknown type"))?;
    let table = b.constant(Tensor::from_f64s(dtype, &[16], codes)?);
    let (four, low, axis) = (b.constant(Tensor::scalar(4u8)), b.constant(Tensor::scalar(15u8)), b.ints(&[1]));
    // The first code of a byte is in its upper half.
    let upper = b.op_with("BitShift", &[packed, four], Attrs::new().with("direction", "RIGHT"))?;
    let lower = b.op("BitwiseAnd", &[packed, low])?;
    let (all, end, zero) = (b.ints(&[-1]), b.ints(&[count]), b.ints(&[0]));
    let mut column = |x: ValueId| {
        let x = b.op("Reshape", &[x, all])?;
        b.op("Unsqueeze", &[x, axis])
    };
    let pairs = [column(upper)?, column(lower)?];
    let flat = b.op_with("Concat", &pairs, Attrs::new().with("axis", 1))?;
    let flat = b.op("Reshape", &[flat, all])?;
    let flat = b.op("Slice", &[flat, zero, end, zero])?;
    let flat = b.op_with("Cast", &[flat], Attrs::new().with("to", I64))?;
    let levels = b.op("Gather", &[table, flat])?;
    let blocks = b.ints(&(0..count).map(|i| i / block).collect::<Vec<_>>());
    let scales = b.op("Reshape", &[scales, all])?;
    let scales = b.op("Gather", &[scales, blocks])?;
    let weight = b.op("Mul", &[levels, scales])?;
    let shape = b.ints(&[n, k]);
    let mut weight = b.op("Reshape", &[weight, shape])?;
    if view.flag("transB")? {
        weight = b.op_with("Transpose", &[weight], Attrs::new().with("perm", [1, 0]))?;
    }
    Ok(vec![b.op("MatMul", &[a, weight])?])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16, BF16] {
        for kind in [0i64, 1] {
            let (a, w) = (s.any(dtype, &[2, 3, 32]), s.ints(U8, &[32 * 5 / 2], 0, 255));
            let scales = s.floats(dtype, &[10], 0.1, 0.5);
            let case = s.case().input(a).input(w).input(scales).attr("K", 32).attr("N", 5);
            case.attr("block_size", 16).attr("quant_type", kind).attr("training_mode", 1 - kind).add();
        }
    }
    let (a, w, scales) = (s.any(F32, &[2, 5]), s.ints(U8, &[80], 0, 255), s.floats(F32, &[10], 0.1, 0.5));
    let case = s.case().input(a).input(w).input(scales).attr("K", 32).attr("N", 5).attr("transB", 0);
    case.attr("block_size", 16).attr("quant_type", 1).add();
}
