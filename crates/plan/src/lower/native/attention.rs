//! Attention as two products with a softmax between them. Transpositions around it become strides of the products.

use super::elementwise::Program;
use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::plan::BufferId;
use crate::recipe::{Gemm, Post, Recipe};
use modelsmith_ir::{Dim, Type};
use modelsmith_kop::{BinaryOp, Inst, Lane, ReduceOp};
use modelsmith_tensor::DType;

/// Sizes of an attention.
struct Sizes {
    /// `[batch, heads, queries, keys]`.
    scores: Vec<Dim>,
    /// `[batch, heads, queries, values]`.
    result: Vec<Dim>,
    scale: f32,
}

fn sizes(site: &Site) -> Option<Sizes> {
    let a = &site.attrs;
    let int = |name: &str, usual: i64| a.opt_int(name).ok().map(|v| v.unwrap_or(usual) == usual).unwrap_or(false);
    let ordinary = int("is_causal", 0)
        && int("left_window_size", -1)
        && int("right_window_size", -1)
        && int("softmax_precision", 1)
        && a.float("softcap").ok()? == 0.0
        && (4..=6).all(|i| site.input(i).is_none())
        && (0..3).all(|i| site.dtype(i) == Some(DType::F32));
    let (q, k, v) = (site.shape(0)?, site.shape(1)?, site.shape(2)?);
    let ([b, h, s, d], [kb, kh, t, kd], [vb, vh, vt, e]) = (q, k, v) else { return None };
    let same = kb == b && vb == b && kh == h && vh == h && kd == d && vt == t;
    if !ordinary || !same || !site.one_output() {
        return None;
    }
    if let Some(mask) = site.shape(3) {
        let kind = matches!(site.dtype(3)?, DType::F32 | DType::Bool);
        if !kind || mask.len() > 4 || mask.last() != Some(t) {
            return None;
        }
    }
    let scale = match a.opt_float("scale").ok()? {
        Some(x) => x,
        None => 1.0 / (d.size()? as f32).sqrt(),
    };
    let with = |last: &Dim| vec![b.clone(), h.clone(), s.clone(), last.clone()];
    Some(Sizes { scores: with(t), result: with(e), scale })
}

fn product(b_perm: Vec<usize>, post: Vec<Post>) -> Recipe {
    Recipe::Gemm(Gemm { a_perm: vec![], b_perm, c_perm: vec![], packed: None, bias: false, post })
}

impl Lowering<'_> {
    pub(super) fn attention(&mut self, site: &Site) -> Lowered {
        let Some(s) = sizes(site) else { return Ok(None) };
        let (Some(q), Some(k), Some(v)) = (site.input(0), site.input(1), site.input(2)) else { return Ok(None) };
        let (q, k, v) = (self.buffer(q)?, self.buffer(k)?, self.buffer(v)?);
        let scores_ty = Type::tensor(DType::F32, &s.scores);
        let scores = product(vec![0, 1, 3, 2], vec![Post::MulScalar(s.scale)]);
        let mut x = self.emit_inner(site, scores, vec![q, k], scores_ty.clone());
        let mask = match site.input(3) {
            Some(m) => Some(self.mask(site, m)?),
            None => None,
        };
        if let Some((mask, _)) = mask {
            let mut p = Program::new();
            let (a, b) = (p.load(Lane::F32), p.load(Lane::F32));
            let sum = p.binary(BinaryOp::Add, Lane::F32, a, b);
            x = self.emit_inner(site, p.finish(sum, Lane::F32), vec![x, mask], scores_ty.clone());
        }
        let x = self.emit_inner(site, Recipe::Softmax { axis: 3, log: false }, vec![x], scores_ty);
        let Some((_, blind)) = mask else { return self.emit(site, product(vec![], vec![]), vec![x, v]) };
        let y = self.emit_inner(site, product(vec![], vec![]), vec![x, v], Type::tensor(DType::F32, &s.result));
        let mut p = Program::new();
        let (c, y_reg, zero) = (p.load(Lane::Bool), p.load(Lane::F32), p.float(0.0));
        let out = p.put(|dst| Inst::Select { lane: Lane::F32, dst, cond: c, a: zero, b: y_reg });
        self.emit(site, p.finish(out, Lane::F32), vec![blind, y])
    }

    /// What is added to the scores, and which queries see no key: they give zeros.
    fn mask(&mut self, site: &Site, m: modelsmith_ir::ValueId) -> crate::Result<(BufferId, BufferId)> {
        let shape = site.shape(3).unwrap_or_default().to_vec();
        let mut mask = self.buffer(m)?;
        if site.dtype(3) == Some(DType::Bool) {
            let mut p = Program::new();
            let (c, seen, never) = (p.load(Lane::Bool), p.float(0.0), p.float(f32::NEG_INFINITY));
            let out = p.put(|dst| Inst::Select { lane: Lane::F32, dst, cond: c, a: seen, b: never });
            mask = self.emit_inner(site, p.finish(out, Lane::F32), vec![mask], Type::tensor(DType::F32, &shape));
        }
        let last = shape.len() - 1;
        let mut tops = shape;
        tops[last] = Dim::Known(1);
        let top = Recipe::Reduce { op: ReduceOp::Max, axes: vec![last] };
        let top = self.emit_inner(site, top, vec![mask], Type::tensor(DType::F32, &tops));
        let mut p = Program::new();
        let (a, never) = (p.load(Lane::F32), p.float(f32::NEG_INFINITY));
        let none = p.binary(BinaryOp::Equal, Lane::F32, a, never);
        let blind = self.emit_inner(site, p.finish(none, Lane::Bool), vec![top], Type::tensor(DType::Bool, &tops));
        Ok((mask, blind))
    }
}
