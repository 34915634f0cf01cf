//! com.microsoft.GroupNorm: GroupNormalization of a tensor whose channels may come last, and SiLU where asked for.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("gamma", "M"), Param::one("beta", "M")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::required("activation", AttrKind::Int),
        AttrDef::int("channels_last", 1),
        AttrDef::float("epsilon", 1e-5),
        AttrDef::required("groups", AttrKind::Int),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16])), types_of("M", TypeSet::tensors(&[F32, F16]))],
};

/// The operator GroupNorm of ONNX Runtime.
pub static GROUP_NORM: OpDef = OpDef {
    name: "GroupNorm",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&GROUP_NORM, cx),
    eval: |cx, inputs| composite::eval_wide(&GROUP_NORM, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// `x`, its channels second, normalised by groups with the attributes of `node`, in the type of `x`.
///
/// # Errors
/// When the type or rank is not known, or the activation is unknown.
pub(crate) fn normalised(b: &mut Builder, node: NodeId, x: ValueId) -> OpResult<ValueId> {
    let view = b.attrs(node)?;
    let dtype = b.ty(x).dtype().ok_or_else(|| OpError::unsupported("an operand of unknown type"))?;
    let mut like = |i: usize| {
        let v = b.input(node, i)?;
        match b.ty(v).dtype() == Some(dtype) {
            true => Ok(v),
            false => b.op_with("Cast", &[v], Attrs::new().with("to", dtype)),
        }
    };
    let (gamma, beta) = (like(1)?, like(2)?);
    let attrs = Attrs::new().with("epsilon", view.float("epsilon")?).with("num_groups", view.int("groups")?);
    let y = b.op_with("GroupNormalization", &[x, gamma, beta], attrs)?;
    match view.int("activation")? {
        0 => Ok(y),
        1 => {
            let gate = b.op("Sigmoid", &[y])?;
            b.op("Mul", &[y, gate])
        }
        other => Err(OpError::invalid(format!("activation {other}; 0 for none and 1 for SiLU are known"))),
    }
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let last = b.attrs(node)?.flag("channels_last")?;
    let mut x = b.input(node, 0)?;
    if last {
        x = quantized::channels(b, x, true)?;
    }
    let y = normalised(b, node, x)?;
    Ok(vec![if last { quantized::channels(b, y, false)? } else { y }])
}

fn samples(s: &mut Samples) {
    for (dtype, scale) in [(F32, F32), (F16, F32), (F16, F16), (F32, F16)] {
        for (shape, last) in [([2, 3, 2, 4], 1i64), ([2, 4, 3, 2], 0)] {
            let (x, gamma, beta) = (s.any(dtype, &shape), s.any(scale, &[4]), s.any(scale, &[4]));
            let case = s.case().input(x).input(gamma).input(beta).attr("groups", 2).attr("activation", last);
            case.attr("channels_last", last).attr("epsilon", 1e-3f32).add();
        }
    }
}
