//! com.microsoft.GroupQueryAttention: attention of decoders, whose query heads share keys and values in groups, with
//! rotations by position, a cache of which each sequence fills its own length, windows, capped scores and sinks.

use crate::microsoft::fused::DOMAIN;
use crate::microsoft::{attending, composite};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("query", "T"),
        Param::opt("key", "T"),
        Param::opt("value", "T"),
        Param::opt("past_key", "T_CACHE"),
        Param::opt("past_value", "T_CACHE"),
        Param::one("seqlens_k", "M"),
        Param::one("total_sequence_length", "M"),
        Param::opt("cos_cache", "T"),
        Param::opt("sin_cache", "T"),
        Param::opt("position_ids", "tensor(int64)"),
        Param::opt("attention_bias", "T"),
        Param::opt("head_sink", "T"),
        Param::opt("k_scale", "T_KV_SCALE"),
        Param::opt("v_scale", "T_KV_SCALE"),
        Param::opt("q_norm_weight", "T"),
        Param::opt("k_norm_weight", "T"),
    ],
    outputs: &[
        Param::one("output", "T"),
        Param::opt("present_key", "T_CACHE"),
        Param::opt("present_value", "T_CACHE"),
        Param::opt("output_qk", "T"),
    ],
    attrs: &[
        AttrDef::int("causal", 1),
        AttrDef::int("do_rotary", 0),
        AttrDef::string("k_quant_type", "NONE"),
        AttrDef::int("kv_cache_bit_width", 0),
        AttrDef::required("kv_num_heads", AttrKind::Int),
        AttrDef::int("local_window_size", -1),
        AttrDef::required("num_heads", AttrKind::Int),
        AttrDef::float("qk_norm_epsilon", 1e-6),
        AttrDef::int("qk_output", 0),
        AttrDef::int("rotary_interleaved", 0),
        AttrDef::optional("scale", AttrKind::Float),
        AttrDef::int("sliding_window_cache", 0),
        AttrDef::int("smooth_softmax", -1),
        AttrDef::optional("softcap", AttrKind::Float),
        AttrDef::string("v_quant_type", "NONE"),
    ],
    types: &[
        types_of("T", TypeSet::tensors(&[F32, F16, BF16])),
        types_of("T_CACHE", TypeSet::tensors(&[F32, F16, BF16, I8])),
        types_of("T_KV_SCALE", TypeSet::tensors(&[F32])),
        types_of("M", TypeSet::tensors(&[I32])),
    ],
};

/// The operator GroupQueryAttention of ONNX Runtime.
pub static GROUP_QUERY_ATTENTION: OpDef = OpDef {
    name: "GroupQueryAttention",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&GROUP_QUERY_ATTENTION, cx),
    eval: |cx, inputs| composite::eval_wide(&GROUP_QUERY_ATTENTION, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// What the steps need of the node.
struct Group<'a, 'b> {
    b: &'a mut Builder<'b>,
    node: NodeId,
    view: AttrView<'static>,
    heads: i64,
    shared: i64,
    size: i64,
    /// Row of the cache at which the new keys of each sequence begin, `[batch]` of 64 bits.
    begin: ValueId,
    /// Number of new positions, `[1]`.
    length: ValueId,
}

fn along(axis: i64) -> Attrs {
    Attrs::new().with("axis", axis)
}

fn sized(b: &mut Builder, x: ValueId, axis: i64) -> OpResult<ValueId> {
    b.op_with("Shape", &[x], Attrs::new().with("start", axis).with("end", axis + 1))
}

/// `0, 1 ..` up to the number that `count`, of shape `[1]`, holds.
fn steps(b: &mut Builder, count: ValueId) -> OpResult<ValueId> {
    let (zero, one) = (b.constant(Tensor::scalar(0i64)), b.constant(Tensor::scalar(1i64)));
    let count = b.op("Squeeze", &[count])?;
    b.op("Range", &[zero, count, one])
}

fn unsqueezed(b: &mut Builder, x: ValueId, axes: &[i64]) -> OpResult<ValueId> {
    let axes = b.ints(axes);
    b.op("Unsqueeze", &[x, axes])
}

impl<'a, 'b> Group<'a, 'b> {
    fn of(b: &'a mut Builder<'b>, node: NodeId) -> OpResult<Self> {
        let view = b.attrs(node)?;
        let (heads, shared) = (attending::count(&view, "num_heads")?, attending::count(&view, "kv_num_heads")?);
        if heads % shared != 0 {
            return Err(OpError::invalid(format!("{heads} query heads are no multiple of {shared} key heads")));
        }
        let query = b.input(node, 0)?;
        let width = b.ty(query).shape().and_then(|s| s.get(2)?.known());
        let width = width.ok_or_else(|| OpError::unsupported("queries of unknown width"))?;
        let size = width / if b.opt_input(node, 1).is_some() { heads } else { heads + 2 * shared };
        let length = sized(b, query, 1)?;
        let seen = b.input(node, 5)?;
        let seen = b.op_with("Cast", &[seen], Attrs::new().with("to", I64))?;
        let all = b.ints(&[-1]);
        let seen = b.op("Reshape", &[seen, all])?;
        let (one, zero) = (b.ints(&[1]), b.ints(&[0]));
        let last = b.op("Add", &[seen, one])?;
        let begin = b.op("Sub", &[last, length])?;
        // A prompt shorter than the longest of its batch begins at 0 as well.
        let begin = b.op("Max", &[begin, zero])?;
        Ok(Group { b, node, view, heads, shared, size, begin, length })
    }

    /// Queries, keys and values as `[batch, heads, length, size]`.
    fn parts(&mut self) -> OpResult<[ValueId; 3]> {
        let (b, node) = (&mut *self.b, self.node);
        let query = b.input(node, 0)?;
        let rows = match (b.opt_input(node, 1), b.opt_input(node, 2)) {
            (Some(key), Some(value)) => vec![query, key, value],
            (None, None) => {
                let sizes = b.ints(&[self.heads * self.size, self.shared * self.size, self.shared * self.size]);
                b.node("", "Split", &[Some(query), Some(sizes)], along(-1), 3)?
            }
            _ => return Err(OpError::invalid("key and value belong together")),
        };
        let counts = [self.heads, self.shared, self.shared];
        let mut out = [query; 3];
        for ((out, row), count) in out.iter_mut().zip(rows).zip(counts) {
            *out = attending::split(b, row, count)?;
        }
        for (x, weight) in out.iter_mut().zip([14, 15]) {
            if let Some(weight) = b.opt_input(node, weight) {
                let attrs = along(-1).with("epsilon", self.view.float("qk_norm_epsilon")?);
                *x = b.op_with("RMSNormalization", &[*x, weight], attrs)?;
            }
        }
        if self.view.flag("do_rotary")? {
            let at = self.positions()?;
            out[0] = self.turned(out[0], at)?;
            out[1] = self.turned(out[1], at)?;
        }
        Ok(out)
    }

    /// Positions of the new rows, `[batch, length]`.
    fn positions(&mut self) -> OpResult<ValueId> {
        if let Some(given) = self.b.opt_input(self.node, 9) {
            return Ok(given);
        }
        let (rows, first) = (steps(self.b, self.length)?, unsqueezed(self.b, self.begin, &[1])?);
        self.b.op("Add", &[first, rows])
    }

    fn turned(&mut self, x: ValueId, at: ValueId) -> OpResult<ValueId> {
        let (cos, sin) = (self.b.input(self.node, 7)?, self.b.input(self.node, 8)?);
        let half = self.b.ty(cos).shape().and_then(|s| s.get(1)?.known());
        let half = half.ok_or_else(|| OpError::unsupported("a cache of cosines of unknown width"))?;
        let mut attrs = Attrs::new().with("interleaved", self.view.int("rotary_interleaved")?);
        if 2 * half != self.size {
            attrs.set("rotary_embedding_dim", 2 * half);
        }
        self.b.op_with("RotaryEmbedding", &[x, cos, sin, at], attrs)
    }

    /// The cache with the new rows in it, as long as it was or as the longest sequence now is. With a scale, operand
    /// `scale`, it holds integers of 8 bit.
    fn cached(&mut self, past: Option<ValueId>, new: ValueId, scale: usize) -> OpResult<ValueId> {
        let b = &mut *self.b;
        let new = match b.opt_input(self.node, scale) {
            None => new,
            Some(scale) => {
                let (low, high) = (b.scalar_like(new, -128.0)?, b.scalar_like(new, 127.0)?);
                let levels = like(b, scale, new)?;
                let levels = b.op("Div", &[new, levels])?;
                let levels = b.op("Round", &[levels])?;
                let levels = b.op("Clip", &[levels, low, high])?;
                b.op_with("Cast", &[levels], Attrs::new().with("to", I8))?
            }
        };
        let Some(past) = past else { return Ok(new) };
        let (have, wanted) = (sized(b, past, 2)?, total(b, self.node)?);
        let (zero, none) = (b.ints(&[0]), b.ints(&[0, 0, 0, 0, 0, 0]));
        let more = b.op("Sub", &[wanted, have])?;
        let more = b.op("Max", &[more, zero])?;
        let pads = b.op_with("Concat", &[none, more, zero], along(0))?;
        let grown = b.op("Pad", &[past, pads])?;
        b.op_with("TensorScatter", &[grown, new, self.begin], along(2))
    }

    /// The rows of the cache that a sequence of the batch has filled, in the type of `rows`.
    fn filled(&mut self, cache: ValueId, scale: usize, rows: ValueId) -> OpResult<ValueId> {
        let (start, end) = (self.b.ints(&[0]), total(self.b, self.node)?);
        let axis = self.b.ints(&[2]);
        let held = self.b.op("Slice", &[cache, start, end, axis])?;
        let Some(scale) = self.b.opt_input(self.node, scale) else { return Ok(held) };
        let (held, scale) = (like(self.b, held, rows)?, like(self.b, scale, rows)?);
        self.b.op("Mul", &[held, scale])
    }

    /// Which keys each query sees, `[batch, 1, length, keys]`.
    fn seen(&mut self, keys: ValueId) -> OpResult<ValueId> {
        let count = sized(self.b, keys, 2)?;
        let columns = steps(self.b, count)?;
        let causal = self.view.flag("causal")?;
        let rows = match causal {
            true => steps(self.b, self.length)?,
            // Every query sees what the last one does.
            false => {
                let one = self.b.ints(&[1]);
                self.b.op("Sub", &[self.length, one])?
            }
        };
        let (first, rows) = (unsqueezed(self.b, self.begin, &[1, 2, 3])?, unsqueezed(self.b, rows, &[1])?);
        let last = self.b.op("Add", &[first, rows])?;
        let mut seen = self.b.op("LessOrEqual", &[columns, last])?;
        let window = self.view.int("local_window_size")?;
        if window >= 0 {
            let window = self.b.constant(Tensor::scalar(window));
            let before = self.b.op("Sub", &[last, window])?;
            let near = self.b.op("Greater", &[columns, before])?;
            seen = self.b.op("And", &[seen, near])?;
        }
        Ok(seen)
    }

    /// Queries or weights `[batch, heads, length, any]` beside the keys or values that they share, multiplied.
    fn product(&mut self, x: ValueId, shared: ValueId, transposed: bool) -> OpResult<ValueId> {
        let b = &mut *self.b;
        let (batch, length, rest) = (sized(b, x, 0)?, sized(b, x, 2)?, sized(b, x, 3)?);
        let middle = b.ints(&[self.shared, self.heads / self.shared]);
        let shape = b.op_with("Concat", &[batch, middle, length, rest], along(0))?;
        let x = b.op("Reshape", &[x, shape])?;
        let mut y = unsqueezed(b, shared, &[2])?;
        if transposed {
            y = b.op_with("Transpose", &[y], Attrs::new().with("perm", [0, 1, 2, 4, 3]))?;
        }
        let out = b.op("MatMul", &[x, y])?;
        let (heads, width) = (b.ints(&[self.heads]), sized(b, out, 4)?);
        let shape = b.op_with("Concat", &[batch, heads, length, width], along(0))?;
        b.op("Reshape", &[out, shape])
    }

    /// Scores made weights, with those of a sink beside them that takes a share and gives nothing.
    fn weights(&mut self, scores: ValueId) -> OpResult<ValueId> {
        let b = &mut *self.b;
        let sink = match b.opt_input(self.node, 11) {
            Some(sink) => sink,
            None if self.view.int("smooth_softmax")? == 1 => {
                let zero = b.scalar_like(scores, 0.0)?;
                let count = b.ints(&[self.heads]);
                b.op("Expand", &[zero, count])?
            }
            None => return b.op_with("Softmax", &[scores], along(-1)),
        };
        let (column, one) = (unsqueezed(b, sink, &[0, 2, 3])?, b.ints(&[1]));
        let (batch, length, keys) = (sized(b, scores, 0)?, sized(b, scores, 2)?, sized(b, scores, 3)?);
        let shape = b.op_with("Concat", &[batch, one, length, one], along(0))?;
        let column = b.op("Expand", &[column, shape])?;
        let all = b.op_with("Concat", &[scores, column], along(-1))?;
        let all = b.op_with("Softmax", &[all], along(-1))?;
        let (zero, axis) = (b.ints(&[0]), b.ints(&[-1]));
        b.op("Slice", &[all, zero, keys, axis])
    }
}

/// `x` in the type of another value.
fn like(b: &mut Builder, x: ValueId, other: ValueId) -> OpResult<ValueId> {
    match b.ty(other).dtype() {
        Some(d) if b.ty(x).dtype() == Some(d) => Ok(x),
        Some(d) => b.op_with("Cast", &[x], Attrs::new().with("to", d)),
        None => Err(OpError::unsupported("an operand of unknown type")),
    }
}

/// Length of the longest sequence, `[1]`.
fn total(b: &mut Builder, node: NodeId) -> OpResult<ValueId> {
    let given = b.input(node, 6)?;
    let wide = b.op_with("Cast", &[given], Attrs::new().with("to", I64))?;
    let shape = b.ints(&[1]);
    b.op("Reshape", &[wide, shape])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    if view.int("kv_cache_bit_width")? == 4 || view.flag("sliding_window_cache")? {
        return Err(OpError::unsupported("a cache of 4 bits, or one that holds a window only"));
    }
    let past = [b.opt_input(node, 3), b.opt_input(node, 4)];
    let bias = b.opt_input(node, 10);
    let mut g = Group::of(b, node)?;
    let [q, k, v] = g.parts()?;
    let (present_k, present_v) = (g.cached(past[0], k, 12)?, g.cached(past[1], v, 13)?);
    let (keys, values) = (g.filled(present_k, 12, q)?, g.filled(present_v, 13, q)?);
    let raw = g.product(q, keys, true)?;
    let scale = g.view.opt_float("scale")?.filter(|&s| s != 0.0);
    let scale = scale.map_or_else(|| 1.0 / (g.size as f64).sqrt(), f64::from);
    let scale = g.b.scalar_like(raw, scale)?;
    let mut scores = g.b.op("Mul", &[raw, scale])?;
    if let Some(cap) = g.view.opt_float("softcap")?.filter(|&c| c > 0.0) {
        let cap = g.b.scalar_like(scores, cap.into())?;
        let ratio = g.b.op("Div", &[scores, cap])?;
        let bent = g.b.op("Tanh", &[ratio])?;
        scores = g.b.op("Mul", &[bent, cap])?;
    }
    if let Some(bias) = bias {
        scores = g.b.op("Add", &[scores, bias])?;
    }
    let (seen, never) = (g.seen(keys)?, g.b.scalar_like(scores, f64::NEG_INFINITY)?);
    let masked = g.b.op("Where", &[seen, scores, never])?;
    let weights = g.weights(masked)?;
    let out = g.product(weights, values, false)?;
    let rows = g.b.op_with("Transpose", &[out], Attrs::new().with("perm", [0, 2, 1, 3]))?;
    let shape = g.b.ints(&[0, 0, -1]);
    let y = g.b.op("Reshape", &[rows, shape])?;
    let shown = if g.view.int("qk_output")? == 1 { scores } else { weights };
    Ok(vec![y, present_k, present_v, shown])
}

fn heads(case: modelsmith_ir::Case<'_>) -> modelsmith_ir::Case<'_> {
    case.attr("num_heads", 4).attr("kv_num_heads", 2)
}

fn samples(s: &mut Samples) {
    let lengths = |v: &[i32]| Tensor::vector(v);
    for dtype in [F32, F16, BF16] {
        let (q, k, v) = (s.any(dtype, &[2, 3, 32]), s.any(dtype, &[2, 3, 16]), s.any(dtype, &[2, 3, 16]));
        let case = s.case().input(q).input(k).input(v).absent().absent().input(lengths(&[2, 2]));
        case.input(Tensor::scalar(3i32)).attr("num_heads", 4).attr("kv_num_heads", 2).outputs(3).add();
    }
    let (cos, sin) = (s.floats(F32, &[8, 8], -1.0, 1.0), s.floats(F32, &[8, 8], -1.0, 1.0));
    for turn in [0i64, 1] {
        let (packed, pk, pv) = (s.any(F32, &[2, 1, 128]), s.any(F32, &[2, 2, 4, 16]), s.any(F32, &[2, 2, 4, 16]));
        let case = s.case().input(packed).absent().absent().input(pk).input(pv).input(lengths(&[4, 2]));
        let case = case.input(Tensor::scalar(5i32)).input(cos.clone()).input(sin.clone()).attr("do_rotary", 1);
        let case = match turn {
            0 => case,
            _ => case.input(Tensor::new(&[2, 1], vec![4i64, 2]).expect("two elements")),
        };
        heads(case).attr("rotary_interleaved", turn).attr("scale", 0.3f32).attr("softcap", 5.0f32).outputs(3).add();
    }
    let mut decoding = |window: i64| {
        let (q, k, v) = (s.any(F32, &[1, 2, 32]), s.any(F32, &[1, 2, 16]), s.any(F32, &[1, 2, 16]));
        let (pk, pv, bias) = (s.any(F32, &[1, 2, 4, 8]), s.any(F32, &[1, 2, 4, 8]), s.any(F32, &[1, 4, 2, 6]));
        let case = s.case().input(q).input(k).input(v).input(pk).input(pv).input(lengths(&[5]));
        let case = heads(case.input(Tensor::scalar(6i32)).absent().absent().absent().input(bias)).outputs(3);
        match window {
            0 => case.attr("smooth_softmax", 1).add(),
            w => case.attr("local_window_size", w).add(),
        }
    };
    decoding(0);
    decoding(2);
    let (q, k, v, sink) = (s.any(F32, &[2, 3, 32]), s.any(F32, &[2, 3, 16]), s.any(F32, &[2, 3, 16]), s.any(F32, &[4]));
    let (wide, narrow, other) = (s.any(F32, &[2, 3, 64]), s.any(F32, &[2, 3, 32]), s.any(F32, &[2, 3, 32]));
    let case = s.case().input(wide).input(narrow).input(other).absent().absent().input(lengths(&[2, 1]));
    let case = case.input(Tensor::scalar(3i32)).input(cos).input(sin).absent().absent().input(sink);
    heads(case).attr("do_rotary", 1).outputs(3).add();
    for mode in [1i64, 2] {
        let case = s.case().input(q.clone()).input(k.clone()).input(v.clone()).absent().absent();
        let case = case.input(lengths(&[2, 2])).input(Tensor::scalar(3i32));
        heads(case).attr("qk_output", mode).attr("causal", mode - 1).outputs(4).add();
    }
    let (q8, kv8) = (s.any(F32, &[1, 1, 32]), s.any(F32, &[1, 1, 16]));
    for (kind, shape) in [("PER_TENSOR", &[1usize] as &[usize]), ("PER_CHANNEL", &[1, 2, 1, 8])] {
        let (pk, pv) = (s.ints(I8, &[1, 2, 3, 8], -90, 90), s.ints(I8, &[1, 2, 3, 8], -90, 90));
        let (a, c) = (s.floats(F32, shape, 0.01, 0.05), s.floats(F32, shape, 0.01, 0.05));
        let case = s.case().input(q8.clone()).input(kv8.clone()).input(kv8.clone()).input(pk).input(pv);
        let case = case.input(lengths(&[3])).input(Tensor::scalar(4i32)).absent().absent().absent().absent().absent();
        let case = heads(case.input(a).input(c)).attr("kv_cache_bit_width", 8).attr("k_quant_type", kind);
        case.attr("v_quant_type", kind).outputs(3).add();
    }
    let (norm, other) = (s.any(F32, &[8]), s.any(F32, &[8]));
    let case = s.case().input(q).input(k).input(v).absent().absent().input(lengths(&[2, 2]));
    let case = case.input(Tensor::scalar(3i32)).absent().absent().absent().absent().absent().absent().absent();
    heads(case.input(norm).input(other)).attr("qk_norm_epsilon", 1e-3f32).outputs(3).add();
}
