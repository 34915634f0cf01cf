//! com.microsoft.QMoE: MoE whose weights are integers of few bits, each row or block of a row with a scale.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::moe::{self, Layer};
use crate::microsoft::{composite, mat_mul_n_bits};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("router_probs", "T"),
        Param::one("fc1_experts_weights", "T1"),
        Param::one("fc1_scales", "T2"),
        Param::opt("fc1_experts_bias", "T"),
        Param::one("fc2_experts_weights", "T1"),
        Param::one("fc2_scales", "T2"),
        Param::opt("fc2_experts_bias", "T"),
        Param::opt("fc3_experts_weights", "T1"),
        Param::opt("fc3_scales", "T2"),
        Param::opt("fc3_experts_bias", "T"),
        Param::opt("fc1_zero_points", "T1"),
        Param::opt("fc2_zero_points", "T1"),
        Param::opt("fc3_zero_points", "T1"),
        Param::opt("router_weights", "T"),
    ],
    outputs: &[Param::one("output", "T")],
    attrs: &[
        AttrDef::int("accuracy_level", 0),
        AttrDef::float("activation_alpha", 1.0),
        AttrDef::float("activation_beta", 0.0),
        AttrDef::string("activation_type", "relu"),
        AttrDef::optional("block_size", AttrKind::Int),
        AttrDef::int("expert_weight_bits", 4),
        AttrDef::int("k", 1),
        AttrDef::int("normalize_routing_weights", 0),
        AttrDef::string("quant_type", "int"),
        AttrDef::int("swiglu_fusion", 0),
        AttrDef::optional("swiglu_limit", AttrKind::Float),
        AttrDef::int("use_sparse_mixer", 0),
        AttrDef::int("weights_prepacked", -1),
    ],
    types: &[
        types_of("T", TypeSet::tensors(&[F32, F16, BF16])),
        types_of("T1", TypeSet::tensors(&[U8])),
        types_of("T2", TypeSet::tensors(&[F32, F16, BF16])),
    ],
};

/// The operator QMoE of ONNX Runtime.
pub static QMOE: OpDef = OpDef {
    name: "QMoE",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&QMOE, cx),
    eval: |cx, inputs| composite::eval_wide(&QMOE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// The layer of which operand `at` is the weight, scales and bias behind it, and operand `zeros` the zero points.
fn layer(b: &mut Builder, node: NodeId, at: usize, zeros: usize, bits: i64, block: i64) -> OpResult<Option<Layer>> {
    let Some(packed) = b.opt_input(node, at) else { return Ok(None) };
    let (scales, bias, zeros) = (b.input(node, at + 1)?, b.opt_input(node, at + 2), b.opt_input(node, zeros));
    let sizes = b.ty(packed).shape().map(|s| s.iter().map(Dim::known).collect::<Option<Vec<_>>>());
    let Some(Some(sizes)) = sizes else { return Err(OpError::unsupported("weights of unknown shape")) };
    let &[experts, rows, bytes] = sizes.as_slice() else {
        return Err(OpError::invalid(format!("weights of shape {sizes:?}; experts, rows and bytes are wanted")));
    };
    let count = bytes.saturating_mul(8 / bits);
    moves::sizes(&[experts, rows, count])?;
    let known =
        |x: ValueId, what: &str| b.ty(x).dtype().ok_or_else(|| OpError::unsupported(format!("{what} of unknown type")));
    let (dtype, own) = (known(scales, "scales")?, known(b.input(node, 0)?, "an input")?);
    let (block, blocks) = if block > 0 { (block, (count + block - 1) / block) } else { (count, 1) };
    let levels = mat_mul_n_bits::unpacked(b, packed, bits, experts * rows, count, dtype)?;
    // One number for each row and block, then one for each element.
    let flat = b.ints(&[experts * rows, blocks]);
    let places = b.ints(&(0..count).map(|i| i / block.max(1)).collect::<Vec<_>>());
    let spread = |b: &mut Builder, x: ValueId| {
        let x = b.op("Reshape", &[x, flat])?;
        b.op_with("Gather", &[x, places], Attrs::new().with("axis", 1))
    };
    let centre = match zeros {
        None => b.scalar_like(scales, (1 << (bits - 1)) as f64)?,
        Some(zeros) => {
            let (n, each) = if blocks > 1 { (experts * rows, blocks) } else { (experts, rows) };
            let zeros = mat_mul_n_bits::unpacked(b, zeros, bits, n, each, dtype)?;
            spread(b, zeros)?
        }
    };
    let scales = spread(b, scales)?;
    let centred = b.op("Sub", &[levels, centre])?;
    let weights = b.op("Mul", &[centred, scales])?;
    let shape = b.ints(&[experts, rows, count]);
    let weights = b.op("Reshape", &[weights, shape])?;
    // Scales may be of another width than what is multiplied.
    let alike = |b: &mut Builder, x: ValueId| match b.ty(x).dtype() == Some(own) {
        true => Ok(x),
        false => b.op_with("Cast", &[x], Attrs::new().with("to", own)),
    };
    let bias = bias.map(|bias| alike(b, bias)).transpose()?;
    Ok(Some(Layer { weights: alike(b, weights)?, bias }))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let (bits, block) = (view.int("expert_weight_bits")?, view.opt_int("block_size")?.unwrap_or(0));
    if view.string("quant_type")? != "int" || !matches!(bits, 2 | 4 | 8) {
        return Err(OpError::unsupported("weights that are no integers of 2, 4 or 8 bits"));
    }
    let layers =
        [layer(b, node, 2, 11, bits, block)?, layer(b, node, 5, 12, bits, block)?, layer(b, node, 8, 13, bits, block)?];
    let mixing = b.opt_input(node, 14);
    moe::mixed(b, node, layers, mixing)
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16, BF16] {
        for (bits, block) in [(4i64, 0usize), (8, 0), (4, 16), (8, 16), (2, 16)] {
            let (hidden, inner, experts) = (32usize, 16usize, 3usize);
            let bytes = |n: usize| n * bits as usize / 8;
            let (x, router) = (s.any(dtype, &[2, 3, hidden]), s.any(dtype, &[6, experts]));
            let one = s.ints(U8, &[experts, 2 * inner, bytes(hidden)], 0, 255);
            let two = s.ints(U8, &[experts, hidden, bytes(inner)], 0, 255);
            let scales = |s: &mut Samples, rows: usize, n: usize| match block {
                0 => s.floats(dtype, &[experts, rows], 0.01, 0.05),
                block => s.floats(dtype, &[experts, rows, n / block], 0.01, 0.05),
            };
            let (p, q) = (scales(s, 2 * inner, hidden), scales(s, hidden, inner));
            let bias = s.any(dtype, &[experts, hidden]);
            let case = s.case().input(x).input(router).input(one).input(p).absent().input(two).input(q);
            let case = match block {
                0 => case.input(bias),
                block => case.attr("block_size", block as i64),
            };
            let case = case.attr("activation_type", "swiglu").attr("swiglu_fusion", 1).attr("k", 2);
            let case = case.attr("activation_alpha", 1.702f32).attr("activation_beta", 1.0f32);
            let case = case.attr("swiglu_limit", 7.0f32).attr("weights_prepacked", 0).attr("accuracy_level", 1);
            case.attr("normalize_routing_weights", 1).attr("expert_weight_bits", bits).add();
        }
    }
    let (x, router, mixing) = (s.any(F32, &[5, 32]), s.any(F32, &[5, 3]), s.floats(F32, &[5, 3], 0.1, 0.9));
    let (one, two, three) =
        (s.ints(U8, &[3, 16, 32], 0, 255), s.ints(U8, &[3, 32, 16], 0, 255), s.ints(U8, &[3, 16, 32], 0, 255));
    let rows = |s: &mut Samples, n: usize| s.floats(F32, &[3, n], 0.01, 0.05);
    let (p, q, r) = (rows(s, 16), rows(s, 32), rows(s, 16));
    let (a, b, c) = (s.any(F32, &[3, 16]), s.any(F32, &[3, 32]), s.any(F32, &[3, 16]));
    let zeros = |s: &mut Samples, n: usize| s.ints(U8, &[3, n], 100, 150);
    let (u, v, w) = (zeros(s, 16), zeros(s, 32), zeros(s, 16));
    let case = s.case().input(x).input(router).input(one).input(p).input(a).input(two).input(q).input(b);
    let case =
        case.input(three).input(r).input(c).input(u).input(v).input(w).input(mixing).attr("weights_prepacked", 0);
    case.attr("activation_type", "silu").attr("expert_weight_bits", 8).add();
}
