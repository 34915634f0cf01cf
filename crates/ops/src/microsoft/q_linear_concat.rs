//! com.microsoft.QLinearConcat: quantized tensors, each with a scale and a zero point, joined and quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("Y_scale", "TF"), Param::one("Y_zero_point", "T8"), Param::mixed("inputs", "TV", 1)],
    outputs: &[Param::one("Y", "T8")],
    attrs: &[AttrDef::required("axis", AttrKind::Int)],
    types: &[
        types_of("T8", BYTES),
        types_of("TF", TypeSet::tensors(&[F32])),
        types_of("TV", TypeSet::tensors(&[F32, I8, U8])),
    ],
};

/// The operator QLinearConcat of ONNX Runtime.
pub static Q_LINEAR_CONCAT: OpDef = OpDef {
    name: "QLinearConcat",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_CONCAT, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_CONCAT, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let count = b.model.nodes[node].inputs.len();
    if count < 5 || count % 3 != 2 {
        return Err(OpError::invalid(format!(
            "{count} operands; two and triples of tensor, scale, zero point are wanted"
        )));
    }
    let parts = (2..count).step_by(3).map(|i| quantized::real(b, node, i)).collect::<OpResult<Vec<_>>>()?;
    let axis = b.attrs(node)?.int("axis")?;
    let joined = b.op_with("Concat", &parts, Attrs::new().with("axis", axis))?;
    quantized::again(b, node, joined, 0, 1)
}

fn samples(s: &mut Samples) {
    for (dtype, axis) in BYTES.dtypes().flat_map(|d| [(d, 1i64), (d, -2)]) {
        let mut case_inputs = vec![];
        for (i, scale) in [0.5f32, 0.25, 0.75].into_iter().enumerate() {
            let shape = if axis == 1 { [2, i + 1] } else { [i + 1, 3] };
            case_inputs.extend([s.ints(dtype, &shape, 0, 100), Tensor::scalar(scale), s.any(dtype, &[])]);
        }
        let zero = s.any(dtype, &[]);
        let mut case = s.case().input(Tensor::scalar(0.6f32)).input(zero).attr("axis", axis);
        for t in case_inputs {
            case = case.input(t);
        }
        case.add();
    }
}
