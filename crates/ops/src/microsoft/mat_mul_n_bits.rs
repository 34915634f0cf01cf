//! com.microsoft.MatMulNBits: a matrix times a weight that is stored in blocks of 2, 4 or 8 bits, each block with a
//! scale and a zero point.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T1"),
        Param::one("B", "T2"),
        Param::one("scales", "T1"),
        Param::opt("zero_points", "T3"),
        Param::opt("g_idx", "T4"),
        Param::opt("bias", "T1"),
    ],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::required("K", AttrKind::Int),
        AttrDef::required("N", AttrKind::Int),
        AttrDef::int("accuracy_level", 0),
        AttrDef::int("bits", 4),
        AttrDef::required("block_size", AttrKind::Int),
    ],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F16])),
        types_of("T2", TypeSet::tensors(&[U8])),
        types_of("T3", TypeSet::tensors(&[U8, F32, F16])),
        types_of("T4", TypeSet::tensors(&[I32])),
    ],
};

/// The operator MatMulNBits of ONNX Runtime.
pub static MAT_MUL_N_BITS: OpDef = OpDef {
    name: "MatMulNBits",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MAT_MUL_N_BITS, cx),
    eval: |cx, inputs| composite::eval(&MAT_MUL_N_BITS, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// The numbers packed in the bytes of `x`, lowest bits first, as `[n, count]`; those past `count` are padding.
///
/// # Errors
/// Never for bytes.
pub(crate) fn unpacked(b: &mut Builder, x: ValueId, bits: i64, n: i64, count: i64, to: DType) -> OpResult<ValueId> {
    let mut fields = Vec::new();
    let axis = b.ints(&[-1]);
    let mask = b.constant(Tensor::scalar(((1u16 << bits) - 1) as u8));
    for at in (0..8).step_by(bits as usize) {
        let shift = b.constant(Tensor::scalar(at as u8));
        let moved = b.op_with("BitShift", &[x, shift], Attrs::new().with("direction", "RIGHT"))?;
        let field = b.op("BitwiseAnd", &[moved, mask])?;
        fields.push(b.op("Unsqueeze", &[field, axis])?);
    }
    let all = b.op_with("Concat", &fields, Attrs::new().with("axis", -1))?;
    let shape = b.ints(&[n, -1]);
    let rows = b.op("Reshape", &[all, shape])?;
    let (zero, end, axis) = (b.ints(&[0]), b.ints(&[count]), b.ints(&[1]));
    let rows = b.op("Slice", &[rows, zero, end, axis])?;
    b.op_with("Cast", &[rows], Attrs::new().with("to", to))
}

/// The weight's factors and zero points as `[n, blocks]`; a zero point that is the same for all is a scalar.
fn blockwise(b: &mut Builder, node: NodeId, bits: i64, n: i64, blocks: i64) -> OpResult<[ValueId; 2]> {
    let scales = b.input(node, 2)?;
    let dtype = b.ty(scales).dtype().ok_or_else(|| OpError::unsupported("scales of unknown type"))?;
    let shape = b.ints(&[n, blocks]);
    let zeros = match b.opt_input(node, 3) {
        None => b.scalar_like(scales, (1 << (bits - 1)) as f64)?,
        Some(zeros) if b.ty(zeros).dtype() == Some(U8) => unpacked(b, zeros, bits, n, blocks, dtype)?,
        Some(zeros) => {
            let zeros = b.op_with("Cast", &[zeros], Attrs::new().with("to", dtype))?;
            b.op("Reshape", &[zeros, shape])?
        }
    };
    Ok([b.op("Reshape", &[scales, shape])?, zeros])
}

/// What stands for each of the `k` rows of the weight: that of its block, or of the group that `g_idx` names.
fn spread(b: &mut Builder, x: ValueId, groups: Option<ValueId>, block: i64, k: i64) -> OpResult<ValueId> {
    if b.ty(x).rank() == Some(0) {
        return Ok(x);
    }
    let groups = groups.unwrap_or_else(|| b.ints(&(0..k).map(|i| i / block).collect::<Vec<_>>()));
    b.op_with("Gather", &[x, groups], Attrs::new().with("axis", 1))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let (k, n, bits, block) = (view.int("K")?, view.int("N")?, view.int("bits")?, view.int("block_size")?);
    let small = |x: i64| (1..=1 << 31).contains(&x);
    if !matches!(bits, 2 | 4 | 8) || ![k, n, block].into_iter().all(small) {
        return Err(OpError::invalid(format!("bits {bits}, block_size {block}, K {k}, N {n}")));
    }
    let blocks = (k + block - 1) / block;
    let [scales, zeros] = blockwise(b, node, bits, n, blocks)?;
    let dtype = b.ty(scales).dtype().ok_or_else(|| OpError::unsupported("scales of unknown type"))?;
    let (a, packed, groups) = (b.input(node, 0)?, b.input(node, 1)?, b.opt_input(node, 4));
    let levels = unpacked(b, packed, bits, n, k, dtype)?;
    let (scales, zeros) = (spread(b, scales, groups, block, k)?, spread(b, zeros, groups, block, k)?);
    let centred = b.op("Sub", &[levels, zeros])?;
    let weight = b.op("Mul", &[centred, scales])?;
    let weight = b.op_with("Transpose", &[weight], Attrs::new().with("perm", [1, 0]))?;
    let y = b.op("MatMul", &[a, weight])?;
    match b.opt_input(node, 5) {
        Some(bias) => Ok(vec![b.op("Add", &[y, bias])?]),
        None => Ok(vec![y]),
    }
}

fn samples(s: &mut Samples) {
    for (dtype, bits, k) in [(F32, 4i64, 32i64), (F32, 4, 40), (F16, 4, 32), (F32, 8, 32), (F32, 2, 32)] {
        let (n, block) = (3usize, 16i64);
        let blocks = (k as usize).div_ceil(16);
        let bytes = 16 * bits as usize / 8;
        let (a, w) = (s.any(dtype, &[2, k as usize]), s.ints(U8, &[n, blocks, bytes], 0, 255));
        let scales = s.floats(dtype, &[n * blocks], 0.1, 0.5);
        let per = 8 / bits as usize;
        let (packed, plain) = (s.ints(U8, &[n * blocks.div_ceil(per)], 0, 255), s.any(dtype, &[n, blocks]));
        let attrs = |case: modelsmith_ir::Case<'_>| {
            case.attr("K", k).attr("N", n as i64).attr("bits", bits).attr("block_size", block).add();
        };
        attrs(s.case().input(a.clone()).input(w.clone()).input(scales.clone()));
        attrs(s.case().input(a.clone()).input(w.clone()).input(scales.clone()).input(packed));
        let bias = s.any(dtype, &[n]);
        let case = s.case().input(a.clone()).input(w.clone()).input(scales.clone()).absent().absent().input(bias);
        attrs(case.attr("accuracy_level", 1));
        if bits == 4 {
            let groups = s.ints(I32, &[k as usize], 0, blocks as i64 - 1);
            let case = s.case().input(a.clone()).input(w.clone()).input(scales.clone()).absent().input(groups);
            attrs(case);
            attrs(s.case().input(a).input(w).input(scales).input(plain));
        }
    }
}
