//! com.microsoft.Unique: the elements without repetition in the order of their first occurrence, the place of each,
//! and counts.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("x", "T")],
    outputs: &[Param::one("y", "T"), Param::one("idx", "tensor(int64)"), Param::one("counts", "tensor(int64)")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String]))],
};

/// The operator Unique of ONNX Runtime.
pub static UNIQUE: OpDef = OpDef {
    name: "Unique",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&UNIQUE, cx),
    eval: |cx, inputs| composite::eval(&UNIQUE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let x = b.input(node, 0)?;
    let out = b.node("", "Unique", &[Some(x)], Attrs::new().with("sorted", 0), 4)?;
    Ok(vec![out[0], out[2], out[3]])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[9]);
        s.case().input(x).outputs(3).add();
    }
    let x = Tensor::vector(&[2f32, 1.0, 1.0, 3.0, 4.0, 3.0]);
    s.case().input(x).outputs(3).add();
}
