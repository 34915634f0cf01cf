//! LinearAttention: attention through a recurrent state of outer products of keys and values, which each step decays and corrects as `update_rule` says. <https://onnx.ai/onnx/operators/onnx__LinearAttention.html>

use crate::math::contraction::checked_len;
use crate::prelude::*;
use modelsmith_ir::Case;

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

/// Sizes of a node, checked.
struct Sizes {
    batch: usize,
    steps: usize,
    query_heads: usize,
    heads: usize,
    depth: usize,
    width: usize,
}

fn heads(attrs: &AttrView) -> OpResult<(usize, usize)> {
    let (q, kv) = (attrs.int("q_num_heads")?, attrs.int("kv_num_heads")?);
    match q > 0 && kv > 0 && q % kv == 0 {
        true => Ok((q as usize, kv as usize)),
        false => Err(OpError::invalid(format!("{q} query heads are no multiple of {kv} key and value heads"))),
    }
}

/// Whether the rule decays the state and whether it corrects the value.
fn rule(attrs: &AttrView) -> OpResult<(bool, bool)> {
    match attrs.string("update_rule")? {
        "linear" => Ok((false, false)),
        "gated" => Ok((true, false)),
        "delta" => Ok((false, true)),
        "gated_delta" => Ok((true, true)),
        other => Err(OpError::invalid(format!("update_rule {other:?} is unknown"))),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (q, kv) = heads(&cx.attrs)?;
    rule(&cx.attrs)?;
    let (q, kv) = (Dim::from(q), Dim::from(kv));
    let (mut out, mut state) = (None, None);
    if let (Some([batch, steps, packed]), Some([_, _, values])) = (cx.shape(0), cx.shape(2)) {
        let width = values.floor_div(&kv);
        out = Some(vec![batch.clone(), steps.clone(), width.clone() * q.clone()]);
        state = Some(vec![batch.clone(), kv, packed.floor_div(&q), width]);
    }
    cx.set_tensor(0, cx.dtype(0), out);
    cx.set_tensor(1, cx.dtype(3).or(cx.dtype(0)), state);
    Ok(())
}

fn sizes(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Sizes> {
    let (query_heads, heads) = heads(&cx.attrs)?;
    let shapes = [0, 1, 2].map(|i| cx.tensor(inputs, i).map(|t| t.shape().to_vec()));
    let [q, k, v] = shapes;
    let (q, k, v) = (q?, k?, v?);
    let fail = || OpError::invalid(format!("query {q:?}, key {k:?} and value {v:?} do not fit the heads"));
    let (&[batch, steps, packed], &[_, _, values]) = (q.as_slice(), v.as_slice()) else { return Err(fail()) };
    let (depth, width) = (packed / query_heads, values / heads);
    let fits =
        k == [batch, steps, depth * heads] && v == [batch, steps, width * heads] && packed == depth * query_heads;
    if !fits {
        return Err(fail());
    }
    Ok(Sizes { batch, steps, query_heads, heads, depth, width })
}

/// An optional operand that the rule asks for or forbids: its elements and how many a step has.
fn gate(
    cx: &EvalCx,
    inputs: &[Option<&Value>],
    i: usize,
    wanted: bool,
    s: &Sizes,
    widths: [usize; 2],
) -> OpResult<(Vec<f64>, usize)> {
    match (cx.opt_tensor(inputs, i)?, wanted) {
        (None, false) => Ok((vec![], 0)),
        (Some(t), true) => match *t.shape() {
            [b, n, w] if b == s.batch && n == s.steps && widths.contains(&w) => Ok((t.to_f64s()?, w)),
            _ => Err(OpError::invalid(format!("input {i} of shape {:?} does not fit the heads", t.shape()))),
        },
        (given, _) => {
            let word = if given.is_some() { "takes no" } else { "wants" };
            Err(OpError::invalid(format!("the update rule {word} input {i}")))
        }
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let s = sizes(cx, inputs)?;
    let (decays, corrects) = rule(&cx.attrs)?;
    let (decay, decay_width) = gate(cx, inputs, 4, decays, &s, [s.heads, s.heads * s.depth])?;
    let (beta, beta_width) = gate(cx, inputs, 5, corrects, &s, [s.heads, 1])?;
    let scale = match cx.attrs.float("scale")? {
        0.0 => 1.0 / (s.depth as f64).sqrt(),
        scale => f64::from(scale),
    };
    let (q, k, v) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?.to_f64s()?, cx.tensor(inputs, 2)?.to_f64s()?);
    let (dtype, q) = (q.dtype(), q.to_f64s()?);
    let shape = [s.batch, s.heads, s.depth, s.width];
    let past = cx.opt_tensor(inputs, 3)?;
    let mut state = match past {
        Some(t) if *t.shape() == shape => t.to_f64s()?,
        Some(t) => return Err(OpError::invalid(format!("past state of shape {:?}, not {shape:?}", t.shape()))),
        None => vec![0.0; checked_len(F64, &shape)?],
    };
    let out_shape = [s.batch, s.steps, s.query_heads * s.width];
    let mut out = vec![0.0; checked_len(F64, &out_shape)?];
    let group = s.query_heads / s.heads;
    for (b, t) in (0..s.batch).flat_map(|b| (0..s.steps).map(move |t| (b, t))) {
        let step = b * s.steps + t;
        for h in 0..s.heads {
            let memory = &mut state[(b * s.heads + h) * s.depth * s.width..][..s.depth * s.width];
            let key = &k[(step * s.heads + h) * s.depth..][..s.depth];
            let value = &v[(step * s.heads + h) * s.width..][..s.width];
            for d in (0..s.depth).filter(|_| decays) {
                let at = if decay_width == s.heads { h } else { h * s.depth + d };
                let factor = decay[step * decay_width + at].exp();
                memory[d * s.width..][..s.width].iter_mut().for_each(|m| *m *= factor);
            }
            for j in 0..s.width {
                let mut write = value[j];
                if corrects {
                    let held = (0..s.depth).map(|d| memory[d * s.width + j] * key[d]).sum::<f64>();
                    write = (write - held) * beta[step * beta_width + if beta_width == 1 { 0 } else { h }];
                }
                (0..s.depth).for_each(|d| memory[d * s.width + j] += key[d] * write);
            }
            for g in h * group..(h + 1) * group {
                let query = &q[(step * s.query_heads + g) * s.depth..][..s.depth];
                for j in 0..s.width {
                    let read = (0..s.depth).map(|d| query[d] * memory[d * s.width + j]).sum::<f64>();
                    out[(step * s.query_heads + g) * s.width + j] = scale * read;
                }
            }
        }
    }
    let state = Tensor::from_f64s(past.map_or(dtype, Tensor::dtype), &shape, &state)?;
    Ok(vec![Tensor::from_f64s(dtype, &out_shape, &out)?.into(), state.into()])
}

/// A call without its optional operands.
fn call<'s>(s: &'s mut Samples, dtype: DType, rule: &str, heads: [i64; 2]) -> Case<'s> {
    let (q, kv) = (heads[0] as usize * 3, heads[1] as usize);
    let (q, k, v) = (s.any(dtype, &[2, 4, q]), s.any(dtype, &[2, 4, kv * 3]), s.any(dtype, &[2, 4, kv * 2]));
    let case = s.case().attr("update_rule", rule).attr("q_num_heads", heads[0]).attr("kv_num_heads", heads[1]);
    case.outputs(2).input(q).input(k).input(v)
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let (past, decay, beta) =
            (s.any(dtype, &[2, 2, 3, 2]), s.floats(dtype, &[2, 4, 2], -1.0, 0.0), s.any(dtype, &[2, 4, 2]));
        call(s, dtype, "gated_delta", [4, 2]).attr("chunk_size", 16).input(past).input(decay).input(beta).add();
        call(s, dtype, "linear", [2, 2]).attr("scale", 0.5f32).add();
    }
    let (decay, beta) = (s.floats(F32, &[2, 4, 6], -1.0, 0.0), s.any(F32, &[2, 4, 1]));
    call(s, F32, "gated", [2, 2]).absent().input(decay).add();
    call(s, F32, "delta", [2, 2]).absent().absent().input(beta).add();
}
