//! Element-wise programs. Inputs and outputs: as the program numbers them. An output may be the very buffer of an input
//! that has the same strides and an equally wide type; otherwise they may not share memory.
//!
//! The iteration space is walked in chunks: as elements follow each other, or, where an operand has gaps or is broadcast, in
//! pieces of the innermost dim, within which most operands are used where they lie. Each instruction runs over a whole chunk
//! in registers that stay in the first-level cache, so a chain of any length passes over memory once. The fewer registers a
//! program has, the longer its chunks, since each instruction of each chunk has to be told apart from the others.

mod cast;
mod check;
mod exec;
mod walk;

use crate::def::{Args, Facts, KernelDef, KernelError, no_pack, no_workspace};
use crate::mem;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};
use exec::{Chunk, Place, Program};
use modelsmith_kop::{Activation, EltwiseProblem, Inst, UnaryOp};
use modelsmith_pool::Pool;
use walk::Walk;

/// Bytes of all registers of a program: they leave room in the first-level cache for what is read and written.
const FILE: usize = 32 * 1024;
/// Most elements of a chunk.
const LONGEST: usize = 1024;
/// Elements of a chunk of a program with as many registers as there can be, of the widest elements.
const SHORTEST: usize = FILE / (EltwiseProblem::MAX_REGISTERS * size_of::<u64>());

/// Kernels for element-wise programs, best first. Chunks have at least the number of elements that the names say.
pub static KERNELS: &[KernelDef<EltwiseProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("eltwise_256__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("eltwise_256__avx2"),
    def::<Portable>("eltwise_256__portable"),
];

const fn def<S: Simd>(name: &'static str) -> KernelDef<EltwiseProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts: check::accepts,
        cost,
        pack_format: no_pack,
        workspace: no_workspace,
        run: run::<S>,
    }
}

fn cost(p: &EltwiseProblem, facts: &Facts) -> f64 {
    let len = p.len() as f64;
    let bytes: usize = p.inputs.iter().chain(&p.outputs).map(|o| o.lane.bytes()).sum();
    let work: f64 = p
        .code
        .iter()
        .map(|i| match i {
            Inst::Unary { op: UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Atan, .. } => 30.0,
            Inst::Unary { op: UnaryOp::Exp | UnaryOp::Log | UnaryOp::Erf, .. } => 16.0,
            Inst::Unary { op: UnaryOp::Act(Activation::Relu | Activation::Clip { .. }), .. } => 2.0,
            Inst::Unary { op: UnaryOp::Act(_), .. } => 20.0,
            Inst::Binary { op: modelsmith_kop::BinaryOp::Pow, .. } => 100.0,
            _ => 2.0,
        })
        .sum();
    crate::def::roofline(len * bytes as f64, len * work, 0.3, facts)
}

fn run<S: Simd>(p: &EltwiseProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let mut walk = Walk::new(p);
    let missing = |what| KernelError::Buffer { what, problem: "is missing".into() };
    if args.inputs.len() < p.inputs.len() {
        return Err(missing("input"));
    }
    if args.outputs.len() < p.outputs.len() {
        return Err(missing("output"));
    }
    let first_output = p.inputs.len();
    let mut outputs: Vec<Place> = Vec::with_capacity(p.outputs.len());
    for (i, o) in p.outputs.iter().enumerate() {
        let bytes = check::span_bytes(&p.dims, o);
        let ptr = args.outputs[i].elements::<u8>(bytes, "output")?;
        for (other, o) in outputs.iter().zip(&p.outputs) {
            mem::apart((ptr.cast_const(), bytes), (other.ptr, check::span_bytes(&p.dims, o)), "output")?;
        }
        outputs.push(Place { ptr, lane: o.lane, operand: first_output + i, shared: false });
    }
    let mut inputs = Vec::with_capacity(p.inputs.len());
    for (i, o) in p.inputs.iter().enumerate() {
        let bytes = check::span_bytes(&p.dims, o);
        let ptr = args.inputs[i].elements::<u8>(bytes, "input")?;
        let mut shared = false;
        for (other, out) in outputs.iter().zip(&p.outputs) {
            if ptr == other.ptr.cast_const() && out.strides == o.strides && out.lane.bytes() == o.lane.bytes() {
                shared = true;
            } else {
                mem::apart((ptr, bytes), (other.ptr, check::span_bytes(&p.dims, out)), "input")?;
            }
        }
        inputs.push(Place { ptr: ptr.cast_mut(), lane: o.lane, operand: i, shared });
    }
    if walk.len == 0 {
        return Ok(());
    }
    let program = Program::new(p, &mut walk, inputs, outputs);
    let grain = ((16 / p.code.len().max(1)).max(2) * SHORTEST).div_ceil(program.chunk());
    pool.for_ranges(program.chunks(), grain, |chunks, _| {
        // SAFETY: `accepts` has checked the program, and the buffers were checked against it; chunks write different
        // elements; the machine has `S`.
        unsafe { S::enter(Chunk { program: &program, chunks }) }
    });
    Ok(())
}

#[cfg(test)]
mod tests;
