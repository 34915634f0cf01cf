//! com.microsoft.CDist: distances between the rows of two matrices.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("C", "T")],
    attrs: &[AttrDef::string("metric", "sqeuclidean")],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64]))],
};

/// The operator CDist of ONNX Runtime.
pub static CDIST: OpDef = OpDef {
    name: "CDist",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&CDIST, cx),
    eval: |cx, inputs| composite::eval_wide(&CDIST, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let root = match b.attrs(node)?.string("metric")? {
        "sqeuclidean" => false,
        "euclidean" => true,
        other => return Err(OpError::unsupported(format!("metric {other:?}"))),
    };
    let (x, y) = (b.input(node, 0)?, b.input(node, 1)?);
    let (middle, first, last) = (b.ints(&[1]), b.ints(&[0]), b.ints(&[-1]));
    let (x, y) = (b.op("Unsqueeze", &[x, middle])?, b.op("Unsqueeze", &[y, first])?);
    let apart = b.op("Sub", &[x, y])?;
    let sums = b.op_with("ReduceSumSquare", &[apart, last], Attrs::new().with("keepdims", 0))?;
    Ok(vec![if root { b.op("Sqrt", &[sums])? } else { sums }])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64] {
        for metric in ["sqeuclidean", "euclidean"] {
            let (a, b) = (s.any(dtype, &[3, 4]), s.any(dtype, &[5, 4]));
            s.case().input(a).input(b).attr("metric", metric).add();
        }
    }
}
