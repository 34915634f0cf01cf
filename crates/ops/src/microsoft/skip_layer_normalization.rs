//! com.microsoft.SkipLayerNormalization: LayerNormalization over the last dimension of the sum of two tensors and an
//! optional bias; mean and inverse deviation in `f32`, and the sum itself, are further results.

use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("skip", "T"),
        Param::one("gamma", "T"),
        Param::opt("beta", "T"),
        Param::opt("bias", "T"),
    ],
    outputs: &[
        Param::one("output", "T"),
        Param::opt("mean", "U"),
        Param::opt("inv_std_var", "U"),
        Param::opt("input_skip_bias_sum", "T"),
    ],
    attrs: &[AttrDef::float("epsilon", 1e-12)],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16])), types_of("U", TypeSet::tensors(&[F32]))],
};

/// The operator SkipLayerNormalization of ONNX Runtime.
pub static SKIP_LAYER_NORMALIZATION: OpDef = OpDef {
    name: "SkipLayerNormalization",
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
    let (ty, shape) = (cx.ty(0), cx.shape(0).map(<[Dim]>::to_vec));
    cx.set(0, ty.clone());
    cx.set(3, ty);
    let mut reduced = shape;
    if let Some(last) = reduced.as_mut().and_then(|s| s.last_mut()) {
        *last = Dim::Known(1);
    }
    cx.set_tensor(1, Some(F32), reduced.clone());
    cx.set_tensor(2, Some(F32), reduced);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, gamma) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 2)?);
    let wide = |t: &Tensor| Tensor::from_f64s(F64, t.shape(), &t.to_f64s()?);
    let mut sum = wide(x)?;
    for i in [1, 4] {
        if let Some(t) = cx.opt_tensor(inputs, i)? {
            sum = fused::hub(cx, "Add", Attrs::new(), &[Some(&sum), Some(&wide(t)?)])?;
        }
    }
    let width = x.shape().last().copied().unwrap_or(1);
    let beta = cx.opt_tensor(inputs, 3)?.map(Tensor::to_f64s).transpose()?;
    let gamma = gamma.to_f64s()?;
    if gamma.len() != width || beta.as_ref().is_some_and(|b| b.len() != width) || sum.shape() != x.shape() {
        return Err(OpError::invalid(format!("gamma of {} elements for shape {:?}", gamma.len(), x.shape())));
    }
    let epsilon = f64::from(cx.attrs.float("epsilon")?);
    let (mut out, mut means, mut inverses) = (Vec::new(), Vec::new(), Vec::new());
    for row in sum.to_f64s()?.chunks(width.max(1)) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        let shift = |i: usize| beta.as_ref().map_or(0.0, |b| b[i]);
        out.extend(row.iter().enumerate().map(|(i, v)| (v - mean) * inverse * gamma[i] + shift(i)));
        means.push(mean);
        inverses.push(inverse);
    }
    let mut reduced = x.shape().to_vec();
    if let Some(last) = reduced.last_mut() {
        *last = 1;
    }
    means.resize(reduced.iter().product(), f64::NAN);
    inverses.resize(reduced.iter().product(), f64::NAN);
    Ok(vec![
        Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into(),
        Tensor::from_f64s(F32, &reduced, &means)?.into(),
        Tensor::from_f64s(F32, &reduced, &inverses)?.into(),
        Tensor::from_f64s(x.dtype(), x.shape(), &sum.to_f64s()?)?.into(),
    ])
}

/// Half precision is widened first: statistics are taken in `f32`.
fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let narrow = b.input(node, 0).map(|v| b.ty(v).dtype())?.filter(|d| *d != F32);
    let cast = |b: &mut Builder, v: ValueId, to: DType| b.op_with("Cast", &[v], Attrs::new().with("to", to));
    let mut operands = Vec::new();
    for i in [0, 1, 4, 2, 3] {
        operands.push(match b.opt_input(node, i) {
            Some(v) if narrow.is_some() => Some(cast(b, v, F32)?),
            v => v,
        });
    }
    let mut sum = operands[0].ok_or_else(|| OpError::invalid("input 0 is required"))?;
    for v in operands[1..3].iter().flatten() {
        sum = b.op("Add", &[sum, *v])?;
    }
    let epsilon = b.attrs(node)?.float("epsilon")?;
    let attrs = Attrs::new().with("axis", -1).with("epsilon", epsilon);
    let mut out = b.node("", "LayerNormalization", &[Some(sum), operands[3], operands[4]], attrs, 3)?;
    out.push(sum);
    if let Some(to) = narrow {
        out[0] = cast(b, out[0], to)?;
        out[3] = cast(b, sum, to)?;
    }
    Ok(out)
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F16] {
        let (x, skip) = (s.any(dtype, &[2, 3, 4]), s.any(dtype, &[2, 3, 4]));
        let [g, b, c] = [0; 3].map(|_| s.any(dtype, &[4]));
        let case = s.case().input(x.clone()).input(skip.clone()).input(g.clone()).input(b).input(c);
        case.attr("epsilon", 1e-5f32).outputs(4).add();
        s.case().input(x).input(skip).input(g).attr("epsilon", 1e-5f32).add();
    }
}
