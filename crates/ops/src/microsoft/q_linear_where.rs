//! com.microsoft.QLinearWhere: elements of one quantized tensor or another, quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("condition", "B"),
        Param::one("X", "T"),
        Param::one("x_scale", "TF"),
        Param::one("x_zero_point", "T"),
        Param::one("Y", "T"),
        Param::one("y_scale", "TF"),
        Param::one("y_zero_point", "T"),
        Param::one("z_scale", "TF"),
        Param::one("z_zero_point", "T"),
    ],
    outputs: &[Param::one("Z", "T")],
    attrs: &[],
    types: &[types_of("B", BOOL), types_of("T", BYTES), types_of("TF", TypeSet::tensors(&[F32]))],
};

/// The operator QLinearWhere of ONNX Runtime.
pub static Q_LINEAR_WHERE: OpDef = OpDef {
    name: "QLinearWhere",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_WHERE, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_WHERE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, y) = (quantized::real(b, node, 1)?, quantized::real(b, node, 4)?);
    let condition = b.input(node, 0)?;
    let z = b.op("Where", &[condition, x, y])?;
    quantized::again(b, node, z, 7, 1)
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        for (c, x, y) in
            [(&[2usize, 3] as &[usize], &[2usize, 3] as &[usize], &[3usize] as &[usize]), (&[3, 1], &[], &[3, 4])]
        {
            let (c, x, y) = (s.any(Bool, c), s.ints(dtype, x, 0, 120), s.ints(dtype, y, 0, 120));
            let (p, q, r) = (s.any(dtype, &[]), s.any(dtype, &[]), s.any(dtype, &[]));
            let case = s.case().input(c).input(x).input(Tensor::scalar(0.05f32)).input(p);
            let case = case.input(y).input(Tensor::scalar(0.07f32)).input(q);
            case.input(Tensor::scalar(0.06f32)).input(r).add();
        }
    }
}
