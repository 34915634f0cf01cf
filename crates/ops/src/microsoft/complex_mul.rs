//! com.microsoft.ComplexMul: products of complex numbers, the parts of each in the last dimension.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS)],
};

/// The operator ComplexMul of ONNX Runtime.
pub static COMPLEX_MUL: OpDef = OpDef {
    name: "ComplexMul",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&COMPLEX_MUL, cx),
    eval: |cx, inputs| composite::eval_wide(&COMPLEX_MUL, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Real and imaginary parts of `x`, side by side in its last dimension.
fn halves(b: &mut Builder, x: ValueId) -> OpResult<Vec<ValueId>> {
    b.node("", "Split", &[Some(x)], Attrs::new().with("axis", -1).with("num_outputs", 2), 2)
}

/// The product, with the second factor conjugated or not.
///
/// # Errors
/// Never for operands of known type.
pub(crate) fn product(b: &mut Builder, node: NodeId, conjugated: bool) -> OpResult<Vec<ValueId>> {
    let (x, y) = (b.input(node, 0)?, b.input(node, 1)?);
    let (x, y) = (halves(b, x)?, halves(b, y)?);
    let (rr, ii) = (b.op("Mul", &[x[0], y[0]])?, b.op("Mul", &[x[1], y[1]])?);
    let (ri, ir) = (b.op("Mul", &[x[0], y[1]])?, b.op("Mul", &[x[1], y[0]])?);
    let (real, imaginary) = match conjugated {
        false => (b.op("Sub", &[rr, ii])?, b.op("Add", &[ri, ir])?),
        true => (b.op("Add", &[rr, ii])?, b.op("Sub", &[ir, ri])?),
    };
    Ok(vec![b.op_with("Concat", &[real, imaginary], Attrs::new().with("axis", -1))?])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    product(b, node, false)
}

/// Samples of both products.
pub(crate) fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        for (x, y) in
            [(&[3usize, 2] as &[usize], &[3usize, 2] as &[usize]), (&[2, 3, 2], &[3, 2]), (&[4, 1, 2], &[3, 2])]
        {
            let (x, y) = (s.any(dtype, x), s.any(dtype, y));
            s.case().input(x).input(y).add();
        }
    }
}
