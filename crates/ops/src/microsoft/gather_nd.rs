//! com.microsoft.GatherND: as the operator of that name.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "Tind")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[
        types_of("T", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String])),
        types_of("Tind", INDEX),
    ],
};

/// The operator GatherND of ONNX Runtime.
pub static GATHER_ND: OpDef = OpDef {
    name: "GatherND",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&GATHER_ND, cx),
    eval: |cx, inputs| composite::eval(&GATHER_ND, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, at) = (b.input(node, 0)?, b.input(node, 1)?);
    let at = b.op_with("Cast", &[at], Attrs::new().with("to", I64))?;
    Ok(vec![b.op("GatherND", &[x, at])?])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        for index in [I32, I64] {
            let x = s.any(dtype, &[2, 3, 2]);
            let at = s.ints(index, &[4, 2], 0, 1);
            s.case().input(x).input(at).add();
        }
    }
    let (x, at) = (s.any(F32, &[3, 4]), s.ints(I64, &[2, 1], -3, 2));
    s.case().input(x).input(at).add();
}
