//! com.microsoft.QLinearSoftmax: the softmax of a quantized tensor, quantized again. Before opset 13 all dimensions from
//! `axis` on count as one.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("X_scale", "tensor(float)"),
        Param::opt("x_zero_point", "T"),
        Param::one("y_scale", "tensor(float)"),
        Param::one("y_zero_point", "T"),
    ],
    outputs: &[Param::one("Y", "T")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::required("opset", AttrKind::Int)],
    types: &[types_of("T", BYTES)],
};

/// The operator QLinearSoftmax of ONNX Runtime.
pub static Q_LINEAR_SOFTMAX: OpDef = OpDef {
    name: "QLinearSoftmax",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_SOFTMAX, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_SOFTMAX, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let axis = view.int("axis")?;
    let x = quantized::real(b, node, 0)?;
    let y = if view.int("opset")? < 13 {
        let flat = b.op_with("Flatten", &[x], Attrs::new().with("axis", axis))?;
        let sizes = b.ty(x).sizes().map(|s| s.iter().map(|&d| d as i64).collect::<Vec<_>>());
        let shape = match sizes {
            Some(sizes) => b.ints(&sizes),
            None => b.op("Shape", &[x])?,
        };
        let y = b.op_with("Softmax", &[flat], Attrs::new().with("axis", -1))?;
        b.op("Reshape", &[y, shape])?
    } else {
        b.op_with("Softmax", &[x], Attrs::new().with("axis", axis))?
    };
    quantized::again(b, node, y, 3, 0)
}

fn samples(s: &mut Samples) {
    for (dtype, opset, axis) in BYTES.dtypes().flat_map(|d| [(d, 13i64, -1i64), (d, 13, 1), (d, 12, 1)]) {
        for zero in [true, false] {
            let (x, p, q) = (s.ints(dtype, &[2, 3, 4], 0, 100), s.any(dtype, &[]), s.ints(dtype, &[], 0, 0));
            let case = s.case().input(x).input(Tensor::scalar(0.05f32));
            let case = if zero { case.input(p) } else { case.absent() };
            let case = case.input(Tensor::scalar(1f32 / 128.0)).input(q).attr("opset", opset);
            case.attr("axis", axis).add();
        }
    }
}
