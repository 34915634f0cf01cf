//! com.microsoft.SkipGroupNorm: GroupNorm of the sum of a tensor, a residual and a bias; the sum itself is a
//! further result.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, group_norm, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("gamma", "M"),
        Param::one("beta", "M"),
        Param::one("skip", "T"),
        Param::opt("bias", "T"),
    ],
    outputs: &[Param::one("Y", "T"), Param::opt("S", "T")],
    attrs: &[
        AttrDef::required("activation", AttrKind::Int),
        AttrDef::int("channels_last", 1),
        AttrDef::float("epsilon", 1e-5),
        AttrDef::required("groups", AttrKind::Int),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16])), types_of("M", TypeSet::tensors(&[F32, F16]))],
};

/// The operator SkipGroupNorm of ONNX Runtime.
pub static SKIP_GROUP_NORM: OpDef = OpDef {
    name: "SkipGroupNorm",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&SKIP_GROUP_NORM, cx),
    eval: |cx, inputs| composite::eval_wide(&SKIP_GROUP_NORM, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let last = b.attrs(node)?.flag("channels_last")?;
    let channels_last = |b: &mut Builder, x: ValueId| if last { Ok(x) } else { quantized::channels(b, x, false) };
    let (x, mut skip) = (b.input(node, 0)?, b.input(node, 3)?);
    let mut sum = channels_last(b, x)?;
    skip = match b.ty(skip).rank() {
        Some(2) => {
            let axes = b.ints(&[1, 2]);
            b.op("Unsqueeze", &[skip, axes])?
        }
        Some(_) => channels_last(b, skip)?,
        None => return Err(OpError::unsupported("a residual of unknown rank")),
    };
    sum = b.op("Add", &[sum, skip])?;
    if let Some(bias) = b.opt_input(node, 4) {
        sum = b.op("Add", &[sum, bias])?;
    }
    let first = quantized::channels(b, sum, true)?;
    let y = group_norm::normalised(b, node, first)?;
    match last {
        true => Ok(vec![quantized::channels(b, y, false)?, sum]),
        false => Ok(vec![y, first]),
    }
}

fn samples(s: &mut Samples) {
    for (dtype, scale) in [(F32, F32), (F16, F32), (F16, F16), (F32, F16)] {
        for (shape, skip, last) in [([2, 3, 2, 4], &[2usize, 4] as &[usize], 1i64), ([2, 4, 3, 2], &[2, 4, 3, 2], 0)] {
            let (x, gamma, beta) = (s.any(dtype, &shape), s.any(scale, &[4]), s.any(scale, &[4]));
            let (skip, bias) = (s.any(dtype, skip), s.any(dtype, &[4]));
            let case = s.case().input(x.clone()).input(gamma.clone()).input(beta.clone()).input(skip.clone());
            let case = case.input(bias).attr("groups", 2).attr("activation", last).attr("channels_last", last);
            case.attr("epsilon", 1e-3f32).outputs(2).add();
            let case = s.case().input(x).input(gamma).input(beta).input(skip).attr("groups", 4);
            case.attr("activation", 0).attr("channels_last", last).add();
        }
    }
}
