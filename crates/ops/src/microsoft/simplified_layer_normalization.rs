//! SimplifiedLayerNormalization: RMSNormalization by the name under which ONNX Runtime keeps it in the default domain,
//! of which no opset of the specification knows; the reciprocal root mean square is a further result.

use crate::microsoft::{composite, fused};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("scale", "V")],
    outputs: &[Param::one("Y", "V"), Param::opt("inv_std_var", "U")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::float("epsilon", 1e-5), AttrDef::int("stash_type", 1)],
    types: &[types_of("T", FLOATS_BF16), types_of("U", TypeSet::tensors(&[F32, F64])), types_of("V", FLOATS_BF16)],
};

/// The operator SimplifiedLayerNormalization of ONNX Runtime.
pub static SIMPLIFIED_LAYER_NORMALIZATION: OpDef = OpDef {
    name: "SimplifiedLayerNormalization",
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&SIMPLIFIED_LAYER_NORMALIZATION, cx),
    eval: |cx, inputs| composite::eval(&SIMPLIFIED_LAYER_NORMALIZATION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let (x, scale) = (b.input(node, 0)?, b.input(node, 1)?);
    let attrs = fused::chosen(&view, &["axis", "epsilon", "stash_type"])?;
    let y = b.op_with("RMSNormalization", &[x, scale], attrs)?;
    if b.model.nodes[node].output(1).is_none() && b.model.nodes[node].outputs.len() < 2 {
        return Ok(vec![y]);
    }
    let rank = b.ty(x).rank().ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?;
    let axis = shapes::axis(view.int("axis")?, rank)? as i64;
    let axes = b.ints(&(axis..rank as i64).collect::<Vec<_>>());
    let wide = match b.ty(x).dtype() {
        Some(F32 | F64) => x,
        _ => b.op_with("Cast", &[x], Attrs::new().with("to", F32))?,
    };
    let square = b.op("Mul", &[wide, wide])?;
    let mean = b.op("ReduceMean", &[square, axes])?;
    let epsilon = b.scalar_like(wide, view.float("epsilon")?.into())?;
    let safe = b.op("Add", &[mean, epsilon])?;
    let root = b.op("Sqrt", &[safe])?;
    Ok(vec![y, b.op("Reciprocal", &[root])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, scale) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[4]));
        s.case().input(x.clone()).input(scale.clone()).attr("epsilon", 1e-3f32).add();
        if matches!(dtype, F32 | F64) {
            s.case().input(x).input(scale).outputs(2).add();
        }
    }
    let (x, scale) = (s.any(F32, &[2, 3, 4]), s.any(F32, &[3, 4]));
    s.case().input(x).input(scale).attr("axis", 1).add();
    let (x, scale) = (s.any(F16, &[2, 4]), s.any(F16, &[4]));
    s.case().input(x).input(scale).attr("stash_type", 10).add();
}
