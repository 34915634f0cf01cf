//! Changes to the recipe of a kernel step.

use super::change::{dim, edge, list, pick, size};
use modelsmith_ir::Samples;
use modelsmith_kop::{Inst, Lane};
use modelsmith_plan::recipe::{
    Attention, Axis, Border, Conv, Depth, Eltwise, Gemm, Move, Norm, NormOver, Padding, PoolOver, Post, Recipe, Window,
};

/// Changes one field.
pub fn change(r: &mut Recipe, s: &mut Samples) {
    match r {
        Recipe::Gemm(g) => gemm(g, s),
        Recipe::Conv(c) => conv(c, s),
        Recipe::Pool(p) if s.below(4) == 0 => {
            p.over = [PoolOver::Image, PoolOver::Planes, PoolOver::Depth][s.below(3) as usize];
        }
        Recipe::Pool(p) => match &mut p.window {
            Some(w) if s.below(5) > 0 => window(w, s),
            w => *w = None,
        },
        Recipe::Eltwise(e) => program(e, s),
        Recipe::Reduce { axes, .. } => list(axes, s, size),
        Recipe::Softmax { axis, log } => {
            size(axis, s);
            *log ^= s.below(2) == 0;
        }
        Recipe::Norm(n) => norm(n, s),
        Recipe::Move(m) => moved(m, s),
        Recipe::Gather { axis } => size(axis, s),
        Recipe::Resize { scale, .. } => {
            *scale = [None, Some([0.0, 1e30]), Some([-1.0, f32::NAN]), Some([1e-30, 1.0])][s.below(4) as usize];
        }
        Recipe::Attention(a) => {
            let Attention { q, k, v, y, causal, .. } = a;
            *causal ^= true;
            let heads = [q, k, v, y].into_iter().nth(s.below(4) as usize);
            heads.into_iter().for_each(|h| match s.below(2) {
                0 => list(&mut h.dims, s, dim),
                _ => {
                    list(&mut h.axes, s, |x, s| *x = [Axis::Head, Axis::Column, Axis::At(1 << 40)][s.below(3) as usize])
                }
            });
        }
        Recipe::Gru { reverse, hidden, linear_before_reset, lengths } => match s.below(4) {
            0 => *reverse ^= true,
            1 => *linear_before_reset ^= true,
            2 => *lengths ^= true,
            _ => size(hidden, s),
        },
        Recipe::IntegerGemm { packed, zeros } => match s.below(3) {
            0 => *packed = packed.map_or(Some([1 << 40, 4]), |_| None),
            i => zeros[i as usize - 1] ^= true,
        },
        Recipe::IntegerConv { window: w, groups, zeros } => match s.below(4) {
            0 => window(w, s),
            1 => size(groups, s),
            i => zeros[i as usize - 2] ^= true,
        },
        Recipe::Lstm { reverse, hidden } => {
            *reverse ^= true;
            size(hidden, s);
        }
    }
}

fn gemm(g: &mut Gemm, s: &mut Samples) {
    match s.below(6) {
        0 => list(&mut g.a_perm, s, size),
        1 => list(&mut g.b_perm, s, size),
        2 => list(&mut g.c_perm, s, size),
        3 => match &mut g.packed {
            Some(p) => size(&mut p[s.below(2) as usize], s),
            None => g.packed = Some([4, 4]),
        },
        4 => g.bias ^= true,
        _ => post(&mut g.post, s),
    }
}

fn post(p: &mut Vec<Post>, s: &mut Samples) {
    match s.below(3) {
        0 => p.push(Post::Add),
        1 => p.push(Post::Mul),
        _ => list(p, s, |x, _| *x = Post::Add),
    }
}

fn conv(c: &mut Conv, s: &mut Samples) {
    let i = s.below(2) as usize;
    match s.below(9) {
        8 => depth(c, s),
        0 => size(&mut c.kernel[i], s),
        1 => size(&mut c.stride[i], s),
        2 => size(&mut c.dilation[i], s),
        3 => padding(&mut c.pad, s),
        4 => size(&mut c.groups, s),
        5 => c.transposed ^= true,
        6 => c.bias ^= true,
        _ => post(&mut c.post, s),
    }
}

fn depth(c: &mut Conv, s: &mut Samples) {
    match &mut c.depth {
        None => c.depth = Some(Depth { kernel: 2, stride: 1, dilation: 1, pad: [1, 0] }),
        Some(d) => match s.below(5) {
            0 => size(&mut d.kernel, s),
            1 => size(&mut d.stride, s),
            2 => size(&mut d.dilation, s),
            3 => size(&mut d.pad[s.below(2) as usize], s),
            _ => c.depth = None,
        },
    }
}

fn padding(p: &mut Padding, s: &mut Samples) {
    match (s.below(6), &mut *p) {
        (0, _) => *p = Padding::SameUpper,
        (1, _) => *p = Padding::SameLower,
        (_, Padding::Fixed(all)) => size(&mut all[s.below(4) as usize], s),
        _ => *p = Padding::Fixed([1, 0, edge(0, s) as usize, 2]),
    }
}

fn window(w: &mut Window, s: &mut Samples) {
    let i = s.below(2) as usize;
    match s.below(4) {
        0 => size(&mut w.kernel[i], s),
        1 => size(&mut w.stride[i], s),
        2 => size(&mut w.dilation[i], s),
        _ => padding(&mut w.pad, s),
    }
}

fn norm(n: &mut Norm, s: &mut Samples) {
    match s.below(4) {
        0 => n.scale ^= true,
        1 => n.bias ^= true,
        2 => n.residual ^= true,
        _ => match &mut n.over {
            NormOver::Layer(a) | NormOver::Rms(a) | NormOver::Group(a) => size(a, s),
        },
    }
}

fn moved(m: &mut Move, s: &mut Samples) {
    match m {
        Move::Reorder | Move::Expand if s.below(2) == 0 => *m = Move::Transpose(vec![1, 0]),
        Move::Reorder | Move::Expand => *m = Move::Shuffle { groups: s.below(4) as usize },
        Move::Transpose(p) => list(p, s, size),
        Move::Slice { start, step } => match s.below(2) {
            0 => list(start, s, dim),
            _ => list(step, s, |x, s| *x = edge(*x, s)),
        },
        Move::Concat(a) | Move::Split(a) => size(a, s),
        Move::Shuffle { groups } => size(groups, s),
        Move::Pad { before } => list(before, s, |x, s| *x = edge(*x, s)),
        Move::Extend { before, border } => match s.below(3) {
            0 => *border = [Border::Reflect, Border::Edge, Border::Wrap][s.below(3) as usize],
            _ => list(before, s, size),
        },
    }
}

fn program(e: &mut Eltwise, s: &mut Samples) {
    let lane = |l: &mut Lane, s: &mut Samples| *l = Lane::ALL[s.below(8) as usize];
    match s.below(8) {
        0 => list(&mut e.inputs, s, lane),
        1 => list(&mut e.outputs, s, lane),
        2 => e.registers = [0, 1, 15, 16, 17, 255][s.below(6) as usize],
        3 => list(&mut e.code, s, |_, _| {}),
        _ => {
            if let Some(i) = pick(e.code.len(), s) {
                instruction(&mut e.code[i], s);
            }
        }
    }
}

fn instruction(i: &mut Inst, s: &mut Samples) {
    let n = [0u8, 1, 2, 3, 15, 16, 17, 255][s.below(8) as usize];
    let l = Lane::ALL[s.below(8) as usize];
    let which = s.below(4);
    match i {
        Inst::Load { dst, input } => *(if which < 2 { dst } else { input }) = n,
        Inst::ConstF32 { dst, .. } => *dst = n,
        Inst::ConstInt { dst, lane, value } => match which {
            0 => *dst = n,
            1 => *lane = l,
            _ => *value = edge(*value, s),
        },
        Inst::Unary { lane, dst, a, .. } => match which {
            0 => *lane = l,
            1 => *dst = n,
            _ => *a = n,
        },
        Inst::Binary { lane, dst, a, b, .. } => match which {
            0 => *lane = l,
            1 => *dst = n,
            2 => *a = n,
            _ => *b = n,
        },
        Inst::Select { lane, dst, cond, a, .. } => match which {
            0 => *lane = l,
            1 => *dst = n,
            2 => *cond = n,
            _ => *a = n,
        },
        Inst::Cast { from, to, dst, a } => match which {
            0 => *from = l,
            1 => *to = l,
            2 => *dst = n,
            _ => *a = n,
        },
        Inst::Store { output, a } => *(if which < 2 { output } else { a }) = n,
    }
}
