//! Element-wise steps taken into the product or convolution before them.

use super::{Graph, join};
use crate::plan::{BufferId, Step, StepOp};
use crate::recipe::{Eltwise, Post, Recipe};
use modelsmith_ir::Dim;
use modelsmith_kop::{BinaryOp, Inst, Lane, UnaryOp};

pub(super) fn absorb(g: &mut Graph) {
    for i in 0..g.steps.len() {
        if g.eltwise(i).is_none() {
            continue;
        }
        let mut makers =
            g.inputs(i).into_iter().enumerate().filter_map(|(q, b)| Some((g.maker(b)?, q))).collect::<Vec<_>>();
        // The later of two products: the other's result is then an operand that exists.
        makers.sort_unstable();
        for (p, q) in makers.into_iter().rev() {
            if let Some(step) = joined(g, p, i, q) {
                g.replace(i, Some(p), step);
                break;
            }
        }
    }
}

/// Product `p` with element-wise step `i`, which reads its result as operand `q`, as one step.
fn joined(g: &Graph, p: usize, i: usize, q: usize) -> Option<Step> {
    let (maker, reader) = (g.steps[p].as_ref()?, g.steps[i].as_ref()?);
    let (from, to) = (g.output(p)?, g.output(i)?);
    let recipe = g.recipe(p)?;
    let columns = match recipe {
        Recipe::Conv(_) => Some(1),
        Recipe::Gemm(m) if m.c_perm.is_empty() => None,
        _ => return None,
    };
    if g.only_reader(from) != Some(i) || !g.same_shape(from, to) {
        return None;
    }
    let program = g.eltwise(i)?;
    let operands = g.inputs(i);
    let (posts, used) = posts(program, q as u8)?;
    let mut inputs = maker.inputs.clone();
    for k in used {
        let b = *operands.get(k as usize)?;
        if !fits(g, b, to, columns) {
            return None;
        }
        inputs.push(Some(b));
    }
    let mut recipe = recipe.clone();
    match &mut recipe {
        Recipe::Conv(c) => c.post.extend(posts),
        Recipe::Gemm(m) => m.post.extend(posts),
        _ => return None,
    }
    Some(Step::new(join(&maker.label, &reader.label), StepOp::Native(recipe), inputs, reader.outputs.clone()))
}

/// Whether `b` is of the result's shape, or one value per column; columns are axis 1 of images, else the last axis.
fn fits(g: &Graph, b: BufferId, result: BufferId, columns: Option<usize>) -> bool {
    let shape = |id: BufferId| g.block.buffers[id].ty.shape();
    let (Some(own), Some(out)) = (shape(b), shape(result)) else { return false };
    if own == out {
        return true;
    }
    let axis = columns.unwrap_or(out.len().saturating_sub(1));
    let Some(lead) = out.len().checked_sub(own.len()) else { return false };
    let column = axis >= lead && own.get(axis - lead) == out.get(axis);
    column && own.iter().enumerate().all(|(i, d)| i + lead == axis || *d == Dim::Known(1))
}

/// What a register holds while a program is read as steps after a product.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    /// The result so far.
    Current,
    Input(u8),
    Number(f32),
    /// An earlier state of the result, which is gone.
    Past,
}

/// The program as steps on its input `q`, with the other inputs in the order in which the steps take them.
pub(super) fn posts(e: &Eltwise, q: u8) -> Option<(Vec<Post>, Vec<u8>)> {
    let mut held: Vec<(u8, Held)> = Vec::new();
    let (mut posts, mut used) = (Vec::new(), Vec::new());
    let advance = |held: &mut Vec<(u8, Held)>, dst: u8| {
        held.iter_mut().filter(|h| h.1 == Held::Current).for_each(|h| h.1 = Held::Past);
        held.push((dst, Held::Current));
    };
    for inst in &e.code {
        let get = |r: u8| held.iter().rev().find(|h| h.0 == r).map(|h| h.1);
        match *inst {
            Inst::Load { dst, input } => held.push((dst, if input == q { Held::Current } else { Held::Input(input) })),
            Inst::ConstF32 { dst, value } => held.push((dst, Held::Number(value))),
            Inst::Unary { op, lane: Lane::F32, dst, a } if get(a)? == Held::Current => {
                posts.push(match op {
                    UnaryOp::Act(act) => Post::Act(act),
                    UnaryOp::Neg => Post::MulScalar(-1.0),
                    _ => return None,
                });
                advance(&mut held, dst);
            }
            Inst::Binary { op, lane: Lane::F32, dst, a, b } => {
                binary(op, get(a)?, get(b)?, &mut posts, &mut used)?;
                advance(&mut held, dst);
            }
            Inst::Store { a, .. } => return (get(a)? == Held::Current).then_some((posts, used)),
            _ => return None,
        }
    }
    None
}

fn binary(op: BinaryOp, a: Held, b: Held, posts: &mut Vec<Post>, used: &mut Vec<u8>) -> Option<()> {
    use Held::{Current, Input, Number};
    match (op, a, b) {
        (BinaryOp::Add, Current, Number(x)) | (BinaryOp::Add, Number(x), Current) => posts.push(Post::AddScalar(x)),
        (BinaryOp::Sub, Current, Number(x)) => posts.push(Post::AddScalar(-x)),
        (BinaryOp::Sub, Number(x), Current) => posts.extend([Post::MulScalar(-1.0), Post::AddScalar(x)]),
        (BinaryOp::Mul, Current, Number(x)) | (BinaryOp::Mul, Number(x), Current) => posts.push(Post::MulScalar(x)),
        (BinaryOp::Div, Current, Number(x)) if x != 0.0 && (1.0 / x).is_normal() => {
            posts.push(Post::MulScalar(1.0 / x))
        }
        (BinaryOp::Add, Current, Input(i)) | (BinaryOp::Add, Input(i), Current) => {
            posts.push(Post::Add);
            used.push(i);
        }
        (BinaryOp::Mul, Current, Input(i)) | (BinaryOp::Mul, Input(i), Current) => {
            posts.push(Post::Mul);
            used.push(i);
        }
        (BinaryOp::Sub, Input(i), Current) => {
            posts.extend([Post::MulScalar(-1.0), Post::Add]);
            used.push(i);
        }
        _ => return None,
    }
    Some(())
}
