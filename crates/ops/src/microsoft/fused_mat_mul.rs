//! com.microsoft.FusedMatMul: alpha times a product of matrices whose last two dimensions, or whose batch dimensions and
//! the one before the last, may be exchanged first.

use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("A", "T"), Param::one("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::float("alpha", 1.0),
        AttrDef::int("transA", 0),
        AttrDef::int("transB", 0),
        AttrDef::int("transBatchA", 0),
        AttrDef::int("transBatchB", 0),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The operator FusedMatMul of ONNX Runtime.
pub static FUSED_MAT_MUL: OpDef = OpDef {
    name: "FusedMatMul",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Order in which the dimensions of an operand are read; `None` when it stays.
fn order(attrs: &AttrView, side: &str, rank: usize) -> OpResult<Option<Vec<i64>>> {
    let (last, batch) = (attrs.flag(&format!("trans{side}"))?, attrs.flag(&format!("transBatch{side}"))?);
    let mut perm = (0..rank as i64).collect::<Vec<_>>();
    if rank < 2 {
        return Ok(None);
    }
    if batch {
        // The first dimension moves to the place before the last.
        perm = (1..rank as i64 - 1).chain([0, rank as i64 - 1]).collect();
    }
    if last {
        perm.swap(rank - 2, rank - 1);
    }
    Ok((last || batch).then_some(perm))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (Some(a), Some(b)) = (cx.shape(0), cx.shape(1)) else {
        cx.set_tensor(0, cx.dtype(0), None);
        return Ok(());
    };
    let moved = |side: &str, shape: &[Dim]| match order(&cx.attrs, side, shape.len()) {
        Ok(Some(perm)) => Ok(perm.into_iter().map(|p| shape[p as usize].clone()).collect()),
        Ok(None) => Ok(shape.to_vec()),
        Err(e) => Err(e),
    };
    let facts = [moved("A", a)?, moved("B", b)?]
        .map(|shape| Some(Fact::of(Type::Tensor(TensorType { dtype: cx.dtype(0), shape: Some(shape) }))));
    let def = crate::all().get("", "MatMul").ok_or_else(|| OpError::unsupported("operator MatMul"))?;
    let mut inner = InferCx::new(AttrView::owned(def, Attrs::new()), &facts, 1, &modelsmith_ir::NoRegions);
    (def.infer)(&mut inner)?;
    if let Some(fact) = inner.finish().into_iter().next() {
        cx.set_fact(0, fact);
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let mut operands = Vec::new();
    for (i, side) in ["A", "B"].into_iter().enumerate() {
        let x = cx.tensor(inputs, i)?;
        operands.push(match order(&cx.attrs, side, x.rank())? {
            Some(perm) => modelsmith_tensor::permuted(x, &perm.iter().map(|&p| p as usize).collect::<Vec<_>>())?,
            None => x.clone(),
        });
    }
    let wide = |t: &Tensor| Tensor::from_f64s(F64, t.shape(), &t.to_f64s()?);
    let (a, b) = (wide(&operands[0])?, wide(&operands[1])?);
    let product = fused::hub(cx, "MatMul", Attrs::new(), &[Some(&a), Some(&b)])?;
    let alpha = f64::from(cx.attrs.float("alpha")?);
    let out = product.to_f64s()?.into_iter().map(|x| alpha * x).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(operands[0].dtype(), product.shape(), &out)?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let mut operands = Vec::new();
    for (i, side) in ["A", "B"].into_iter().enumerate() {
        let x = b.input(node, i)?;
        let rank = b.ty(x).rank().ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?;
        operands.push(match order(&attrs, side, rank)? {
            Some(perm) => b.op_with("Transpose", &[x], Attrs::new().with("perm", perm))?,
            None => x,
        });
    }
    let product = b.op("MatMul", &operands)?;
    let alpha = attrs.float("alpha")?;
    if alpha == 1.0 {
        return Ok(vec![product]);
    }
    let alpha = b.scalar_like(operands[0], alpha.into())?;
    Ok(vec![b.op("Mul", &[product, alpha])?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[3, 4]));
        s.case().input(a).input(b).attr("alpha", 0.5f32).add();
    }
    let (a, b) = (s.any(F32, &[3, 2]), s.any(F32, &[4, 3]));
    s.case().input(a).input(b).attr("transA", 1).attr("transB", 1).add();
    let (a, b) = (s.any(F32, &[3, 2, 4]), s.any(F32, &[5, 2, 4]));
    let case = s.case().input(a).input(b).attr("transBatchA", 1).attr("transBatchB", 1);
    case.attr("transB", 1).attr("alpha", -1.0f32).add();
    let (a, b) = (s.any(F32, &[2, 0]), s.any(F32, &[0, 3]));
    s.case().input(a).input(b).add();
}
