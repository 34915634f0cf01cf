//! Attention: scaled dot-product attention with grouped heads, masks, caches and windows. <https://onnx.ai/onnx/operators/onnx__Attention.html>

use super::attention_nodes;
use super::convolution::zeros;
use super::heads::{Heads, head_count};
use super::normalization::rounder;
use super::softmax::softmax;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("Q", "T1"),
        Param::one("K", "T1"),
        Param::one("V", "T2"),
        Param::opt("attn_mask", "U"),
        Param::opt("past_key", "T1"),
        Param::opt("past_value", "T2"),
        Param::opt("nonpad_kv_seqlen", "tensor(int64)"),
    ],
    outputs: &[
        Param::one("Y", "T1"),
        Param::opt("present_key", "T1"),
        Param::opt("present_value", "T2"),
        Param::opt("qk_matmul_output", "T1"),
    ],
    attrs: &[
        AttrDef::int("is_causal", 0),
        AttrDef::optional("kv_num_heads", AttrKind::Int),
        AttrDef::int("left_window_size", -1),
        AttrDef::optional("q_num_heads", AttrKind::Int),
        AttrDef::int("qk_matmul_output_mode", 0),
        AttrDef::int("right_window_size", -1),
        AttrDef::optional("scale", AttrKind::Float),
        AttrDef::float("softcap", 0.0),
        AttrDef::optional("softmax_precision", AttrKind::Int),
    ],
    types: &[
        types_of("T1", FLOATS_BF16),
        types_of("T2", FLOATS_BF16),
        types_of("U", TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool])),
    ],
};

/// The ONNX operator Attention.
pub static ATTENTION: OpDef = OpDef {
    name: "Attention",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 23,
            schema: Schema {
                inputs: &[
                    Param::one("Q", "T1"),
                    Param::one("K", "T1"),
                    Param::one("V", "T2"),
                    Param::opt("attn_mask", "U"),
                    Param::opt("past_key", "T1"),
                    Param::opt("past_value", "T2"),
                ],
                attrs: &[
                    AttrDef::int("is_causal", 0),
                    AttrDef::optional("kv_num_heads", AttrKind::Int),
                    AttrDef::optional("q_num_heads", AttrKind::Int),
                    AttrDef::int("qk_matmul_output_mode", 0),
                    AttrDef::optional("scale", AttrKind::Float),
                    AttrDef::float("softcap", 0.0),
                    AttrDef::optional("softmax_precision", AttrKind::Int),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(to_23),
        },
        Past {
            since: 24,
            schema: Schema {
                attrs: &[
                    AttrDef::int("is_causal", 0),
                    AttrDef::optional("kv_num_heads", AttrKind::Int),
                    AttrDef::optional("q_num_heads", AttrKind::Int),
                    AttrDef::int("qk_matmul_output_mode", 0),
                    AttrDef::optional("scale", AttrKind::Float),
                    AttrDef::float("softcap", 0.0),
                    AttrDef::optional("softmax_precision", AttrKind::Int),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// The attributes of Attention.
#[derive(Clone, Debug)]
pub struct AttentionAttrs {
    /// Heads of the queries, for operands of rank 3.
    pub q_heads: Option<usize>,
    /// Heads of keys and values, for operands of rank 3.
    pub kv_heads: Option<usize>,
    /// Factor of the scores; 1 over the root of the head size when absent.
    pub scale: Option<f64>,
    /// Bound to which scores are bent, 0 for none.
    pub softcap: f64,
    /// Queries see no later key.
    pub causal: bool,
    /// Keys before its own position that a query sees; all when absent.
    pub left: Option<i64>,
    /// Keys after its own position that a query sees; all when absent.
    pub right: Option<i64>,
    /// What the fourth output shows: scores, capped scores, biased scores, weights.
    pub output_mode: usize,
    /// Type in which softmax is computed.
    pub precision: Option<DType>,
}

impl AttentionAttrs {
    /// Reads the attributes.
    ///
    /// # Errors
    /// When one is of another kind or out of its range.
    pub fn of(attrs: &AttrView) -> OpResult<AttentionAttrs> {
        let window = |name: &str| match attrs.int(name)? {
            -1 => Ok(None),
            n if (0..=1 << 40).contains(&n) => Ok(Some(n)),
            n => Err(OpError::invalid(format!("{name} is {n}"))),
        };
        let mode = attrs.int("qk_matmul_output_mode")?;
        Ok(AttentionAttrs {
            q_heads: head_count(attrs, "q_num_heads")?,
            kv_heads: head_count(attrs, "kv_num_heads")?,
            scale: attrs.opt_float("scale")?.map(f64::from),
            softcap: attrs.float("softcap")?.into(),
            causal: attrs.flag("is_causal")?,
            left: window("left_window_size")?,
            right: window("right_window_size")?,
            output_mode: usize::try_from(mode)
                .ok()
                .filter(|&m| m < 4)
                .ok_or_else(|| OpError::invalid(format!("qk_matmul_output_mode is {mode}")))?,
            precision: attrs.opt_dtype("softmax_precision")?,
        })
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let attrs = AttentionAttrs::of(&cx.attrs)?;
    let heads = |n: Option<usize>| n.map_or(Dim::Unknown, Dim::from);
    // As batch, heads, length, head size.
    let split = |i: usize, count: Option<usize>| match cx.shape(i) {
        Some([b, h, l, s]) => Ok(Some([b.clone(), h.clone(), l.clone(), s.clone()])),
        Some([b, l, hidden]) => Ok(Some([b.clone(), heads(count), l.clone(), hidden.floor_div(&heads(count))])),
        Some(shape) => Err(OpError::invalid(format!("operand {i} has rank {}, 3 or 4 is wanted", shape.len()))),
        None => Ok(None),
    };
    let (q, k, v) = (split(0, attrs.q_heads)?, split(1, attrs.kv_heads)?, split(2, attrs.kv_heads)?);
    let total = |own: &Dim, past: usize| match (cx.has(past), cx.shape(past)) {
        (false, _) => own.clone(),
        (true, Some([_, _, l, _])) => l.clone() + own.clone(),
        _ => Dim::Unknown,
    };
    let dtype = cx.dtype(0);
    let packed = cx.rank(0) == Some(3);
    let y = match (&q, &v) {
        (Some([b, h, l, _]), Some([.., size])) if packed => Some(vec![b.clone(), l.clone(), h.clone() * size.clone()]),
        (Some([b, h, l, _]), Some([.., size])) => Some(vec![b.clone(), h.clone(), l.clone(), size.clone()]),
        _ => None,
    };
    let present = |x: &Option<[Dim; 4]>, past: usize| {
        x.as_ref().map(|[b, h, l, s]| vec![b.clone(), h.clone(), total(l, past), s.clone()])
    };
    let (keys, values) = (present(&k, 4), present(&v, 5));
    let scores = q
        .as_ref()
        .zip(keys.as_ref())
        .map(|([b, h, l, _], keys)| vec![b.clone(), h.clone(), l.clone(), keys[2].clone()]);
    let value_dtype = cx.dtype(2);
    cx.set_tensor(0, dtype, y);
    cx.set_tensor(1, dtype, keys);
    cx.set_tensor(2, value_dtype, values);
    cx.set_tensor(3, dtype, scores);
    Ok(())
}

/// Queries, and keys and values with those of the past before them.
struct Operands {
    q: Heads,
    k: Heads,
    v: Heads,
    /// Keys of the past.
    past: usize,
}

impl Operands {
    fn of(cx: &EvalCx, inputs: &[Option<&Value>], attrs: &AttentionAttrs) -> OpResult<Operands> {
        let q = Heads::of(cx.tensor(inputs, 0)?, attrs.q_heads)?;
        let mut k = Heads::of(cx.tensor(inputs, 1)?, attrs.kv_heads)?;
        let mut v = Heads::of(cx.tensor(inputs, 2)?, attrs.kv_heads)?;
        let past = match (cx.opt_tensor(inputs, 4)?, cx.opt_tensor(inputs, 5)?) {
            (None, None) => 0,
            (Some(past_k), Some(past_v)) => {
                let past = Heads::of(past_k, None)?;
                k = k.after(&past)?;
                v = v.after(&Heads::of(past_v, None)?)?;
                past.len
            }
            _ => return Err(OpError::invalid("past_key and past_value belong together")),
        };
        let fits = (q.batch, q.size) == (k.batch, k.size) && (k.batch, k.heads, k.len) == (v.batch, v.heads, v.len);
        if !fits || k.heads == 0 || q.heads % k.heads != 0 {
            return Err(OpError::invalid("the shapes of queries, keys and values do not fit each other"));
        }
        Ok(Operands { q, k, v, past })
    }

    /// Scores of one head, `[queries, keys]`. Both sides are multiplied by the root of the scale.
    fn scores(&self, b: usize, h: usize, shared: usize, root: f64) -> Vec<f64> {
        let (q, k) = (&self.q, &self.k);
        let scaled = |x: &[f64]| x.iter().map(|x| x * root).collect::<Vec<_>>();
        let (queries, keys) = (scaled(q.head(b, h)), scaled(k.head(b, shared)));
        let mut scores = vec![0.0; q.len * k.len];
        contract::strided(q.len, q.size, k.len, (&queries, q.size, 1), (&keys, 1, k.size), &mut scores);
        scores
    }
}

/// What turns scores into weights.
struct Weighing {
    attrs: AttentionAttrs,
    mask: Mask,
    /// Keys that are no padding, for each sequence.
    valid: Option<Vec<usize>>,
    /// Position of the first query where no key is padding.
    past: usize,
    queries: usize,
    keys: usize,
}

impl Weighing {
    /// What is added to the scores of query `row`: the mask, or minus infinity for a key that it does not see.
    fn bias(&self, b: usize, h: usize, row: usize) -> Vec<f64> {
        let (bound, offset) = match &self.valid {
            Some(valid) => (valid[b], valid[b] as i64 - self.queries as i64),
            None => (self.keys, self.past as i64),
        };
        let seen = |j: usize| j < bound && visible(&self.attrs, row as i64 + offset, j as i64);
        (0..self.keys).map(|j| if seen(j) { self.mask.at(b, h, row, j) } else { f64::NEG_INFINITY }).collect()
    }

    /// The scores of query `row` become weights; `shown` gets the stage that `qk_matmul_output_mode` asks for.
    fn weigh(&self, (b, h, row): (usize, usize, usize), line: &mut [f64], shown: &mut [f64]) {
        let show = |stage: usize, line: &[f64], shown: &mut [f64]| {
            if self.attrs.output_mode == stage {
                shown.copy_from_slice(line);
            }
        };
        show(0, line, shown);
        let cap = self.attrs.softcap;
        if cap > 0.0 {
            line.iter_mut().for_each(|x| *x = cap * (*x / cap).tanh());
        }
        show(1, line, shown);
        let bias = self.bias(b, h, row);
        line.iter_mut().zip(&bias).for_each(|(x, b)| *x += b);
        show(2, line, shown);
        if bias.iter().all(|&b| b == f64::NEG_INFINITY) {
            line.fill(0.0);
        } else {
            let precision = rounder(self.attrs.precision.unwrap_or(F64));
            line.iter_mut().for_each(|x| *x = precision(*x));
            softmax(line);
        }
        show(3, line, shown);
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let attrs = AttentionAttrs::of(&cx.attrs)?;
    let (q_in, v_in) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 2)?);
    let all = Operands::of(cx, inputs, &attrs)?;
    let (q, k, v) = (&all.q, &all.k, &all.v);
    let dtype = q_in.dtype();
    let root = rounder(dtype)(attrs.scale.unwrap_or(1.0 / (q.size as f64).sqrt()).sqrt());
    let valid = valid_keys(cx, inputs, q, k)?;
    let mask = Mask::of(cx.opt_tensor(inputs, 3)?, q, k.len)?;
    let weighing = Weighing { attrs, mask, valid, past: all.past, queries: q.len, keys: k.len };
    let mut out = zeros(&[q.batch, q.heads, q.len, v.size])?;
    let mut shown = zeros(&[q.batch, q.heads, q.len, k.len])?;
    for i in 0..q.batch * q.heads {
        let (b, h) = (i / q.heads, i % q.heads);
        let shared = h / (q.heads / k.heads);
        let mut scores = all.scores(b, h, shared, root);
        let width = k.len.max(1);
        let shown = shown[i * q.len * k.len..].chunks_exact_mut(width);
        for (row, (line, shown)) in scores.chunks_exact_mut(width).zip(shown).enumerate() {
            weighing.weigh((b, h, row), line, shown);
        }
        let to = &mut out[i * q.len * v.size..][..q.len * v.size];
        contract::matmul(q.len, k.len, v.size, &scores, v.head(b, shared), to);
    }
    let y = Heads { data: out, size: v.size, ..q.clone() };
    let shown = Tensor::from_f64s(dtype, &[q.batch, q.heads, q.len, k.len], &shown)?;
    Ok(vec![
        y.tensor(dtype, q_in.rank() == 3)?.into(),
        k.tensor(dtype, false)?.into(),
        v.tensor(v_in.dtype(), false)?.into(),
        shown.into(),
    ])
}

/// Keys that are no padding, for each sequence of the batch.
fn valid_keys(cx: &EvalCx, inputs: &[Option<&Value>], q: &Heads, k: &Heads) -> OpResult<Option<Vec<usize>>> {
    let Some(list) = cx.opt_ints(inputs, 6)? else { return Ok(None) };
    let list = list.iter().map(|&n| usize::try_from(n).ok().filter(|&n| n <= k.len)).collect::<Option<Vec<_>>>();
    match list.filter(|l| l.len() == q.batch) {
        Some(list) => Ok(Some(list)),
        None => Err(OpError::invalid("nonpad_kv_seqlen must hold one length for each sequence, within the keys")),
    }
}

/// True when a query at position `p` sees key `j`.
fn visible(attrs: &AttentionAttrs, p: i64, j: i64) -> bool {
    (!attrs.causal || j <= p) && attrs.left.is_none_or(|n| j >= p - n) && attrs.right.is_none_or(|n| j <= p + n)
}

/// What the mask operand adds to each score.
struct Mask {
    values: Vec<f64>,
    strides: [usize; 4],
    keys: usize,
}

impl Mask {
    fn of(mask: Option<&Tensor>, q: &Heads, keys: usize) -> OpResult<Mask> {
        let Some(mask) = mask else { return Ok(Mask { values: vec![0.0], strides: [0; 4], keys }) };
        let own = mask.shape().last().copied().unwrap_or(1);
        // A mask may be shorter than the keys: those past its end are not seen.
        let target = [q.batch, q.heads, q.len, own];
        let strides = index::broadcast_strides(mask.shape(), &target)?;
        let values = match mask.dtype() {
            DType::Bool => mask.to_i64s()?.iter().map(|&x| if x != 0 { 0.0 } else { f64::NEG_INFINITY }).collect(),
            _ => mask.to_f64s()?,
        };
        let fixed = |strides: Vec<usize>| <[usize; 4]>::try_from(strides).ok();
        let strides = fixed(strides).ok_or_else(|| OpError::invalid("a mask of more than 4 dimensions"))?;
        Ok(Mask { values, strides, keys: if mask.rank() == 0 { keys } else { own } })
    }

    fn at(&self, b: usize, h: usize, row: usize, j: usize) -> f64 {
        if j >= self.keys {
            return f64::NEG_INFINITY;
        }
        let at = [b, h, row, j].iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>();
        self.values[at]
    }
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    attention_nodes::build(b, node)
}

/// Opset 24 added an operand.
fn to_23(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.input(6) {
        Some(_) => Err(OpError::unsupported("nonpad_kv_seqlen before opset 24")),
        None => Ok(()),
    }
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (q, k, v) = (s.any(dtype, &[2, 4, 3, 4]), s.any(dtype, &[2, 2, 5, 4]), s.any(dtype, &[2, 2, 5, 6]));
        s.case().input(q).input(k).input(v).attr("is_causal", 1).add();
    }
    for dtype in SCHEMA.types[2].set.dtypes() {
        let (q, k, v) = (s.any(F32, &[2, 3, 8]), s.any(F32, &[2, 5, 8]), s.any(F32, &[2, 5, 12]));
        let mask = s.any(dtype, &[3, 5]);
        let case = s.case().input(q).input(k).input(v).input(mask).attr("q_num_heads", 4).attr("kv_num_heads", 4);
        case.attr("softcap", 1.5).attr("scale", 0.3).add();
    }
    let (q, k, v) = (s.any(F32, &[1, 2, 3, 4]), s.any(F32, &[1, 2, 3, 4]), s.any(F32, &[1, 2, 3, 4]));
    let (pk, pv) = (s.any(F32, &[1, 2, 2, 4]), s.any(F32, &[1, 2, 2, 4]));
    for mode in 0..4 {
        let mask = s.any(F32, &[1, 1, 3, 5]);
        let case = s.case().input(q.clone()).input(k.clone()).input(v.clone()).input(mask);
        let case = case.input(pk.clone()).input(pv.clone()).attr("qk_matmul_output_mode", mode);
        let case = case.attr("left_window_size", 2).attr("right_window_size", 1).attr("softmax_precision", 11);
        case.attr("is_causal", mode % 2).outputs(4).add();
    }
    let case = s.case().input(q).input(k).input(v).absent().absent().absent();
    case.input(Tensor::vector(&[2i64])).attr("is_causal", 1).add();
}
