//! LSTM and GRU: the product of all inputs with the input weights first, then the steps.

use super::elementwise::Program;
use super::{Lowered, Site};
use crate::backend::WeightDims;
use crate::lower::Lowering;
use crate::plan::{BufferId, Home, Step, StepOp};
use crate::recipe::{Gemm, Move, Recipe};
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::Lane;
use modelsmith_tensor::{DType, Tensor, WeightExpr};
use std::sync::Arc;

/// Sizes of a recurrent layer.
struct Sizes {
    seq: Dim,
    batch: Dim,
    hidden: usize,
    input: usize,
    reverse: Vec<bool>,
}

/// The input part of the gates of a direction.
struct Driven {
    gates: BufferId,
    /// The format in which products take their weights.
    format: String,
}

/// Sizes of an LSTM or GRU that has a kernel: default activations, no clipping, nothing that only LSTM knows.
fn sizes(site: &Site, lstm: bool) -> Option<Sizes> {
    let a = &site.attrs;
    let reverse = match a.string("direction").ok()? {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        _ => return None,
    };
    let ordinary = a.int("layout").ok()? == 0
        && !a.has("clip")
        && !a.has("activations")
        && !a.has("activation_alpha")
        && !a.has("activation_beta")
        && (!lstm || a.int("input_forget").ok()? == 0 && site.input(4).is_none() && site.input(7).is_none());
    let r = site.shape(2)?.iter().map(Dim::size).collect::<Option<Vec<_>>>()?;
    let w = site.shape(1)?.iter().map(Dim::size).collect::<Option<Vec<_>>>()?;
    let ([seq, batch, _], [d, _, hidden], [_, _, input]) = (site.shape(0)?, &r[..], &w[..]) else { return None };
    let float = [0, 1, 2, 3, 5, 6].iter().all(|&i| i == 6 && !lstm || site.dtype(i).is_none_or(|d| d == DType::F32));
    let fits = ordinary && float && *d == reverse.len() && *hidden > 0 && *input > 0;
    fits.then(|| Sizes { seq: seq.clone(), batch: batch.clone(), hidden: *hidden, input: *input, reverse })
}

impl Lowering<'_> {
    pub(super) fn lstm(&mut self, site: &Site) -> Lowered {
        let Some(s) = sizes(site, true) else { return Ok(None) };
        let Some((x, wx, rx)) = self.operands(site)? else { return Ok(None) };
        let biases = match site.input(3) {
            Some(b) => match self.tensor(b).and_then(|t| summed_bias(&t, s.hidden)) {
                Some(all) => all,
                None => return Ok(None),
            },
            None => vec![],
        };
        let h = s.hidden;
        let mut parts: [Vec<BufferId>; 3] = Default::default();
        for d in 0..s.reverse.len() {
            let (wd, rd) = (of_direction(&wx, d, [4 * h, s.input]), of_direction(&rx, d, [4 * h, h]));
            let Some(driven) = self.driven(site, &s, (x, 4), &wd, biases.get(d))? else { return Ok(None) };
            let made = self.lstm_direction(site, (&s, d), driven, &rd)?;
            for (list, id) in parts.iter_mut().zip(made) {
                list.push(id);
            }
        }
        self.joined(site, &parts);
        Ok(Some(()))
    }

    pub(super) fn gru(&mut self, site: &Site) -> Lowered {
        let Some(s) = sizes(site, false) else { return Ok(None) };
        let Ok(linear) = site.attrs.flag("linear_before_reset") else { return Ok(None) };
        let Some((x, wx, rx)) = self.operands(site)? else { return Ok(None) };
        let h = s.hidden;
        let Ok(zero) = Tensor::zeros(DType::F32, &[h]) else { return Ok(None) };
        let (mut biases, mut of_candidate) = (vec![], vec![zero; s.reverse.len()]);
        if let Some(b) = site.input(3) {
            let Some((all, last)) = self.tensor(b).and_then(|t| gru_bias(&t, h, linear)) else { return Ok(None) };
            (biases, of_candidate) = (all, last);
        }
        let lengths = site.input(4).map(|v| self.buffer(v)).transpose()?;
        let mut parts: [Vec<BufferId>; 2] = Default::default();
        for d in 0..s.reverse.len() {
            let (wd, rd) = (of_direction(&wx, d, [3 * h, s.input]), of_direction(&rx, d, [3 * h, h]));
            let Some(driven) = self.driven(site, &s, (x, 3), &wd, biases.get(d))? else { return Ok(None) };
            let bias = linear.then(|| of_candidate[d].clone());
            for (list, id) in parts.iter_mut().zip(self.gru_direction(site, (&s, d), driven, &rd, (bias, lengths))?) {
                list.push(id);
            }
        }
        self.joined(site, &parts);
        Ok(Some(()))
    }

    /// The input's buffer and the weights, where these are constant.
    fn operands(&mut self, site: &Site) -> crate::Result<Option<(BufferId, Arc<WeightExpr>, Arc<WeightExpr>)>> {
        let (Some(x), Some(w), Some(r)) = (site.input(0), site.input(1), site.input(2)) else { return Ok(None) };
        let (Some(wx), Some(rx)) = (self.model.weight(w).cloned(), self.model.weight(r).cloned()) else {
            return Ok(None);
        };
        Ok(Some((self.buffer(x)?, wx, rx)))
    }

    /// Makes each output of what the directions gave.
    fn joined(&mut self, site: &Site, parts: &[Vec<BufferId>]) {
        for (i, list) in parts.iter().enumerate() {
            let Some(v) = site.outputs.get(i).copied().flatten() else { continue };
            match list[..] {
                [one] => {
                    self.new_buffer(Some(v), Home::View(one));
                }
                _ => {
                    let axis = if i == 0 { 1 } else { 0 };
                    let out = self.new_buffer(Some(v), Home::Arena);
                    let label = self.model.node_label(site.id);
                    let op = StepOp::Native(Recipe::Move(Move::Concat(axis)));
                    let inputs = list.iter().copied().map(Some).collect();
                    self.push(Step::new(label, op, inputs, vec![Some(out)]));
                }
            }
        }
    }

    /// The input part of the gates, `count` of them, as `[seq, batch, count * hidden]`.
    fn driven(
        &mut self,
        site: &Site,
        s: &Sizes,
        (x, count): (BufferId, usize),
        w: &Arc<WeightExpr>,
        bias: Option<&Tensor>,
    ) -> crate::Result<Option<Driven>> {
        let wide = count * s.hidden;
        let mut g = Gemm { a_perm: vec![], b_perm: vec![], c_perm: vec![], packed: None, bias: false, post: vec![] };
        g.packed = Some([s.input, wide]);
        g.bias = bias.is_some();
        let Some(format) = self.format_of(&Recipe::Gemm(g.clone())) else { return Ok(None) };
        let w = self.weights.expr(String::new(), w);
        let mut inputs = vec![x, self.packed(w, &format, WeightDims::Matrix { k: s.input, n: wide, transposed: true })];
        if let Some(b) = bias {
            inputs.push(self.literal(b.clone()));
        }
        let gates = Type::tensor(DType::F32, &[s.seq.clone(), s.batch.clone(), Dim::from(wide)]);
        Ok(Some(Driven { gates: self.emit_inner(site, Recipe::Gemm(g), inputs, gates), format }))
    }

    /// One direction; returns Y as `[seq, 1, batch, hidden]` and the last states as `[1, batch, hidden]`.
    fn lstm_direction(
        &mut self,
        site: &Site,
        (s, d): (&Sizes, usize),
        driven: Driven,
        r: &Arc<WeightExpr>,
    ) -> crate::Result<[BufferId; 3]> {
        let r = self.recurrent(r, &driven.format, [s.hidden, 4 * s.hidden]);
        let (h0, c0) = (self.first_state(site, 5, d, s)?, self.first_state(site, 6, d, s)?);
        let [y, hn] = self.results(s);
        let cn = self.new_typed(state(s, &[]), Home::Arena);
        let op = StepOp::Native(Recipe::Lstm { reverse: s.reverse[d], hidden: s.hidden });
        let inputs = vec![Some(driven.gates), Some(r), Some(h0), Some(c0)];
        self.push(Step::new(self.model.node_label(site.id), op, inputs, vec![Some(y), Some(hn), Some(cn)]));
        let [y, hn] = self.with_directions(s, [y, hn]);
        Ok([y, hn, self.view_of(cn, state(s, &[Dim::Known(1)]))])
    }

    /// As [`Lowering::lstm_direction`]; there is one last state.
    fn gru_direction(
        &mut self,
        site: &Site,
        (s, d): (&Sizes, usize),
        driven: Driven,
        r: &Arc<WeightExpr>,
        (bias, lengths): (Option<Tensor>, Option<BufferId>),
    ) -> crate::Result<[BufferId; 2]> {
        let h = s.hidden;
        let mut inputs = vec![driven.gates];
        for gate in 0..3 {
            let one = Arc::new(WeightExpr::Slice { of: r.clone(), axis: 0, start: gate * h, len: h });
            inputs.push(self.recurrent(&one, &driven.format, [h, h]));
        }
        inputs.push(self.first_state(site, 5, d, s)?);
        let linear_before_reset = bias.is_some();
        inputs.extend(bias.map(|b| self.literal(b)));
        inputs.extend(lengths);
        let [y, hn] = self.results(s);
        let recipe = Recipe::Gru { reverse: s.reverse[d], hidden: h, linear_before_reset, lengths: lengths.is_some() };
        let inputs = inputs.into_iter().map(Some).collect();
        let label = self.model.node_label(site.id);
        self.push(Step::new(label, StepOp::Native(recipe), inputs, vec![Some(y), Some(hn)]));
        Ok(self.with_directions(s, [y, hn]))
    }

    /// Recurrent weights `[n, k]` in a pack format.
    fn recurrent(&mut self, r: &Arc<WeightExpr>, format: &str, [k, n]: [usize; 2]) -> BufferId {
        let r = self.weights.expr(String::new(), r);
        self.packed(r, format, WeightDims::Matrix { k, n, transposed: true })
    }

    /// Buffers of Y and of the last hidden state.
    fn results(&mut self, s: &Sizes) -> [BufferId; 2] {
        [state(s, std::slice::from_ref(&s.seq)), state(s, &[])].map(|ty| self.new_typed(ty, Home::Arena))
    }

    /// Y and the last hidden state of one direction with an axis of directions.
    fn with_directions(&mut self, s: &Sizes, [y, hn]: [BufferId; 2]) -> [BufferId; 2] {
        let one = Dim::Known(1);
        [self.view_of(y, state(s, &[s.seq.clone(), one.clone()])), self.view_of(hn, state(s, &[one]))]
    }

    /// The initial state of a direction: part of input `i`, or zeros.
    fn first_state(&mut self, site: &Site, i: usize, d: usize, s: &Sizes) -> crate::Result<BufferId> {
        let ty = Type::tensor(DType::F32, &[s.batch.clone(), Dim::from(s.hidden)]);
        let Some(v) = site.input(i) else {
            let mut p = Program::new();
            let zero = p.float(0.0);
            return Ok(self.emit_inner(site, p.finish(zero, Lane::F32), vec![], ty));
        };
        let given = self.buffer(v)?;
        if s.reverse.len() == 1 {
            return Ok(self.view_of(given, ty));
        }
        let one = Type::tensor(DType::F32, &[Dim::Known(1), s.batch.clone(), Dim::from(s.hidden)]);
        let start = vec![Dim::from(d), Dim::Known(0), Dim::Known(0)];
        let part = Recipe::Move(Move::Slice { start, step: vec![1; 3] });
        let part = self.emit_inner(site, part, vec![given], one);
        Ok(self.view_of(part, ty))
    }
}

/// The type of states `[batch, hidden]` with axes before.
fn state(s: &Sizes, before: &[Dim]) -> Type {
    Type::tensor(DType::F32, &[before, &[s.batch.clone(), Dim::from(s.hidden)]].concat())
}

/// The rows of direction `d`.
fn of_direction(e: &Arc<WeightExpr>, d: usize, [rows, columns]: [usize; 2]) -> Arc<WeightExpr> {
    let one = WeightExpr::Slice { of: e.clone(), axis: 0, start: d, len: 1 };
    Arc::new(WeightExpr::Reshape(Arc::new(one), vec![rows, columns]))
}

/// Per direction, what is added to the input part of the gates, and the candidate's recurrent bias: this one apart where the
/// reset gate applies to it.
fn gru_bias(t: &Tensor, hidden: usize, linear: bool) -> Option<(Vec<Tensor>, Vec<Tensor>)> {
    let all = t.to_f64s().ok()?;
    let wide = 3 * hidden;
    let whole = all.len() % (2 * wide) == 0;
    let added = |c: &[f64]| {
        let recurrent = |i: usize| if linear && i >= 2 * hidden { 0.0 } else { c[wide + i] };
        Tensor::from_f64s(DType::F32, &[wide], &(0..wide).map(|i| c[i] + recurrent(i)).collect::<Vec<_>>()).ok()
    };
    let apart = |c: &[f64]| Tensor::from_f64s(DType::F32, &[hidden], &c[wide + 2 * hidden..]).ok();
    let each = || all.chunks(2 * wide).filter(|_| whole);
    Some((each().map(added).collect::<Option<Vec<_>>>()?, each().map(apart).collect::<Option<Vec<_>>>()?))
        .filter(|(a, _)| !a.is_empty())
}

/// The sum of the input's and the recurrent bias, per direction.
fn summed_bias(t: &Tensor, hidden: usize) -> Option<Vec<Tensor>> {
    let all = t.to_f64s().ok()?;
    let wide = 4 * hidden;
    let sum = |c: &[f64]| {
        let v = (0..wide).map(|i| c[i] + c[wide + i]).collect::<Vec<_>>();
        Tensor::from_f64s(DType::F32, &[wide], &v).ok()
    };
    (all.len() % (2 * wide) == 0).then(|| all.chunks(2 * wide).map(sum).collect()).flatten()
}
