//! LSTM: the product of all inputs with the input weights first, then the steps.

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

/// Sizes of an LSTM.
struct Sizes {
    seq: Dim,
    batch: Dim,
    hidden: usize,
    input: usize,
    reverse: Vec<bool>,
}

fn sizes(site: &Site) -> Option<Sizes> {
    let a = &site.attrs;
    let reverse = match a.string("direction").ok()? {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        _ => return None,
    };
    let ordinary = a.int("layout").ok()? == 0
        && a.int("input_forget").ok()? == 0
        && !a.has("clip")
        && !a.has("activations")
        && !a.has("activation_alpha")
        && !a.has("activation_beta")
        && site.input(4).is_none()
        && site.input(7).is_none();
    let r = site.shape(2)?.iter().map(Dim::size).collect::<Option<Vec<_>>>()?;
    let w = site.shape(1)?.iter().map(Dim::size).collect::<Option<Vec<_>>>()?;
    let ([seq, batch, _], [d, _, hidden], [_, _, input]) = (site.shape(0)?, &r[..], &w[..]) else { return None };
    let float = [0, 1, 2, 3, 5, 6].iter().all(|&i| site.dtype(i).is_none_or(|d| d == DType::F32));
    let fits = ordinary && float && *d == reverse.len() && *hidden > 0 && *input > 0;
    fits.then(|| Sizes { seq: seq.clone(), batch: batch.clone(), hidden: *hidden, input: *input, reverse })
}

impl Lowering<'_> {
    pub(super) fn lstm(&mut self, site: &Site) -> Lowered {
        let Some(s) = sizes(site) else { return Ok(None) };
        let (Some(x), Some(w), Some(r)) = (site.input(0), site.input(1), site.input(2)) else { return Ok(None) };
        let (Some(wx), Some(rx)) = (self.model.weight(w).cloned(), self.model.weight(r).cloned()) else {
            return Ok(None);
        };
        let biases = match site.input(3) {
            Some(b) => match self.tensor(b).and_then(|t| summed_bias(&t, s.hidden)) {
                Some(all) => all,
                None => return Ok(None),
            },
            None => vec![],
        };
        let x = self.buffer(x)?;
        let mut parts: [Vec<BufferId>; 3] = Default::default();
        for d in 0..s.reverse.len() {
            let of = |e: &Arc<WeightExpr>, rows: usize, cols: usize| {
                let one = WeightExpr::Slice { of: e.clone(), axis: 0, start: d, len: 1 };
                Arc::new(WeightExpr::Reshape(Arc::new(one), vec![rows, cols]))
            };
            let h = s.hidden;
            let (wd, rd) = (of(&wx, 4 * h, s.input), of(&rx, 4 * h, h));
            let Some(made) = self.direction(site, &s, d, x, (wd, rd), biases.get(d))? else { return Ok(None) };
            for (list, id) in parts.iter_mut().zip(made) {
                list.push(id);
            }
        }
        for (i, list) in parts.into_iter().enumerate() {
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
                    let inputs = list.into_iter().map(Some).collect();
                    self.push(Step::new(label, op, inputs, vec![Some(out)]));
                }
            }
        }
        Ok(Some(()))
    }

    /// One direction; returns Y as `[seq, 1, batch, hidden]` and the last states as `[1, batch, hidden]`.
    fn direction(
        &mut self,
        site: &Site,
        s: &Sizes,
        d: usize,
        x: BufferId,
        (wd, rd): (Arc<WeightExpr>, Arc<WeightExpr>),
        bias: Option<&Tensor>,
    ) -> crate::Result<Option<[BufferId; 3]>> {
        let h = s.hidden;
        let known = |n: usize| Dim::from(n);
        let f32s = |dims: &[Dim]| Type::tensor(DType::F32, dims);
        let (w, r) = (self.weights.expr(String::new(), &wd), self.weights.expr(String::new(), &rd));
        let wide = WeightDims::Matrix { k: s.input, n: 4 * h, transposed: true };
        let mut g = Gemm { a_perm: vec![], b_perm: vec![], c_perm: vec![], packed: None, bias: false, post: vec![] };
        g.packed = Some([s.input, 4 * h]);
        g.bias = bias.is_some();
        let format = self.format_of(&Recipe::Gemm(g.clone()));
        let Some(format) = format else { return Ok(None) };
        let w = self.packed(w, &format, wide);
        let r = self.packed(r, &format, WeightDims::Matrix { k: h, n: 4 * h, transposed: true });
        let mut inputs = vec![x, w];
        if let Some(b) = bias {
            inputs.push(self.literal(b.clone()));
        }
        let gates = f32s(&[s.seq.clone(), s.batch.clone(), known(4 * h)]);
        let gates = self.emit_inner(site, Recipe::Gemm(g), inputs, gates);
        let state = [s.batch.clone(), known(h)];
        let (h0, c0) = (self.first_state(site, 5, d, s)?, self.first_state(site, 6, d, s)?);
        let y = self.new_typed(f32s(&[s.seq.clone(), s.batch.clone(), known(h)]), Home::Arena);
        let (hn, cn) = (self.new_typed(f32s(&state), Home::Arena), self.new_typed(f32s(&state), Home::Arena));
        let op = StepOp::Native(Recipe::Lstm { reverse: s.reverse[d], hidden: h });
        let label = self.model.node_label(site.id);
        let inputs = vec![Some(gates), Some(r), Some(h0), Some(c0)];
        self.push(Step::new(label, op, inputs, vec![Some(y), Some(hn), Some(cn)]));
        let lead = |dims: &[Dim], at: usize| {
            let mut all = dims.to_vec();
            all.insert(at, known(1));
            f32s(&all)
        };
        let y = self.view_of(y, lead(&[s.seq.clone(), s.batch.clone(), known(h)], 1));
        let (hn, cn) = (self.view_of(hn, lead(&state, 0)), self.view_of(cn, lead(&state, 0)));
        Ok(Some([y, hn, cn]))
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
