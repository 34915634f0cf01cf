//! Whether a program is well formed: register numbers, types, views.

use crate::def::Reject;
use crate::span::{product, span_of};
use modelsmith_kop::{BinaryOp, EltwiseProblem, Inst, Lane, Operand, UnaryOp};

/// Bytes that an operand's view reaches; huge where it overflows.
pub(super) fn span_bytes(dims: &[usize], o: &Operand) -> usize {
    let view = dims.iter().copied().zip(o.strides.iter().copied());
    span_of(view).and_then(|s| s.checked_mul(o.lane.bytes())).unwrap_or(usize::MAX)
}

pub(super) fn accepts(p: &EltwiseProblem) -> Result<(), Reject> {
    if product(&p.dims).is_none() {
        return Reject::because("sizes overflow");
    }
    if p.registers as usize > EltwiseProblem::MAX_REGISTERS {
        return Reject::because("too many registers");
    }
    if p.inputs.len() > EltwiseProblem::MAX_OPERANDS || p.outputs.len() > EltwiseProblem::MAX_OPERANDS {
        return Reject::because("too many operands");
    }
    if p.inputs.iter().chain(&p.outputs).any(|o| o.strides.len() != p.dims.len()) {
        return Reject::because("as many strides as dims are needed");
    }
    if p.inputs.iter().chain(&p.outputs).any(|o| span_bytes(&p.dims, o) > isize::MAX as usize / 16) {
        return Reject::because("sizes overflow");
    }
    if !p.dims.contains(&0) && p.outputs.iter().any(|o| overlaps_itself(&p.dims, &o.strides)) {
        return Reject::because("elements of an output overlap");
    }
    types(p)
}

fn overlaps_itself(dims: &[usize], strides: &[usize]) -> bool {
    let view = || dims.iter().copied().zip(strides.iter().copied()).filter(|d| d.0 > 1);
    // Most views have their strides in order, and then nothing need be sorted.
    if steps_over(view().rev()) {
        return false;
    }
    let mut sorted: Vec<_> = view().collect();
    sorted.sort_by_key(|d| d.1);
    !steps_over(sorted.into_iter())
}

/// True where each stride steps over all that the dims before it reach.
fn steps_over(mut view: impl Iterator<Item = (usize, usize)>) -> bool {
    let mut reach = 1usize;
    view.all(|(len, stride)| {
        let over = stride >= reach;
        reach += (len - 1) * stride;
        over
    })
}

/// Follows the types of the registers through the code.
fn types(p: &EltwiseProblem) -> Result<(), Reject> {
    let mut regs: [Option<Lane>; EltwiseProblem::MAX_REGISTERS] = [None; EltwiseProblem::MAX_REGISTERS];
    let count = p.registers as usize;
    for (at, inst) in p.code.iter().enumerate() {
        let wrong = |what: &str| Reject(format!("instruction {at}: {what}"));
        let holds = |reg: u8, lane: Lane| match regs[..count].get(reg as usize) {
            Some(Some(l)) if *l == lane => Ok(()),
            Some(Some(_)) => Err(wrong("register holds another type")),
            _ => Err(wrong("register is read before it is written")),
        };
        let (dst, lane) = match *inst {
            Inst::Load { dst, input } => {
                (dst, p.inputs.get(input as usize).ok_or_else(|| wrong("no such input"))?.lane)
            }
            Inst::ConstF32 { dst, .. } => (dst, Lane::F32),
            Inst::ConstInt { lane, .. } if !matches!(lane, Lane::I32 | Lane::I64 | Lane::Bool) => {
                return Err(wrong("integer constant in lanes of another type"));
            }
            Inst::ConstInt { dst, lane, .. } => (dst, lane),
            Inst::Unary { op, lane, dst, a } => {
                holds(a, lane)?;
                if !unary_allowed(op, lane) {
                    return Err(wrong("no such function of this type"));
                }
                (dst, lane)
            }
            Inst::Binary { op, lane, dst, a, b } => {
                holds(a, lane)?;
                holds(b, lane)?;
                if !binary_allowed(op, lane) {
                    return Err(wrong("no such function of this type"));
                }
                (dst, if op.is_comparison() { Lane::Bool } else { lane })
            }
            Inst::Select { lane, dst, cond, a, b } => {
                holds(cond, Lane::Bool)?;
                holds(a, lane)?;
                holds(b, lane)?;
                (dst, lane)
            }
            Inst::Cast { from, to, dst, a } => {
                holds(a, from)?;
                if !super::cast::allowed(from, to) {
                    return Err(wrong("no such cast"));
                }
                (dst, to)
            }
            Inst::Store { output, a } => {
                holds(a, p.outputs.get(output as usize).ok_or_else(|| wrong("no such output"))?.lane)?;
                continue;
            }
        };
        *regs[..count].get_mut(dst as usize).ok_or_else(|| wrong("no such register"))? = Some(lane);
    }
    Ok(())
}

fn unary_allowed(op: UnaryOp, lane: Lane) -> bool {
    match lane {
        Lane::F32 => op != UnaryOp::Not,
        Lane::I32 | Lane::I64 => matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign),
        Lane::Bool => op == UnaryOp::Not,
        Lane::U8 | Lane::I8 | Lane::F16 | Lane::BF16 => false,
    }
}

fn binary_allowed(op: BinaryOp, lane: Lane) -> bool {
    use BinaryOp::*;
    if lane.is_narrow() {
        return false;
    }
    match op {
        And | Or | Xor => lane == Lane::Bool,
        Pow | PRelu => lane == Lane::F32,
        Equal => true,
        _ => lane != Lane::Bool,
    }
}
