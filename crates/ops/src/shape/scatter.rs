//! Scatter: the name of ScatterElements before opset 11.
//!
//! <https://onnx.ai/onnx/operators/onnx__Scatter.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "Tind"), Param::one("updates", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("axis", 0)],
    types: &[types_of("T", ALL), types_of("Tind", INDEX)],
};

/// The ONNX operator Scatter.
pub static SCATTER: OpDef = OpDef {
    name: "Scatter",
    since: 9,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    ends: Some(11),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, indices, updates) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?, cx.tensor(inputs, 2)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let at = crate::shape::gather_elements::positions(x.shape(), indices, axis)?;
    Ok(vec![crate::shape::scattering::scattered(x, updates, &at, "none")?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let inputs = [b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?];
    let axis = b.attrs(node)?.int("axis")?;
    Ok(vec![b.op_with("ScatterElements", &inputs, Attrs::new().with("axis", axis))?])
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let (x, u) = (s.any(dtype, &[3, 2]), s.any(dtype, &[3, 1]));
        for index in [I32, I64] {
            let at = s.ints(index, &[3, 1], -2, 1);
            s.case().input(x.clone()).input(at).input(u.clone()).attr("axis", 1).add();
        }
    }
}
