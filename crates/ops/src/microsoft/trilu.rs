//! com.microsoft.Trilu: as the operator of that name.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::opt("k", "tensor(int64)")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::int("upper", 1)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool]))],
};

/// The operator Trilu of ONNX Runtime.
pub static TRILU: OpDef = OpDef {
    name: "Trilu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&TRILU, cx),
    eval: |cx, inputs| composite::eval(&TRILU, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let attrs = fused::chosen(&b.attrs(node)?, &["upper"])?;
    let operands = [Some(b.input(node, 0)?), b.opt_input(node, 1)];
    b.node("", "Trilu", &operands, attrs, 1)
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[2, 3, 4]);
        s.case().input(x.clone()).add();
        s.case().input(x.clone()).input(Tensor::scalar(1i64)).add();
        s.case().input(x).input(Tensor::scalar(-1i64)).attr("upper", 0).add();
    }
}
