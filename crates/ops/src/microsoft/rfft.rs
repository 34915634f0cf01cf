//! com.microsoft.Rfft: the one-sided Fourier transform of real signals in the last dimension.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::int("normalized", 0), AttrDef::int("onesided", 1), AttrDef::int("signal_ndim", 1)],
    types: &[types_of("T", FLOATS)],
};

/// The operator Rfft of ONNX Runtime.
pub static RFFT: OpDef = OpDef {
    name: "Rfft",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&RFFT, cx),
    eval: |cx, inputs| composite::eval_wide(&RFFT, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Refuses what the runtime refuses.
///
/// # Errors
/// For transforms over several dimensions, normalised ones and two-sided ones.
pub(crate) fn checked(view: &AttrView) -> OpResult<()> {
    match (view.int("signal_ndim")?, view.int("normalized")?, view.int("onesided")?) {
        (1, 0, 1) => Ok(()),
        other => Err(OpError::unsupported(format!("signal_ndim, normalized, onesided {other:?}; 1, 0, 1 are known"))),
    }
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    checked(&b.attrs(node)?)?;
    let (x, last) = (b.input(node, 0)?, b.ints(&[-1]));
    let x = b.op("Unsqueeze", &[x, last])?;
    let axis = b.constant(Tensor::scalar(-2i64));
    b.node("", "DFT", &[Some(x), None, Some(axis)], Attrs::new().with("onesided", 1), 1)
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        for shape in [&[8usize] as &[usize], &[2, 6], &[1, 3, 16]] {
            let x = s.any(dtype, shape);
            s.case().input(x).add();
        }
    }
}
