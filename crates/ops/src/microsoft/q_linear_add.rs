//! com.microsoft.QLinearAdd: the sum of two quantized tensors, each with a scale and a zero point of its own, quantized
//! again. Operands broadcast.

use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

pub(crate) const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "T"),
        Param::one("A_scale", "tensor(float)"),
        Param::opt("A_zero_point", "T"),
        Param::one("B", "T"),
        Param::one("B_scale", "tensor(float)"),
        Param::opt("B_zero_point", "T"),
        Param::one("C_scale", "tensor(float)"),
        Param::opt("C_zero_point", "T"),
    ],
    outputs: &[Param::one("C", "T")],
    attrs: &[],
    types: &[types_of("T", BYTES)],
};

/// The operator QLinearAdd of ONNX Runtime.
pub static Q_LINEAR_ADD: OpDef = OpDef {
    name: "QLinearAdd",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match (cx.shape(0), cx.shape(3)) {
        (Some(a), Some(b)) => Some(shapes::broadcast(&[a, b])?),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0).or(cx.dtype(3)), shape);
    Ok(())
}

/// What QuantizeLinear needs to know where the result has no zero point.
fn result_type(dtype: DType) -> Attrs {
    Attrs::new().with("output_dtype", dtype)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let real = |i: usize| {
        let parts = [Some(cx.tensor(inputs, i)?), Some(cx.tensor(inputs, i + 1)?), cx.opt_tensor(inputs, i + 2)?];
        fused::hub(cx, "DequantizeLinear", Attrs::new(), &parts)
    };
    let sum = fused::hub(cx, "Add", Attrs::new(), &[Some(&real(0)?), Some(&real(3)?)])?;
    let parts = [Some(&sum), Some(cx.tensor(inputs, 6)?), cx.opt_tensor(inputs, 7)?];
    Ok(vec![fused::hub(cx, "QuantizeLinear", result_type(cx.tensor(inputs, 0)?.dtype()), &parts)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let a = b.input(node, 0)?;
    let dtype = b.ty(a).dtype().ok_or_else(|| OpError::unsupported("an operand of unknown type"))?;
    let mut sides = Vec::new();
    for i in [0, 3] {
        let parts = [Some(b.input(node, i)?), Some(b.input(node, i + 1)?), b.opt_input(node, i + 2)];
        sides.extend(b.node("", "DequantizeLinear", &parts, Attrs::new(), 1)?);
    }
    let sum = b.op("Add", &sides)?;
    let parts = [Some(sum), Some(b.input(node, 6)?), b.opt_input(node, 7)];
    b.node("", "QuantizeLinear", &parts, result_type(dtype), 1)
}

pub(crate) fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        for (p, q) in [(&[3, 4][..], &[3, 4][..]), (&[2, 1, 3], &[4, 1]), (&[5], &[]), (&[2, 0], &[1])] {
            let (a, b) = (s.ints(dtype, p, 0, 100), s.ints(dtype, q, 0, 100));
            let scales = [0.5f32, 0.25, 0.75].map(Tensor::scalar);
            let [x, y, z] = scales.clone();
            let zeros = [s.any(dtype, &[]), s.any(dtype, &[]), s.any(dtype, &[])];
            let [u, v, w] = zeros;
            let case = s.case().input(a.clone()).input(x).input(u).input(b.clone()).input(y).input(v);
            case.input(z).input(w).add();
            let [x, y, z] = scales;
            s.case().input(a).input(x).absent().input(b).input(y).absent().input(z).add();
        }
    }
}
