//! com.microsoft.Attention: rows projected to queries, keys and values, attention over them, with masks and a past.

use crate::microsoft::attending::{self, Attending};
use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("weights", "T"),
        Param::opt("bias", "T"),
        Param::opt("mask_index", "M"),
        Param::opt("past", "T"),
        Param::opt("attention_bias", "T"),
    ],
    outputs: &[Param::one("output", "T"), Param::opt("present", "T")],
    attrs: &[
        AttrDef::float("mask_filter_value", -10000.0),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::optional("qkv_hidden_sizes", AttrKind::Ints),
        AttrDef::optional("scale", AttrKind::Float),
        AttrDef::int("unidirectional", 0),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16])), types_of("M", TypeSet::tensors(&[I32]))],
};

/// The operator Attention of ONNX Runtime.
pub static ATTENTION: OpDef = OpDef {
    name: "Attention",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&ATTENTION, cx),
    eval: |cx, inputs| composite::eval_wide(&ATTENTION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let (x, weights) = (b.input(node, 0)?, b.input(node, 1)?);
    let mut projected = b.op("MatMul", &[x, weights])?;
    if let Some(bias) = b.opt_input(node, 2) {
        projected = b.op("Add", &[projected, bias])?;
    }
    let operands = [b.opt_input(node, 3), b.opt_input(node, 4), b.opt_input(node, 5)];
    attend(b, node, projected, operands)
}

/// Attention over rows of queries, keys and values side by side. `operands` are the mask, the past, and what is added
/// to the scores.
///
/// # Errors
/// For masks that are not `[batch, keys]` or `[batch, queries, keys]`.
pub(crate) fn attend(
    b: &mut Builder,
    node: NodeId,
    projected: ValueId,
    [mask, past, extra]: [Option<ValueId>; 3],
) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let heads = attending::count(&view, "num_heads")?;
    let along = Attrs::new().with("axis", -1);
    let parts = match view.raw().get("qkv_hidden_sizes").is_some() {
        true => {
            let sizes = b.ints(&view.ints("qkv_hidden_sizes")?);
            b.node("", "Split", &[Some(projected), Some(sizes)], along, 3)?
        }
        false => b.node("", "Split", &[Some(projected)], along.with("num_outputs", 3), 3)?,
    };
    let filter = f64::from(view.float("mask_filter_value")?);
    let mask = match mask {
        Some(mask) => Some(attending::masked(b, mask, projected, filter)?),
        None => None,
    };
    let bias = attending::sum(b, mask, extra)?;
    let past = match past {
        Some(past) => Some(attending::halves(b, past)?),
        None => None,
    };
    let mut all = [parts[0], parts[1], parts[2]];
    for part in &mut all {
        *part = attending::split(b, *part, heads)?;
    }
    let [y, keys, values] = Attending { heads: all, bias, past, attrs: attending::shared(&view)? }.build(b)?;
    match b.model.nodes[node].outputs.len() {
        1 => Ok(vec![y]),
        _ => Ok(vec![y, attending::stacked(b, keys, values)?]),
    }
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (x, w, bias) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4, 24]), s.any(dtype, &[24]));
        s.case().input(x.clone()).input(w.clone()).input(bias.clone()).attr("num_heads", 2).add();
        let mask = Tensor::new(&[2, 3], vec![1i32, 1, 0, 1, 1, 1]).expect("six elements");
        let case = s.case().input(x).input(w).input(bias).input(mask).attr("num_heads", 4);
        case.attr("scale", -0.25f32).attr("mask_filter_value", -1000.0f32).add();
    }
    let (x, w, bias) = (s.any(F32, &[1, 3, 4]), s.any(F32, &[4, 20]), s.any(F32, &[20]));
    let case = s.case().input(x.clone()).input(w).input(bias).attr("num_heads", 2);
    case.attr("qkv_hidden_sizes", [8, 8, 4]).add();
    let (w, bias, past) = (s.any(F32, &[4, 24]), s.any(F32, &[24]), s.any(F32, &[2, 1, 2, 2, 4]));
    let case = s.case().input(x.clone()).input(w.clone()).input(bias.clone()).absent().input(past);
    case.attr("num_heads", 2).attr("unidirectional", 1).outputs(2).add();
    let extra = s.any(F32, &[1, 2, 3, 3]);
    let case = s.case().input(x.clone()).input(w.clone()).input(bias).absent().absent().input(extra);
    case.attr("num_heads", 2).outputs(2).add();
    s.case().input(x).input(w).attr("num_heads", 2).add();
}
