//! com.microsoft.FastGelu: Gelu by the hyperbolic tangent, of a tensor and an optional bias along its last dimension.

use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::opt("bias", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator FastGelu of ONNX Runtime.
pub static FAST_GELU: OpDef = OpDef {
    name: "FastGelu",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: elementwise::same_as_first,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let mut x = cx.tensor(inputs, 0)?.clone();
    if let Some(bias) = cx.opt_tensor(inputs, 1)? {
        x = fused::hub(cx, "Add", Attrs::new(), &[Some(&x), Some(bias)])?;
    }
    Ok(vec![fused::hub(cx, "Gelu", Attrs::new().with("approximate", "tanh"), &[Some(&x)])?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let mut x = b.input(node, 0)?;
    if let Some(bias) = b.opt_input(node, 1) {
        x = b.op("Add", &[x, bias])?;
    }
    Ok(vec![b.op_with("Gelu", &[x], Attrs::new().with("approximate", "tanh"))?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3]));
        s.case().input(a.clone()).input(b).add();
        s.case().input(a).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
}
