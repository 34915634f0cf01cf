//! com.microsoft.Range: as the operator of that name; the step may be left out.

use crate::microsoft::composite;
use crate::microsoft::fused::DOMAIN;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("start", "T"), Param::one("limit", "T"), Param::opt("delta", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I16, I32, I64]))],
};

/// The operator Range of ONNX Runtime.
pub static RANGE: OpDef = OpDef {
    name: "Range",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&RANGE, cx),
    eval: |cx, inputs| composite::eval(&RANGE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (scalar, given) = (b.ints(&[]), b.opt_input(node, 2));
    let mut number = |i: usize| {
        let x = b.input(node, i)?;
        match b.model.constant(x) {
            Some(known) => Ok(b.constant(known.reshaped(&[])?)),
            None => b.op("Reshape", &[x, scalar]),
        }
    };
    let (start, limit) = (number(0)?, number(1)?);
    let step = match given {
        Some(_) => number(2)?,
        None => b.scalar_like(start, 1.0)?,
    };
    Ok(vec![b.op("Range", &[start, limit, step])?])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let n = |v: f64, shape: &[usize]| Tensor::from_f64s(dtype, shape, &[v]).expect("one element");
        s.case().input(n(2.0, &[])).input(n(9.0, &[])).input(n(3.0, &[])).add();
        s.case().input(n(0.0, &[1])).input(n(4.0, &[1])).add();
        s.case().input(n(5.0, &[])).input(n(-1.0, &[])).input(n(-2.0, &[])).add();
    }
}
