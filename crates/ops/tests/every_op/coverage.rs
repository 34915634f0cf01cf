//! Samples cover what the schema allows: attributes, optional operands, element types.

use crate::case::{Case, cases};
use crate::schema::dtype_of;
use modelsmith_ir::{Attr, AttrKind, Default, OpDef, ParamKind};
use modelsmith_tensor::{DType, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What samples do not cover, and why not: operator, attribute, operand or type, reason.
const UNCOVERED: &[(&str, &str, &str)] = &[
    ("Col2Im", "type T=string", "overlapping blocks are added, which strings cannot be"),
    ("com.microsoft.CausalConvWithState", "attribute ndim", "more than one dimension is refused"),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "attribute output_qk", SHARED),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "attribute past_present_share_buffer", SHARED),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "operand past_sequence_length present", SHARED),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "operand beam_width present", SHARED),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "operand cache_indirection present", SHARED),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "type QK=f32", SHARED),
    ("com.microsoft.DecoderMaskedMultiHeadAttention", "type QK=f16", SHARED),
    ("com.microsoft.GroupQueryAttention", "attribute sliding_window_cache", "a cache that evicts is refused"),
    ("com.microsoft.Irfft", "attribute normalized", "only 0 is allowed"),
    ("com.microsoft.Irfft", "attribute onesided", "only 1 is allowed"),
    ("com.microsoft.MoE", "attribute use_sparse_mixer", "the routing of one model family is refused"),
    ("com.microsoft.QMoE", "attribute quant_type", "weights of small floats are refused"),
    ("com.microsoft.QMoE", "attribute use_sparse_mixer", "the routing of one model family is refused"),
    ("com.microsoft.Rfft", "attribute normalized", "only 0 is allowed"),
    ("com.microsoft.Rfft", "attribute onesided", "only 1 is allowed"),
    ("com.microsoft.Rfft", "attribute signal_ndim", "only 1 is allowed"),
];
const SHARED: &str = "caches of beams, kept in the runtime's own order, are refused";

fn is_default(value: &Attr, default: &Default) -> bool {
    match (value, default) {
        (Attr::Int(a), Default::Int(b)) => a == b,
        (Attr::Float(a), Default::Float(b)) => a == b,
        (Attr::String(a), Default::String(b)) => a == b,
        (Attr::Ints(a), Default::Ints(b)) => a == b,
        (Attr::Floats(a), Default::Floats(b)) => a == b,
        (Attr::Strings(a), Default::Strings(b)) => a == b,
        _ => false,
    }
}

/// Element types by type variable that the operands and results of the cases show.
fn types_seen(def: &OpDef, made: &[Case]) -> BTreeMap<&'static str, BTreeSet<DType>> {
    let mut seen = BTreeMap::<_, BTreeSet<_>>::new();
    for case in made {
        let node = &case.model.nodes[case.node];
        let results = case.run().unwrap_or_default();
        let inner = |v: &Option<modelsmith_ir::ValueId>| v.and_then(|v| case.model.ty(v).dtype());
        let given = match case.sample.model {
            Some(_) => node.inputs.iter().map(inner).collect::<Vec<_>>(),
            None => case.sample.inputs.iter().map(|v| v.as_ref().and_then(dtype_of)).collect(),
        };
        for (i, dtype) in given.into_iter().enumerate() {
            let Some((param, dtype)) = def.schema.input(i).zip(dtype) else { continue };
            seen.entry(param.ty).or_default().insert(dtype);
        }
        for (i, value) in results.iter().enumerate() {
            let Some((param, dtype)) = def.schema.output(i).zip(dtype_of(value)) else { continue };
            seen.entry(param.ty).or_default().insert(dtype);
        }
    }
    seen
}

fn gaps(def: &'static OpDef) -> Vec<String> {
    let made = cases(def).into_iter().filter_map(Result::ok).collect::<Vec<_>>();
    let mut out = Vec::new();
    for a in def.schema.attrs {
        let varied = made.iter().any(|c| match a.kind {
            AttrKind::Graph | AttrKind::Graphs => c.model.nodes[c.node].region(a.name).is_some(),
            _ => c.attrs().get(a.name).is_some_and(|v| !is_default(v, &a.default)),
        });
        if !varied {
            out.push(format!("attribute {}", a.name));
        }
    }
    for (i, p) in def.schema.inputs.iter().enumerate().filter(|(_, p)| p.kind == ParamKind::Optional) {
        let given = |c: &&Case| c.model.nodes[c.node].input(i).is_some();
        let present = made.iter().filter(given).count();
        if present == 0 || present == made.len() {
            out.push(format!("operand {} {}", p.name, if present == 0 { "present" } else { "absent" }));
        }
    }
    let seen = types_seen(def, &made);
    for var in def.schema.types {
        let used = def.schema.inputs.iter().chain(def.schema.outputs).any(|p| p.ty == var.name);
        for dtype in var.set.dtypes().filter(|_| used) {
            if !seen.get(var.name).is_some_and(|s| s.contains(&dtype)) {
                out.push(format!("type {}={dtype}", var.name));
            }
        }
    }
    let empty = |v: &Value| matches!(v, Value::Tensor(t) if t.is_empty());
    let tensors = made.iter().flat_map(|c| c.sample.inputs.iter().flatten()).collect::<Vec<_>>();
    if def.flags.elementwise && !tensors.into_iter().any(empty) {
        out.push("an empty tensor".into());
    }
    out
}

#[test]
fn samples_cover_the_schema() {
    let mut findings = Vec::new();
    for def in modelsmith_ops::all().iter() {
        let gaps = gaps(def);
        let name = format!("{def:?}");
        let excused = UNCOVERED.iter().filter(|(op, ..)| *op == name).map(|(_, what, _)| *what).collect::<Vec<_>>();
        let left = gaps.iter().filter(|g| !excused.contains(&g.as_str())).cloned().collect::<Vec<_>>();
        if !left.is_empty() {
            findings.push(format!("{def:?} lacks {}", left.join(", ")));
        }
        for what in excused.iter().filter(|w| !gaps.iter().any(|g| g == *w)) {
            findings.push(format!("{def:?} covers {what} against the list"));
        }
    }
    crate::report(findings);
}
