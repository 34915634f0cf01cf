//! Chains of element-wise steps as one program, and programs in few registers.

use super::{Graph, join};
use crate::plan::{BufferId, Step, StepOp};
use crate::recipe::{Eltwise, Recipe};
use modelsmith_kop::{EltwiseProblem, Inst, Lane};

/// Most instructions of a program: registers are numbered in a byte while programs grow.
const MAX_CODE: usize = 96;

pub(super) fn chains(g: &mut Graph) {
    for i in 0..g.steps.len() {
        while let Some((p, step)) = next(g, i) {
            g.replace(i, Some(p), step);
        }
    }
}

/// A step that element-wise step `i` can take in, and both as one.
fn next(g: &Graph, i: usize) -> Option<(usize, Step)> {
    let reader = g.eltwise(i)?;
    let out = g.output(i)?;
    let operands = g.inputs(i);
    for (q, &b) in operands.iter().enumerate() {
        let Some(p) = g.maker(b).filter(|_| g.only_reader(b) == Some(i) && g.same_shape(b, out)) else { continue };
        let Some(maker) = g.eltwise(p) else { continue };
        let Some((e, inputs)) = compose(maker, &g.inputs(p), reader, &operands, q) else { continue };
        let (a, b) = (g.steps[p].as_ref()?, g.steps[i].as_ref()?);
        let inputs = inputs.into_iter().map(Some).collect();
        let op = StepOp::Native(Recipe::Eltwise(e));
        return Some((p, Step::new(join(&a.label, &b.label), op, inputs, b.outputs.clone())));
    }
    None
}

/// `b` after `a`, whose result is input `q` of `b`.
fn compose(
    a: &Eltwise,
    a_inputs: &[BufferId],
    b: &Eltwise,
    b_inputs: &[BufferId],
    q: usize,
) -> Option<(Eltwise, Vec<BufferId>)> {
    if a.code.len() + b.code.len() > MAX_CODE {
        return None;
    }
    let mut made = Joined { inputs: vec![], lanes: vec![], code: vec![], loaded: vec![], next: 0 };
    let result = made.append(a, a_inputs, None)?;
    let last = made.append(b, b_inputs, Some((q as u8, result)))?;
    made.code.push(Inst::Store { output: 0, a: last });
    let e = Eltwise { inputs: made.lanes, outputs: b.outputs.clone(), registers: made.next, code: made.code };
    let fits = e.inputs.len() < EltwiseProblem::MAX_OPERANDS && compact(&e).is_some();
    fits.then_some((e, made.inputs))
}

struct Joined {
    inputs: Vec<BufferId>,
    lanes: Vec<Lane>,
    code: Vec<Inst>,
    /// Register of each input loaded so far.
    loaded: Vec<u8>,
    next: u8,
}

impl Joined {
    /// Appends a program; `given` is an input that is a register already. Returns the register of the result.
    fn append(&mut self, e: &Eltwise, inputs: &[BufferId], given: Option<(u8, u8)>) -> Option<u8> {
        let mut map = vec![None; 256];
        for inst in &e.code {
            match *inst {
                Inst::Load { dst, input } => {
                    let reg = match given {
                        Some((q, reg)) if q == input => reg,
                        _ => self.load(*inputs.get(input as usize)?, *e.inputs.get(input as usize)?)?,
                    };
                    map[dst as usize] = Some(reg);
                }
                Inst::Store { a, .. } => return map[a as usize],
                other => {
                    let dst = self.next;
                    self.next = self.next.checked_add(1)?;
                    let (old, new) = renamed(other, dst, &|r| map[r as usize])?;
                    map[old as usize] = Some(dst);
                    self.code.push(new);
                }
            }
        }
        None
    }

    fn load(&mut self, b: BufferId, lane: Lane) -> Option<u8> {
        if let Some(i) = self.inputs.iter().zip(&self.lanes).position(|(&x, &l)| x == b && l == lane) {
            return Some(self.loaded[i]);
        }
        let reg = self.next;
        self.next = self.next.checked_add(1)?;
        self.code.push(Inst::Load { dst: reg, input: u8::try_from(self.inputs.len()).ok()? });
        self.inputs.push(b);
        self.lanes.push(lane);
        self.loaded.push(reg);
        Some(reg)
    }
}

/// The instruction with its result in `to` and its operands mapped; also the register that it wrote before.
fn renamed(inst: Inst, to: u8, map: &dyn Fn(u8) -> Option<u8>) -> Option<(u8, Inst)> {
    Some(match inst {
        Inst::Load { dst, input } => (dst, Inst::Load { dst: to, input }),
        Inst::ConstF32 { dst, value } => (dst, Inst::ConstF32 { dst: to, value }),
        Inst::ConstInt { dst, lane, value } => (dst, Inst::ConstInt { dst: to, lane, value }),
        Inst::Unary { op, lane, dst, a } => (dst, Inst::Unary { op, lane, dst: to, a: map(a)? }),
        Inst::Binary { op, lane, dst, a, b } => (dst, Inst::Binary { op, lane, dst: to, a: map(a)?, b: map(b)? }),
        Inst::Select { lane, dst, cond, a, b } => {
            (dst, Inst::Select { lane, dst: to, cond: map(cond)?, a: map(a)?, b: map(b)? })
        }
        Inst::Cast { from, to: lane, dst, a } => (dst, Inst::Cast { from, to: lane, dst: to, a: map(a)? }),
        Inst::Store { output, a } => (0, Inst::Store { output, a: map(a)? }),
    })
}

fn operands(inst: &Inst) -> Vec<u8> {
    match *inst {
        Inst::Load { .. } | Inst::ConstF32 { .. } | Inst::ConstInt { .. } => vec![],
        Inst::Unary { a, .. } | Inst::Cast { a, .. } | Inst::Store { a, .. } => vec![a],
        Inst::Binary { a, b, .. } => vec![a, b],
        Inst::Select { cond, a, b, .. } => vec![cond, a, b],
    }
}

fn written(inst: &Inst) -> Option<u8> {
    match *inst {
        Inst::Load { dst, .. }
        | Inst::ConstF32 { dst, .. }
        | Inst::ConstInt { dst, .. }
        | Inst::Unary { dst, .. }
        | Inst::Binary { dst, .. }
        | Inst::Select { dst, .. }
        | Inst::Cast { dst, .. } => Some(dst),
        Inst::Store { .. } => None,
    }
}

/// The same program, in which every instruction writes a register of its own, in as few registers as it can: values are
/// loaded just before their first use. `None` when the machine has too few.
pub(crate) fn compact(e: &Eltwise) -> Option<Eltwise> {
    let mut order: Vec<Inst> = Vec::new();
    let mut waiting: Vec<Inst> = Vec::new();
    for inst in &e.code {
        if operands(inst).is_empty() && written(inst).is_some() {
            waiting.push(*inst);
            continue;
        }
        for r in operands(inst) {
            if let Some(k) = waiting.iter().position(|w| written(w) == Some(r)) {
                order.push(waiting.remove(k));
            }
        }
        order.push(*inst);
    }
    let mut last = vec![0usize; 256];
    for (at, inst) in order.iter().enumerate() {
        operands(inst).into_iter().for_each(|r| last[r as usize] = at);
    }
    let mut free = (0..EltwiseProblem::MAX_REGISTERS as u8).rev().collect::<Vec<_>>();
    let mut map: Vec<Option<u8>> = vec![None; 256];
    let (mut code, mut most) = (Vec::new(), 0);
    for (at, inst) in order.iter().enumerate() {
        let to = match written(inst) {
            Some(_) => free.pop()?,
            None => 0,
        };
        most = most.max(to + 1);
        let (_, new) = renamed(*inst, to, &|r| map[r as usize])?;
        code.push(new);
        let mut ended = operands(inst);
        ended.sort_unstable();
        ended.dedup();
        for r in ended.into_iter().filter(|&r| last[r as usize] == at) {
            free.extend(map[r as usize].take());
        }
        if let Some(old) = written(inst) {
            map[old as usize] = Some(to);
        }
    }
    Some(Eltwise { inputs: e.inputs.clone(), outputs: e.outputs.clone(), registers: most, code })
}
