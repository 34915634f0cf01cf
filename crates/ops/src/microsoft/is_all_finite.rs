//! com.microsoft.IsAllFinite: whether every element of every operand is finite.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("input", "V", 1)],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("isinf_only", 0), AttrDef::int("isnan_only", 0)],
    types: &[types_of("V", FLOATS_BF16), types_of("T", BOOL)],
};

/// The operator IsAllFinite of ONNX Runtime.
pub static IS_ALL_FINITE: OpDef = OpDef {
    name: "IsAllFinite",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&IS_ALL_FINITE, cx),
    eval: |cx, inputs| composite::eval(&IS_ALL_FINITE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let view = b.attrs(node)?;
    let (inf, nan) = (view.flag("isinf_only")?, view.flag("isnan_only")?);
    if inf && nan {
        return Err(OpError::invalid("isinf_only and isnan_only exclude each other"));
    }
    let mut worst = None;
    for i in 0..b.model.nodes[node].inputs.len() {
        let x = b.input(node, i)?;
        let tests = [("IsNaN", !inf), ("IsInf", !nan)];
        for (name, _) in tests.into_iter().filter(|t| t.1) {
            let found = b.op(name, &[x])?;
            let found = b.op_with("Cast", &[found], Attrs::new().with("to", I32))?;
            let count = b.op_with("ReduceSum", &[found], Attrs::new().with("keepdims", 0))?;
            worst = Some(match worst {
                Some(before) => b.op("Add", &[before, count])?,
                None => count,
            });
        }
    }
    let worst = worst.ok_or_else(|| OpError::invalid("no operand"))?;
    let zero = b.constant(Tensor::scalar(0i32));
    Ok(vec![b.op("Equal", &[worst, zero])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, y) = (s.any(dtype, &[2, 3]), s.special(dtype, 6));
        s.case().input(x.clone()).input(x.clone()).add();
        for name in ["isinf_only", "isnan_only"] {
            s.case().input(x.clone()).input(y.clone()).attr(name, 1).add();
        }
        s.case().input(y).add();
    }
}
