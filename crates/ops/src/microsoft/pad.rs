//! com.microsoft.Pad: as the operator of that name; the pads may be a matrix of one row.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("pads", "tensor(int64)"), Param::opt("value", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::string("mode", "constant")],
    types: &[types_of("T", FLOATS)],
};

/// The operator Pad of ONNX Runtime.
pub static PAD: OpDef = OpDef {
    name: "Pad",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&PAD, cx),
    eval: |cx, inputs| composite::eval(&PAD, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let attrs = fused::chosen(&b.attrs(node)?, &["mode"])?;
    let (x, pads, all) = (b.input(node, 0)?, b.input(node, 1)?, b.ints(&[-1]));
    let pads = b.op("Reshape", &[pads, all])?;
    let value = match b.opt_input(node, 2) {
        Some(value) => {
            let scalar = b.ints(&[]);
            Some(b.op("Reshape", &[value, scalar])?)
        }
        None => None,
    };
    b.node("", "Pad", &[Some(x), Some(pads), value], attrs, 1)
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        let (x, value) = (s.any(dtype, &[3, 4]), s.any(dtype, &[1]));
        s.case().input(x.clone()).input(Tensor::vector(&[0i64, 2, 1, 0])).input(value).add();
        let pads = Tensor::new(&[1, 4], vec![1i64, 0, 2, 1]).expect("four elements");
        s.case().input(x.clone()).input(pads).add();
        for mode in ["reflect", "edge"] {
            s.case().input(x.clone()).input(Tensor::vector(&[1i64, 2, 0, 1])).attr("mode", mode).add();
        }
    }
}
