//! com.microsoft.QGemm: the product of quantized matrices plus an integer bias, as floats or quantized again.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("A", "TA"),
        Param::one("a_scale", "T"),
        Param::one("a_zero_point", "TA"),
        Param::one("B", "TB"),
        Param::one("b_scale", "T"),
        Param::one("b_zero_point", "TB"),
        Param::opt("C", "TC"),
        Param::opt("y_scale", "T"),
        Param::opt("y_zero_point", "TYZ"),
    ],
    outputs: &[Param::one("Y", "TY")],
    attrs: &[AttrDef::float("alpha", 1.0), AttrDef::int("transA", 0), AttrDef::int("transB", 0)],
    types: &[
        types_of("T", TypeSet::tensors(&[F32])),
        types_of("TA", BYTES),
        types_of("TB", BYTES),
        types_of("TC", TypeSet::tensors(&[I32])),
        types_of("TY", TypeSet::tensors(&[F32, I8, U8])),
        types_of("TYZ", BYTES),
    ],
};

/// The operator QGemm of ONNX Runtime.
pub static Q_GEMM: OpDef = OpDef {
    name: "QGemm",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_GEMM, cx),
    eval: |cx, inputs| composite::eval(&Q_GEMM, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let turned = |b: &mut Builder, i: usize, name: &str| match view.flag(name)? {
        true => {
            let x = b.input(node, i)?;
            b.op_with("Transpose", &[x], Attrs::new().with("perm", [1, 0]))
        }
        false => b.input(node, i),
    };
    let (x, y) = (turned(b, 0, "transA")?, turned(b, 3, "transB")?);
    let operands = [Some(x), Some(y), Some(b.input(node, 2)?), Some(b.input(node, 5)?)];
    let mut sums = b.node("", "MatMulInteger", &operands, Attrs::new(), 1)?[0];
    if let Some(bias) = b.opt_input(node, 6) {
        sums = b.op("Add", &[sums, bias])?;
    }
    let sums = b.op_with("Cast", &[sums], Attrs::new().with("to", F32))?;
    let (left, right) = (b.input(node, 1)?, b.input(node, 4)?);
    let alpha = b.scalar_like(left, view.float("alpha")?.into())?;
    let factor = b.op("Mul", &[left, right])?;
    let factor = b.op("Mul", &[factor, alpha])?;
    let y = b.op("Mul", &[sums, factor])?;
    match b.opt_input(node, 7) {
        Some(_) => quantized::again(b, node, y, 7, 0),
        None => Ok(vec![y]),
    }
}

fn samples(s: &mut Samples) {
    for (left, right) in [(U8, U8), (U8, I8), (I8, I8)] {
        let (a, w) = (s.any(left, &[2, 3]), s.any(right, &[3, 4]));
        let (p, q, bias) = (s.any(left, &[]), s.any(right, &[4]), s.ints(I32, &[4], -9, 9));
        let (x, y) = (Tensor::scalar(0.05f32), s.floats(F32, &[4], 0.01, 0.05));
        let case = s.case().input(a.clone()).input(x.clone()).input(p.clone());
        let case = case.input(w.clone()).input(y).input(q).input(bias);
        let zero = Tensor::from_f64s(left, &[], &[3.0]).expect("one element");
        case.input(Tensor::scalar(0.02f32)).input(zero).attr("alpha", 0.5f32).add();
        let q = s.any(right, &[]);
        s.case().input(a).input(x.clone()).input(p.clone()).input(w).input(x.clone()).input(q.clone()).add();
        let (a, w, bias) = (s.any(left, &[3, 2]), s.any(right, &[4, 3]), s.ints(I32, &[2, 4], -9, 9));
        let case = s.case().input(a).input(x.clone()).input(p).input(w).input(x).input(q).input(bias);
        case.attr("transA", 1).attr("transB", 1).add();
    }
}
