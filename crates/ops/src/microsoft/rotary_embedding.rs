//! com.microsoft.RotaryEmbedding: rotations by position, from caches of cosines and sines; one position alone is that of
//! the first row.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("position_ids", "M"),
        Param::one("cos_cache", "T"),
        Param::one("sin_cache", "T"),
    ],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("interleaved", 0), AttrDef::int("num_heads", 0), AttrDef::int("rotary_embedding_dim", 0)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16])), types_of("M", I64_ONLY)],
};

/// The operator RotaryEmbedding of ONNX Runtime.
pub static ROTARY_EMBEDDING: OpDef = OpDef {
    name: "RotaryEmbedding",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&ROTARY_EMBEDDING, cx),
    eval: |cx, inputs| composite::eval_wide(&ROTARY_EMBEDDING, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Positions of all rows, `[batch, length]`.
fn positions(b: &mut Builder, x: ValueId, first: ValueId) -> OpResult<ValueId> {
    let (Some(rank), Some(given)) = (b.ty(x).rank(), b.ty(first).rank()) else {
        return Err(OpError::unsupported("operands of unknown rank"));
    };
    if given == 2 {
        return Ok(first);
    }
    let mut size = |axis: i64| b.op_with("Shape", &[x], Attrs::new().with("start", axis).with("end", axis + 1));
    let (batch, length) = (size(0)?, size(rank as i64 - 2)?);
    let (zero, one) = (b.constant(Tensor::scalar(0i64)), b.constant(Tensor::scalar(1i64)));
    let length_scalar = b.op("Squeeze", &[length])?;
    let steps = b.op("Range", &[zero, length_scalar, one])?;
    let row = b.op("Add", &[steps, first])?;
    let shape = b.op_with("Concat", &[batch, length], Attrs::new().with("axis", 0))?;
    b.op("Expand", &[row, shape])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let (x, cos, sin) = (b.input(node, 0)?, b.input(node, 2)?, b.input(node, 3)?);
    let first = b.input(node, 1)?;
    let mut heads = view.int("num_heads")?;
    let turned = view.int("rotary_embedding_dim")?;
    if heads == 0 && b.ty(x).rank() == Some(3) {
        // The caches hold half of a head's size, unless only a part of it is turned.
        let size = |v: ValueId, i: usize| b.ty(v).shape().and_then(|s| s.get(i)?.known());
        let (Some(hidden), Some(half)) = (size(x, 2), size(cos, 1)) else {
            return Err(OpError::unsupported("an unknown number of heads"));
        };
        heads = hidden / (2 * half).max(1);
    }
    let positions = positions(b, x, first)?;
    let mut attrs = Attrs::new().with("interleaved", view.int("interleaved")?);
    attrs.set("rotary_embedding_dim", turned);
    if b.ty(x).rank() == Some(3) {
        attrs.set("num_heads", heads);
    }
    Ok(vec![b.op_with("RotaryEmbedding", &[x, cos, sin, positions], attrs)?])
}

fn samples(s: &mut Samples) {
    for (dtype, interleaved) in [(F32, 0i64), (F32, 1), (F16, 0)] {
        let (x, cos, sin) = (s.any(dtype, &[2, 3, 8]), s.floats(dtype, &[6, 2], -1.0, 1.0), s.any(dtype, &[6, 2]));
        let at = Tensor::new(&[2, 3], vec![0i64, 1, 2, 3, 4, 5]).expect("six elements");
        let case = s.case().input(x.clone()).input(at).input(cos.clone()).input(sin.clone());
        case.attr("interleaved", interleaved).add();
        let case = s.case().input(x).input(Tensor::vector(&[2i64])).input(cos).input(sin);
        case.attr("interleaved", interleaved).add();
    }
    let (x, cos, sin) = (s.any(F32, &[1, 2, 3, 6]), s.floats(F32, &[4, 2], -1.0, 1.0), s.any(F32, &[4, 2]));
    let at = Tensor::new(&[1, 3], vec![1i64, 2, 3]).expect("three elements");
    let case = s.case().input(x).input(at).input(cos).input(sin).attr("num_heads", 2);
    case.attr("rotary_embedding_dim", 4).add();
}
