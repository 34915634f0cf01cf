//! com.microsoft.MultiHeadAttention: attention over projected queries, keys and values, with a bias on them, masks of
//! keys, a bias on the scores, and keys and values of the past.

use crate::microsoft::attending::{self, Attending};
use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("query", "T"),
        Param::opt("key", "T"),
        Param::opt("value", "T"),
        Param::opt("bias", "T"),
        Param::opt("key_padding_mask", "M"),
        Param::opt("attention_bias", "T"),
        Param::opt("past_key", "T"),
        Param::opt("past_value", "T"),
    ],
    outputs: &[Param::one("output", "T"), Param::opt("present_key", "T"), Param::opt("present_value", "T")],
    attrs: &[
        AttrDef::float("mask_filter_value", -10000.0),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::optional("scale", AttrKind::Float),
        AttrDef::int("unidirectional", 0),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16])), types_of("M", TypeSet::tensors(&[I32]))],
};

/// The operator MultiHeadAttention of ONNX Runtime.
pub static MULTI_HEAD_ATTENTION: OpDef = OpDef {
    name: "MultiHeadAttention",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MULTI_HEAD_ATTENTION, cx),
    eval: |cx, inputs| composite::eval_wide(&MULTI_HEAD_ATTENTION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Queries, keys and values before they are split into heads: three operands, or one that packs them as
/// `[batch, length, heads, 3, size]`, or queries beside packed keys and values.
fn rows(b: &mut Builder, node: NodeId) -> OpResult<[ValueId; 3]> {
    let query = b.input(node, 0)?;
    let part = |b: &mut Builder, x: ValueId, i: i64| {
        let i = b.constant(Tensor::scalar(i));
        let x = b.op_with("Gather", &[x, i], Attrs::new().with("axis", 3))?;
        let shape = b.ints(&[0, 0, -1]);
        b.op("Reshape", &[x, shape])
    };
    match (b.opt_input(node, 1), b.opt_input(node, 2)) {
        (Some(key), Some(value)) => Ok([query, key, value]),
        (Some(both), None) => Ok([query, part(b, both, 0)?, part(b, both, 1)?]),
        (None, None) => Ok([part(b, query, 0)?, part(b, query, 1)?, part(b, query, 2)?]),
        (None, Some(_)) => Err(OpError::invalid("values without keys")),
    }
}

/// The bias of queries, keys and values, one after the other, added to those that are not heads yet.
fn biased(b: &mut Builder, rows: [ValueId; 3], bias: ValueId) -> OpResult<[ValueId; 3]> {
    let width = |b: &Builder, x: ValueId| b.ty(x).shape().and_then(|s| s.get(2)?.size());
    let (Some(q), Some(v)) = (width(b, rows[0]), b.ty(bias).shape().and_then(|s| s.first()?.size())) else {
        return Err(OpError::unsupported("a bias on rows of unknown width"));
    };
    let v = v.checked_sub(2 * q).ok_or_else(|| OpError::invalid("the bias is shorter than queries and keys"))?;
    let sizes = b.ints(&[q as i64, q as i64, v as i64]);
    let parts = b.node("", "Split", &[Some(bias), Some(sizes)], Attrs::new().with("axis", 0), 3)?;
    let mut out = rows;
    for (row, part) in out.iter_mut().zip(parts) {
        if b.ty(*row).rank() == Some(3) {
            *row = b.op("Add", &[*row, part])?;
        }
    }
    Ok(out)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let heads = attending::count(&view, "num_heads")?;
    let mut all = rows(b, node)?;
    if let Some(bias) = b.opt_input(node, 3) {
        all = biased(b, all, bias)?;
    }
    let like = all[0];
    let filter = f64::from(view.float("mask_filter_value")?);
    let mask = match b.opt_input(node, 4) {
        Some(mask) => Some(attending::masked(b, mask, like, filter)?),
        None => None,
    };
    let extra = b.opt_input(node, 5);
    let bias = attending::sum(b, mask, extra)?;
    let past = b.opt_input(node, 6).zip(b.opt_input(node, 7)).map(|(k, v)| [k, v]);
    let mut parts = all;
    for part in &mut parts {
        *part = attending::split(b, *part, heads)?;
    }
    Ok(Attending { heads: parts, bias, past, attrs: attending::shared(&view)? }.build(b)?.to_vec())
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (q, k, v) = (s.any(dtype, &[2, 3, 8]), s.any(dtype, &[2, 5, 8]), s.any(dtype, &[2, 5, 12]));
        let bias = s.any(dtype, &[28]);
        let case = s.case().input(q.clone()).input(k.clone()).input(v.clone()).input(bias);
        case.attr("num_heads", 4).add();
        let mask = Tensor::new(&[2, 5], vec![1i32, 1, 1, 0, 0, 1, 1, 1, 1, 0]).expect("ten elements");
        let case = s.case().input(q).input(k).input(v).absent().input(mask).attr("num_heads", 2);
        case.attr("scale", 0.25f32).attr("mask_filter_value", -1000.0f32).add();
    }
    let (q, k, v) = (s.any(F32, &[1, 3, 8]), s.any(F32, &[1, 3, 8]), s.any(F32, &[1, 3, 8]));
    let (pk, pv, extra) = (s.any(F32, &[1, 2, 2, 4]), s.any(F32, &[1, 2, 2, 4]), s.any(F32, &[1, 2, 3, 5]));
    let case = s.case().input(q.clone()).input(k.clone()).input(v.clone()).absent().absent().input(extra);
    case.input(pk).input(pv).attr("num_heads", 2).outputs(3).add();
    s.case().input(q.clone()).input(k).input(v).attr("num_heads", 2).attr("unidirectional", 1).add();
    let packed = s.any(F32, &[2, 3, 2, 3, 4]);
    s.case().input(packed).attr("num_heads", 2).add();
    let packed = s.any(F32, &[1, 5, 2, 2, 4]);
    s.case().input(q).input(packed).attr("num_heads", 2).add();
}
