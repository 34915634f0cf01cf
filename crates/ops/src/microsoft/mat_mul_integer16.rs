//! com.microsoft.MatMulInteger16: the product of matrices of 16-bit integers, in 32 bits.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T1"), Param::one("B", "T2")],
    outputs: &[Param::one("Y", "T3")],
    attrs: &[],
    types: &[
        types_of("T1", TypeSet::tensors(&[I16, U16])),
        types_of("T2", TypeSet::tensors(&[I16, U16])),
        types_of("T3", TypeSet::tensors(&[I32, U32])),
    ],
};

/// The operator MatMulInteger16 of ONNX Runtime.
pub static MAT_MUL_INTEGER16: OpDef = OpDef {
    name: "MatMulInteger16",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&MAT_MUL_INTEGER16, cx),
    eval: |cx, inputs| composite::eval(&MAT_MUL_INTEGER16, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, y) = (b.input(node, 0)?, b.input(node, 1)?);
    let unsigned = |v: ValueId| b.ty(v).dtype() == Some(U16);
    let to = if unsigned(x) && unsigned(y) { U32 } else { I32 };
    let mut wide = |v: ValueId| b.op_with("Cast", &[v], Attrs::new().with("to", to));
    let (x, y) = (wide(x)?, wide(y)?);
    Ok(vec![b.op("MatMul", &[x, y])?])
}

fn samples(s: &mut Samples) {
    for left in [I16, U16] {
        for right in [I16, U16] {
            let (a, b) = (s.any(left, &[2, 3]), s.any(right, &[3, 4]));
            s.case().input(a).input(b).add();
            let (a, b) = (s.any(left, &[2, 1, 3, 4]), s.any(right, &[3, 4, 2]));
            s.case().input(a).input(b).add();
        }
    }
}
