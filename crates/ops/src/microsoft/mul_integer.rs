//! com.microsoft.MulInteger: products of quantized integers less their zero points, in 32 bits.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T"),
        Param::opt("A_zero_point", "T"),
        Param::one("B", "T"),
        Param::opt("B_zero_point", "T"),
    ],
    outputs: &[Param::one("C", "T1")],
    attrs: &[],
    types: &[types_of("T", BYTES), types_of("T1", TypeSet::tensors(&[I32]))],
};

/// The operator MulInteger of ONNX Runtime.
pub static MUL_INTEGER: OpDef = OpDef {
    name: "MulInteger",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MUL_INTEGER, cx),
    eval: |cx, inputs| composite::eval(&MUL_INTEGER, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let mut centred = |i: usize| {
        let to = Attrs::new().with("to", I32);
        let x = b.input(node, i)?;
        let x = b.op_with("Cast", &[x], to.clone())?;
        match b.opt_input(node, i + 1) {
            Some(zero) => {
                let zero = b.op_with("Cast", &[zero], to)?;
                b.op("Sub", &[x, zero])
            }
            None => Ok(x),
        }
    };
    let (x, y) = (centred(0)?, centred(2)?);
    Ok(vec![b.op("Mul", &[x, y])?])
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        let (a, b, p, q) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3]), s.any(dtype, &[]), s.any(dtype, &[]));
        s.case().input(a.clone()).input(p).input(b.clone()).input(q).add();
        s.case().input(a).absent().input(b).add();
    }
}
