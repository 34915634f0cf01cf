//! FlexAttention: attention whose scores and whose weights may each pass through a body of the model's own.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxpreview_FlexAttention.html>

use super::heads::Heads;
use super::normalization::rounder;
use super::softmax::softmax;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("Q", "T1"), Param::one("K", "T1"), Param::one("V", "T1")],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::optional("prob_mod", AttrKind::Graph),
        AttrDef::optional("scale", AttrKind::Float),
        AttrDef::optional("score_mod", AttrKind::Graph),
        AttrDef::optional("softmax_precision", AttrKind::Int),
    ],
    types: &[types_of("T1", FLOATS_BF16)],
};

/// The ONNX operator FlexAttention of the preview domain.
pub static FLEX_ATTENTION: OpDef = OpDef {
    name: "FlexAttention",
    domain: "ai.onnx.preview",
    since: 1,
    schema: SCHEMA,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Type of the scores: `f64` for operands of that type, else `f32`, unless the node names one.
fn precision(attrs: &AttrView, operands: DType) -> OpResult<DType> {
    match attrs.opt_dtype("softmax_precision")? {
        Some(d @ (F32 | F64 | F16 | BF16)) => Ok(d),
        Some(other) => Err(OpError::invalid(format!("softmax_precision is {other}, a float type is wanted"))),
        None if operands == F64 => Ok(F64),
        None => Ok(F32),
    }
}

/// Factor of queries and of keys: the root of the scale, in the operands' type.
fn root(attrs: &AttrView, size: usize, dtype: DType) -> OpResult<f64> {
    let scale = attrs.opt_float("scale")?.map_or(1.0 / (size as f64).sqrt(), f64::from);
    Ok(rounder(dtype)(rounder(F32)(scale.sqrt())))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let of = |i: usize| match cx.shape(i) {
        Some([b, h, l, s]) => Ok(Some([b.clone(), h.clone(), l.clone(), s.clone()])),
        Some(shape) => Err(OpError::invalid(format!("operand {i} has rank {}, 4 is wanted", shape.len()))),
        None => Ok(None),
    };
    let (q, k, v) = (of(0)?, of(1)?, of(2)?);
    let dtype = cx.dtype(0);
    if let (Some([b, h, l, _]), Some([_, _, keys, _]), Some(dtype)) = (&q, &k, dtype) {
        let scores = Type::tensor(precision(&cx.attrs, dtype)?, &[b.clone(), h.clone(), l.clone(), keys.clone()]);
        for name in ["score_mod", "prob_mod"] {
            // A node without the body has none to look at.
            let _ = cx.region(name, &[Fact::of(scores.clone())]);
        }
    }
    let shape = q.zip(v).map(|([b, h, l, _], [.., size])| vec![b, h, l, size]);
    cx.set_tensor(0, dtype, shape);
    Ok(())
}

/// `scores` as the body makes them, or as they are where the node has none.
fn modified(cx: &EvalCx, name: &str, scores: Tensor) -> OpResult<Tensor> {
    let present = cx.regions.is_some_and(|r| !r.result_types(name).is_empty());
    match present {
        false => Ok(scores),
        true => match cx.run_region(name, &[scores.clone().into()])?.as_slice() {
            [Value::Tensor(t)] if t.shape() == scores.shape() && t.dtype() == scores.dtype() => Ok(t.clone()),
            _ => Err(OpError::invalid(format!("{name} does not return one tensor of the type that it takes"))),
        },
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let operand = |i: usize| Heads::of(cx.tensor(inputs, i)?, None);
    let (q, k, v) = (operand(0)?, operand(1)?, operand(2)?);
    let dtype = cx.tensor(inputs, 0)?.dtype();
    let fits = (q.batch, q.size) == (k.batch, k.size) && (k.batch, k.heads, k.len) == (v.batch, v.heads, v.len);
    if !fits || k.heads == 0 || q.heads % k.heads != 0 {
        return Err(OpError::invalid("the shapes of queries, keys and values do not fit each other"));
    }
    let (precision, root, round) = (precision(&cx.attrs, dtype)?, root(&cx.attrs, q.size, dtype)?, rounder(dtype));
    let shared = |i: usize| (i / q.heads, i % q.heads / (q.heads / k.heads));
    let shape = [q.batch, q.heads, q.len, k.len];
    moves::affordable(&shape)?;
    let mut scores = vec![0.0; shape.iter().product()];
    let scaled = |x: &[f64]| x.iter().map(|x| round(x * root)).collect::<Vec<_>>();
    let matrix = (q.len * k.len).max(1);
    for (i, scores) in scores.chunks_exact_mut(matrix).enumerate() {
        let (b, h) = shared(i);
        let (queries, keys) = (scaled(q.head(b, i % q.heads)), scaled(k.head(b, h)));
        contract::strided(q.len, q.size, k.len, (&queries, q.size, 1), (&keys, 1, k.size), scores);
    }
    scores.iter_mut().for_each(|x| *x = round(*x));
    let scores = modified(cx, "score_mod", Tensor::from_f64s(precision, &shape, &scores)?)?;
    let mut weights = scores.to_f64s()?;
    weights.chunks_exact_mut(k.len.max(1)).for_each(softmax);
    let weights = modified(cx, "prob_mod", Tensor::from_f64s(precision, &shape, &weights)?)?.to_f64s()?;
    let mut out = vec![0.0; q.batch * q.heads * q.len * v.size];
    let pairs = weights.chunks_exact(matrix).zip(out.chunks_exact_mut((q.len * v.size).max(1)));
    for (i, (weights, out)) in pairs.enumerate() {
        let (b, h) = shared(i);
        contract::matmul(q.len, k.len, v.size, weights, v.head(b, h), out);
    }
    let y = Heads { data: out, size: v.size, ..q };
    Ok(vec![y.tensor(dtype, false)?.into()])
}

/// Each head of keys or values as often as `groups` query heads share it.
fn repeated(b: &mut Builder, x: ValueId, groups: i64) -> OpResult<ValueId> {
    if groups == 1 {
        return Ok(x);
    }
    let part = |b: &mut Builder, start: i64, end: i64| {
        b.op_with("Shape", &[x], Attrs::new().with("start", start).with("end", end))
    };
    let (batch, rest) = (part(b, 0, 1)?, part(b, 2, 4)?);
    let (axis, all, repeats) = (b.ints(&[2]), b.ints(&[-1]), b.ints(&[1, 1, groups, 1, 1]));
    let shape = b.op_with("Concat", &[batch, all, rest], Attrs::new().with("axis", 0))?;
    let wide = b.op("Unsqueeze", &[x, axis])?;
    let tiled = b.op("Tile", &[wide, repeats])?;
    b.op("Reshape", &[tiled, shape])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (q, k, v) = (b.input(node, 0)?, b.input(node, 1)?, b.input(node, 2)?);
    let size = |b: &Builder, x: ValueId, axis: usize| b.ty(x).shape().and_then(|s| s.get(axis)?.size());
    let known = (size(b, q, 1), size(b, k, 1), size(b, q, 3), b.ty(q).dtype());
    let (Some(heads), Some(shared), Some(width), Some(dtype)) = known else {
        return Err(OpError::unsupported("attention with an unknown type or number of heads"));
    };
    if shared == 0 || heads % shared != 0 {
        return Err(OpError::invalid("the query heads are no multiple of the key heads"));
    }
    let attrs = b.attrs(node)?;
    let (precision, root) = (precision(&attrs, dtype)?, root(&attrs, width, dtype)?);
    let groups = (heads / shared) as i64;
    let (k, v) = (repeated(b, k, groups)?, repeated(b, v, groups)?);
    let factor = b.scalar_like(q, root)?;
    let (q, k) = (b.op("Mul", &[q, factor])?, b.op("Mul", &[k, factor])?);
    let turned = b.op_with("Transpose", &[k], Attrs::new().with("perm", [0, 1, 3, 2]))?;
    let to = |b: &mut Builder, x: ValueId, from: DType, to: DType| match from == to {
        true => Ok(x),
        false => b.op_with("Cast", &[x], Attrs::new().with("to", to)),
    };
    let scores = b.op("MatMul", &[q, turned])?;
    let mut weights = to(b, scores, dtype, precision)?;
    let body = |b: &Builder, name: &str| b.model.nodes[node].region(name);
    if let Some(body) = body(b, "score_mod") {
        weights = one(b.splice(body, &[weights])?)?;
    }
    weights = b.op_with("Softmax", &[weights], Attrs::new().with("axis", -1))?;
    if let Some(body) = body(b, "prob_mod") {
        weights = one(b.splice(body, &[weights])?)?;
    }
    let v = to(b, v, dtype, precision)?;
    let y = b.op("MatMul", &[weights, v])?;
    Ok(vec![to(b, y, precision, dtype)?])
}

fn one(results: Vec<ValueId>) -> OpResult<ValueId> {
    results.first().copied().ok_or_else(|| OpError::invalid("a body without a result"))
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (q, k, v) = (s.any(dtype, &[2, 4, 3, 4]), s.any(dtype, &[2, 2, 5, 4]), s.any(dtype, &[2, 2, 5, 6]));
        s.case().input(q.clone()).input(k.clone()).input(v.clone()).attr("scale", 0.3).add();
        let case = s.case().input(q).input(k).input(v).attr("softmax_precision", modelsmith_ir::code_of_dtype(F64));
        case.add();
    }
    let (q, k, v) = (s.any(F32, &[1, 2, 3, 4]), s.any(F32, &[1, 2, 5, 4]), s.any(F32, &[1, 2, 5, 4]));
    for (name, op) in [("score_mod", "Tanh(%s)"), ("prob_mod", "Mul(%s, %s)")] {
        let text = format!(
            "graph(%q: f32[1, 2, 3, 4], %k: f32[1, 2, 5, 4], %v: f32[1, 2, 5, 4]) {{
               %y: f32[1, 2, 3, 4] = ai.onnx.preview.FlexAttention(%q, %k, %v) {{
                 {name} = graph(%s: f32[1, 2, 3, 5]) {{ %a: f32[1, 2, 3, 5] = {op} return %a }}
               }}
               return %y
             }}"
        );
        s.case().input(q.clone()).input(k.clone()).input(v.clone()).model(&text).add();
    }
}
