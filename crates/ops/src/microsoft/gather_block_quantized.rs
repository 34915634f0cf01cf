//! com.microsoft.GatherBlockQuantized: rows of a table that is stored in blocks of few bits, each block with a
//! scale and a zero point.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, mat_mul_n_bits};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("data", "T1"),
        Param::one("indices", "Tind"),
        Param::one("scales", "T2"),
        Param::opt("zero_points", "T1"),
    ],
    outputs: &[Param::one("output", "T2")],
    attrs: &[
        AttrDef::int("bits", 4),
        AttrDef::int("block_size", 128),
        AttrDef::int("gather_axis", 0),
        AttrDef::int("quantize_axis", 1),
    ],
    types: &[
        types_of("T1", TypeSet::tensors(&[I4, U4, U8])),
        types_of("T2", TypeSet::tensors(&[F32, F16, BF16])),
        types_of("Tind", INDEX),
    ],
};

/// The operator GatherBlockQuantized of ONNX Runtime.
pub static GATHER_BLOCK_QUANTIZED: OpDef = OpDef {
    name: "GatherBlockQuantized",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&GATHER_BLOCK_QUANTIZED, cx),
    eval: |cx, inputs| composite::eval(&GATHER_BLOCK_QUANTIZED, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// What a tensor holds: itself, or the numbers packed in the bytes of its last dimension, as reals of the type `to`.
fn opened(b: &mut Builder, x: ValueId, bits: i64, to: DType) -> OpResult<ValueId> {
    let x = match b.ty(x).dtype() {
        Some(U8) if bits < 8 => {
            let shape = b.ty(x).shape().ok_or_else(|| OpError::unsupported("a table of unknown shape"))?.to_vec();
            let (mut sizes, mut rows) = (Vec::new(), 1i64);
            for (i, d) in shape.iter().enumerate() {
                let n = d.known().ok_or_else(|| OpError::unsupported("a table of unknown shape"))?;
                let last = i + 1 == shape.len();
                rows = if last { rows } else { rows.saturating_mul(n) };
                sizes.push(if last { n * (8 / bits) } else { n });
            }
            let count = sizes.last().copied().unwrap_or(1);
            let flat = mat_mul_n_bits::unpacked(b, x, bits, rows, count, to)?;
            let shape = b.ints(&sizes);
            return b.op("Reshape", &[flat, shape]);
        }
        _ => x,
    };
    b.op_with("Cast", &[x], Attrs::new().with("to", to))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let (bits, block) = (view.int("bits")?, view.int("block_size")?);
    if !matches!(bits, 2 | 4 | 8) || !(1..=1 << 31).contains(&block) {
        return Err(OpError::invalid(format!("bits {bits}, block_size {block}")));
    }
    let (data, at, scales) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let to = b.ty(scales).dtype().ok_or_else(|| OpError::unsupported("scales of unknown type"))?;
    let bytes = b.ty(data).dtype() == Some(U8);
    let table = opened(b, data, bits, to)?;
    let shape = b.ty(table).shape().ok_or_else(|| OpError::unsupported("a table of unknown shape"))?.to_vec();
    let axis = shapes::axis(view.int("quantize_axis")?, shape.len())?;
    let length = shape[axis].known().ok_or_else(|| OpError::unsupported("a table of unknown shape"))?;
    let blocks = b.ints(&(0..length).map(|i| i / block).collect::<Vec<_>>());
    let along = Attrs::new().with("axis", axis as i64);
    let zeros = match b.opt_input(node, 3) {
        Some(zeros) => {
            let zeros = opened(b, zeros, bits, to)?;
            // Packed rows end with padding, which no block names.
            Some(b.op_with("Gather", &[zeros, blocks], along.clone())?)
        }
        None if bytes => Some(b.scalar_like(scales, (1 << (bits - 1)) as f64)?),
        None => None,
    };
    let scales = b.op_with("Gather", &[scales, blocks], along)?;
    let mut table = table;
    if let Some(zeros) = zeros {
        table = b.op("Sub", &[table, zeros])?;
    }
    let table = b.op("Mul", &[table, scales])?;
    Ok(vec![b.op_with("Gather", &[table, at], Attrs::new().with("axis", view.int("gather_axis")?))?])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16, BF16] {
        for (data, index) in [(U4, I64), (I4, I32), (U4, I32), (I4, I64)] {
            let (table, scales) = (s.any(data, &[3, 40]), s.floats(dtype, &[3, 3], 0.1, 0.5));
            let (at, zeros) = (s.ints(index, &[2, 2], 0, 2), s.any(data, &[3, 3]));
            let case = s.case().input(table.clone()).input(at.clone()).input(scales.clone()).attr("block_size", 16);
            case.input(zeros).add();
            s.case().input(table).input(at).input(scales).attr("block_size", 16).add();
        }
        for bits in [4i64, 8] {
            let bytes = 32 * bits as usize / 8;
            let (table, scales) = (s.ints(U8, &[5, bytes], 0, 255), s.floats(dtype, &[5, 2], 0.1, 0.5));
            let (at, zeros) = (s.ints(I64, &[3], 0, 4), s.ints(U8, &[5, 2 * bits as usize / 8], 0, 255));
            let case = s.case().input(table.clone()).input(at.clone()).input(scales.clone()).attr("block_size", 16);
            case.input(zeros).attr("bits", bits).add();
            s.case().input(table).input(at).input(scales).attr("block_size", 16).attr("bits", bits).add();
        }
    }
    let (table, scales) = (s.any(U4, &[32, 3, 2]), s.floats(F32, &[2, 3, 2], 0.1, 0.5));
    let at = s.ints(I64, &[4], 0, 2);
    let case = s.case().input(table).input(at).input(scales).attr("block_size", 16);
    case.attr("quantize_axis", 0).attr("gather_axis", 1).add();
}
