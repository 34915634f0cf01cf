//! LinearAttention: attention by a recurrent state that each key and value update, in four rules; the state is kept in `f32` or wider.
//! Not given in simpler operators: the recurrence needs a loop over the sequence. <https://onnx.ai/onnx/operators/onnx__LinearAttention.html>

use super::convolution::zeros;
use super::heads::{Heads, head_count};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("query", "T"),
        Param::one("key", "T"),
        Param::one("value", "T"),
        Param::opt("past_state", "S"),
        Param::opt("decay", "T"),
        Param::opt("beta", "T"),
    ],
    outputs: &[Param::one("output", "T"), Param::one("present_state", "S")],
    attrs: &[
        AttrDef::int("chunk_size", 64),
        AttrDef::required("kv_num_heads", AttrKind::Int),
        AttrDef::required("q_num_heads", AttrKind::Int),
        AttrDef::float("scale", 0.0),
        AttrDef::string("update_rule", "gated_delta"),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F16, BF16])), types_of("S", TypeSet::tensors(&[F32, F16, BF16]))],
};

/// The ONNX operator LinearAttention.
pub static LINEAR_ATTENTION: OpDef = OpDef {
    name: "LinearAttention",
    since: 27,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let heads = |name: &str| Ok::<_, OpError>(head_count(&cx.attrs, name)?.unwrap_or(1));
    let (q_heads, kv_heads) = (Dim::from(heads("q_num_heads")?), Dim::from(heads("kv_num_heads")?));
    let (q, k, v) = (cx.shape(0), cx.shape(1), cx.shape(2));
    if let Some(shape) = [q, k, v].into_iter().flatten().find(|s| s.len() != 3) {
        return Err(OpError::invalid(format!("an operand of rank {}, 3 is wanted", shape.len())));
    }
    let value = v.map_or(Dim::Unknown, |v| v[2].floor_div(&kv_heads));
    let key = q.map_or(Dim::Unknown, |q| q[2].floor_div(&q_heads));
    let (batch, time) = q.map_or((Dim::Unknown, Dim::Unknown), |q| (q[0].clone(), q[1].clone()));
    let (dtype, state) = (cx.dtype(0), if cx.has(3) { cx.dtype(3) } else { cx.dtype(0) });
    cx.set_tensor(0, dtype, Some(vec![batch.clone(), time, q_heads * value.clone()]));
    cx.set_tensor(1, state, Some(vec![batch, kv_heads, key, value]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (gated, delta) = match cx.attrs.string("update_rule")? {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(OpError::invalid(format!("update_rule is {other:?}"))),
    };
    let (q_in, kv_heads) = (cx.tensor(inputs, 0)?, head_count(&cx.attrs, "kv_num_heads")?);
    let q = Heads::of(q_in, head_count(&cx.attrs, "q_num_heads")?)?;
    let (k, v) = (Heads::of(cx.tensor(inputs, 1)?, kv_heads)?, Heads::of(cx.tensor(inputs, 2)?, kv_heads)?);
    if q.heads % k.heads != 0 || (q.batch, q.len, q.size) != (k.batch, k.len, k.size) {
        return Err(OpError::invalid("queries and keys do not fit each other"));
    }
    if (v.batch, v.heads, v.len) != (k.batch, k.heads, k.len) {
        return Err(OpError::invalid("keys and values do not fit each other"));
    }
    let rate = |i: usize, used: bool, name: &str| match (cx.opt_tensor(inputs, i)?, used) {
        (Some(t), true) if t.rank() == 3 && t.shape()[..2] == [k.batch, k.len] => {
            Ok(Some((t.to_f64s()?, t.shape()[2])))
        }
        (None, false) => Ok(None),
        (Some(t), true) => Err(OpError::invalid(format!("{name} has shape {:?}", t.shape()))),
        _ => Err(OpError::invalid(format!("{name} does not go with this update_rule, or is missing"))),
    };
    let (decay, beta) = (rate(4, gated, "decay")?, rate(5, delta, "beta")?);
    let fits = |r: &Option<(Vec<f64>, usize)>, widths: [usize; 2]| r.as_ref().is_none_or(|r| widths.contains(&r.1));
    if !fits(&decay, [k.heads, k.heads * k.size]) || !fits(&beta, [k.heads, 1]) {
        return Err(OpError::invalid("decay or beta has a last dimension that fits neither heads nor keys"));
    }
    let shape = [k.batch, k.heads, k.size, v.size];
    let past = cx.opt_tensor(inputs, 3)?;
    let mut state = match past {
        Some(t) if t.shape() != shape => return Err(OpError::invalid(format!("past_state has shape {:?}", t.shape()))),
        Some(t) => t.to_f64s()?,
        None => zeros(&shape)?,
    };
    let scale = match f64::from(cx.attrs.float("scale")?) {
        0.0 => 1.0 / (q.size as f64).sqrt(),
        scale => scale,
    };
    let group = q.heads / k.heads;
    let mut out = Heads { data: zeros(&[q.batch, q.heads, q.len, v.size])?, size: v.size, ..q.clone() };
    for i in 0..k.batch * k.heads {
        let (b, h) = (i / k.heads, i % k.heads);
        let state = &mut state[i * k.size * v.size..][..k.size * v.size];
        for t in 0..k.len {
            let (key, mut value) = (k.row(b, h, t), v.row(b, h, t).to_vec());
            if let Some((decay, width)) = &decay {
                let at = |d: usize| (b * k.len + t) * width + if *width == k.heads { h } else { h * k.size + d };
                let rows = state.chunks_exact_mut(v.size.max(1)).enumerate();
                rows.for_each(|(d, row)| row.iter_mut().for_each(|s| *s *= decay[at(d)].exp()));
            }
            if let Some((beta, width)) = &beta {
                let rate = beta[(b * k.len + t) * width + if *width == 1 { 0 } else { h }];
                for (m, value) in value.iter_mut().enumerate() {
                    let known = key.iter().enumerate().map(|(d, x)| state[d * v.size + m] * x).sum::<f64>();
                    *value = rate * (*value - known);
                }
            }
            for (d, x) in key.iter().enumerate() {
                state[d * v.size..][..v.size].iter_mut().zip(&value).for_each(|(s, y)| *s += x * y);
            }
            for head in h * group..(h + 1) * group {
                let query = q.row(b, head, t);
                let to = &mut out.data[((b * q.heads + head) * q.len + t) * v.size..][..v.size];
                for (m, to) in to.iter_mut().enumerate() {
                    *to = scale * query.iter().enumerate().map(|(d, x)| state[d * v.size + m] * x).sum::<f64>();
                }
            }
        }
    }
    let kept = past.map_or(q_in.dtype(), Tensor::dtype);
    Ok(vec![out.tensor(q_in.dtype(), true)?.into(), Tensor::from_f64s(kept, &shape, &state)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        for (rule, gated, delta) in
            [("linear", false, false), ("gated", true, false), ("delta", false, true), ("gated_delta", true, true)]
        {
            let (q, k, v) = (s.any(dtype, &[2, 3, 8]), s.any(dtype, &[2, 3, 4]), s.any(dtype, &[2, 3, 6]));
            let (past, decay) = (s.any(F32, &[2, 2, 2, 3]), s.any(dtype, &[2, 3, if delta { 2 } else { 4 }]));
            let beta = s.any(dtype, &[2, 3, if gated { 2 } else { 1 }]);
            let mut case = s.case().input(q).input(k).input(v);
            case = if gated { case.input(past) } else { case.absent() };
            case = if gated { case.input(decay) } else { case.absent() };
            case = if delta { case.input(beta) } else { case };
            let case = case.attr("q_num_heads", 4).attr("kv_num_heads", 2).attr("update_rule", rule);
            case.attr("scale", if gated { 0.0 } else { 0.3 }).attr("chunk_size", 2).outputs(2).add();
        }
    }
}
