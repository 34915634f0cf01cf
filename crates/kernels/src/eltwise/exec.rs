//! Running a program over chunks.

use super::cast::cast;
use super::walk::{LANES, Walk};
use super::{FILE, LONGEST, SHORTEST};
use crate::simd::{Body, Simd, math, trigonometry};
use modelsmith_kop::{Activation, BinaryOp, EltwiseProblem, Inst, Lane, UnaryOp};
use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

/// An operand's buffer.
pub(super) struct Place {
    pub ptr: *mut u8,
    pub lane: Lane,
    /// Number in the [`Walk`].
    pub operand: usize,
    /// An output is the same buffer.
    pub shared: bool,
}

/// A program with its buffers and what was found out about it beforehand.
pub(super) struct Program<'a> {
    code: Cow<'a, [Inst]>,
    walk: &'a Walk,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    registers: usize,
    /// Bytes of an element of a register.
    width: usize,
    /// By instruction: its value is the same in every chunk and its register is written by nothing else.
    once: Vec<bool>,
    /// By instruction: the output whose memory the result is written to directly.
    direct: Vec<Option<usize>>,
}

// SAFETY: chunks on different threads write different elements of the outputs and only read the rest.
unsafe impl Sync for Program<'_> {}

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

/// Registers that an instruction reads; one may be named more than once.
fn read(inst: &mut Inst) -> [Option<&mut u8>; 3] {
    match inst {
        Inst::Load { .. } | Inst::ConstF32 { .. } | Inst::ConstInt { .. } => [None, None, None],
        Inst::Unary { a, .. } | Inst::Cast { a, .. } | Inst::Store { a, .. } => [Some(a), None, None],
        Inst::Binary { a, b, .. } => [Some(a), Some(b), None],
        Inst::Select { cond, a, b, .. } => [Some(cond), Some(a), Some(b)],
    }
}

/// The register that an instruction writes, to be changed.
fn target(inst: &mut Inst) -> Option<&mut u8> {
    match inst {
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

/// Gives what is the same in every chunk registers of its own while there are any: the code, by instruction whether it has
/// to run once only, and the number of registers.
fn hoisted(p: &EltwiseProblem, uniform: impl Fn(u8) -> bool) -> (Vec<Inst>, Vec<bool>, usize) {
    const MOST: usize = EltwiseProblem::MAX_REGISTERS;
    let (mut code, mut registers) = (p.code.clone(), p.registers as usize);
    let mut writers = [0usize; MOST];
    p.code.iter().filter_map(written).for_each(|r| writers[r as usize] += 1);
    // By register of the program: where its value lies now, and whether that is the same in every chunk.
    let mut now: [(u8, bool); MOST] = std::array::from_fn(|r| (r as u8, false));
    let mut once = vec![false; code.len()];
    for (at, inst) in code.iter_mut().enumerate() {
        let mut same = match *inst {
            Inst::Load { input, .. } => uniform(input),
            Inst::Store { .. } => false,
            _ => true,
        };
        for r in read(inst).into_iter().flatten() {
            let (place, fixed) = now[*r as usize];
            same &= fixed;
            *r = place;
        }
        let Some(dst) = target(inst) else { continue };
        let own = *dst as usize;
        if same && writers[own] > 1 && registers < MOST {
            *dst = registers as u8;
            registers += 1;
            once[at] = true;
        } else {
            once[at] = same && writers[own] == 1;
        }
        now[own] = (*dst, once[at]);
    }
    (code, once, registers)
}

impl<'a> Program<'a> {
    /// Also cuts `walk` into chunks, as long as the registers allow.
    pub fn new(p: &'a EltwiseProblem, walk: &'a mut Walk, inputs: Vec<Place>, outputs: Vec<Place>) -> Program<'a> {
        let (code, once, registers) = match walk.len <= SHORTEST {
            // Nothing of a single chunk is done twice.
            true => (Cow::Borrowed(&p.code[..]), Vec::new(), p.registers as usize),
            false => {
                let (code, once, registers) = hoisted(p, |input| walk.is_uniform(inputs[input as usize].operand));
                (Cow::Owned(code), once, registers)
            }
        };
        let wide =
            |inst: &Inst| matches!(inst, Inst::ConstInt { lane: Lane::I64, .. } | Inst::Cast { to: Lane::I64, .. });
        let wide = code.iter().any(wide) || inputs.iter().chain(&outputs).any(|o| o.lane.bytes() == 8);
        let width = if wide { size_of::<u64>() } else { size_of::<u32>() };
        let longest = FILE / (registers.max(1).next_power_of_two() * width);
        walk.cut(longest.clamp(SHORTEST, LONGEST), inputs.len() + outputs.len());
        let mut direct = vec![None; code.len()];
        if inputs.iter().all(|i| !i.shared) {
            for (at, inst) in code.iter().enumerate() {
                let Inst::Store { output, a } = *inst else { continue };
                let def = code[..at].iter().rposition(|i| written(i) == Some(a));
                let in_place = walk.in_place(outputs[output as usize].operand);
                if let Some(def) = def.filter(|&def| in_place && !once.get(def).is_some_and(|&o| o))
                    && matches!(
                        code[def],
                        Inst::Unary { .. } | Inst::Binary { .. } | Inst::Select { .. } | Inst::Cast { .. }
                    )
                    && direct[def].is_none()
                {
                    direct[def] = Some(output as usize);
                }
            }
        }
        Program { code, walk, inputs, outputs, registers, width, once, direct }
    }

    /// Whether instruction `at` serves all chunks.
    fn runs_once(&self, at: usize) -> bool {
        self.once.get(at).is_some_and(|&once| once)
    }

    /// Most elements of a chunk.
    pub fn chunk(&self) -> usize {
        self.walk.longest
    }

    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        self.walk.chunks()
    }
}

/// Some consecutive chunks of a program.
pub(super) struct Chunk<'a> {
    pub program: &'a Program<'a>,
    pub chunks: Range<usize>,
}

/// The memory of all registers, or of one.
#[repr(align(64))]
struct Registers<const BYTES: usize>(MaybeUninit<[u8; BYTES]>);

type Pointers = [*mut u8; EltwiseProblem::MAX_REGISTERS];

impl Body for Chunk<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let program = self.program;
        let mut file = Registers::<FILE>(MaybeUninit::uninit());
        let first = self.chunks.start;
        // Whole vectors of a register are read where fewer elements were written. Short programs over few elements would
        // spend their time on zeros for all registers and all of a chunk.
        let longest = if self.chunks.len() > 1 { program.chunk() } else { program.walk.chunk(first).1 };
        let room = longest.next_multiple_of(LANES).min(program.chunk());
        let base = file.0.as_mut_ptr().cast::<u8>();
        let own: Pointers = std::array::from_fn(|i| match i < program.registers {
            true => base.wrapping_add(i * program.chunk() * program.width),
            false => base,
        });
        for register in &own[..program.registers] {
            // SAFETY: the registers share the file: so many of them were allowed chunks of this length.
            unsafe { register.write_bytes(0, room * program.width) };
        }
        let mut regs = own;
        for chunk in self.chunks {
            let (start, n) = program.walk.chunk(chunk);
            for (at, inst) in program.code.iter().enumerate() {
                if program.runs_once(at) && chunk != first {
                    continue;
                }
                // What serves all chunks fills the register.
                let n = if program.runs_once(at) { room } else { n };
                // SAFETY: the program was checked, so registers hold what instructions read; each points at its own
                // place of the file or at `n` elements of an operand.
                unsafe { step::<S>(program, at, inst, &own, &mut regs, start, n) };
            }
        }
    }
}

/// Runs one instruction over a chunk of `n` elements from `start` on.
#[inline(always)]
unsafe fn step<S: Simd>(
    program: &Program<'_>,
    at: usize,
    inst: &Inst,
    own: &Pointers,
    regs: &mut Pointers,
    start: usize,
    n: usize,
) {
    // SAFETY: see `Chunk::run`.
    unsafe {
        match *inst {
            Inst::Load { dst, input } => {
                let place = &program.inputs[input as usize];
                let uniform = program.runs_once(at);
                let lies = if uniform || place.shared { None } else { program.walk.place(place.operand, start, n) };
                if let Some(first) = lies {
                    regs[dst as usize] = place.ptr.wrapping_add(first * place.lane.bytes());
                } else {
                    regs[dst as usize] = own[dst as usize];
                    let to = own[dst as usize];
                    match place.lane.bytes() {
                        8 => load::<u64>(program.walk, place, to.cast(), start, n),
                        4 => load::<u32>(program.walk, place, to.cast(), start, n),
                        2 => load::<u16>(program.walk, place, to.cast(), start, n),
                        _ => load::<u8>(program.walk, place, to, start, n),
                    }
                }
            }
            Inst::ConstF32 { dst, value } => {
                regs[dst as usize] = own[dst as usize];
                fill(own[dst as usize].cast::<f32>(), n, value);
            }
            Inst::ConstInt { dst, lane, value } => {
                regs[dst as usize] = own[dst as usize];
                match lane {
                    Lane::I64 => fill(own[dst as usize].cast::<i64>(), n, value),
                    Lane::Bool => fill(own[dst as usize].cast::<u8>(), n, u8::from(value != 0)),
                    _ => fill(own[dst as usize].cast::<i32>(), n, value as i32),
                }
            }
            Inst::Store { output, a } => {
                put(program.walk, &program.outputs[output as usize], regs[a as usize], start, n)
            }
            _ => {
                // Only whole vectors use an operand's memory as a register: instructions may run over the end of a part.
                let direct = program.direct[at].and_then(|output| {
                    let out = &program.outputs[output];
                    let first = program.walk.place(out.operand, start, n)?;
                    Some(out.ptr.wrapping_add(first * out.lane.bytes()))
                });
                compute::<S>(inst, direct, own, regs, n);
            }
        }
    }
}

/// Stores a register of `n` elements.
#[inline(always)]
unsafe fn put(walk: &Walk, place: &Place, from: *const u8, start: usize, n: usize) {
    // SAFETY: see `Chunk::run`.
    unsafe {
        match place.lane.bytes() {
            8 => store::<u64>(walk, place, from.cast(), start, n),
            4 => store::<u32>(walk, place, from.cast(), start, n),
            2 => store::<u16>(walk, place, from.cast(), start, n),
            _ => store::<u8>(walk, place, from, start, n),
        }
    }
}

/// Runs an instruction that works on registers only. The result goes to `direct` where that is given.
#[inline(always)]
unsafe fn compute<S: Simd>(inst: &Inst, direct: Option<*mut u8>, own: &Pointers, regs: &mut Pointers, n: usize) {
    // SAFETY: see `Chunk::run`.
    unsafe {
        match *inst {
            Inst::Unary { op, lane, dst, a } => {
                let (d, a) = (direct.unwrap_or(own[dst as usize]), regs[a as usize]);
                regs[dst as usize] = d;
                match lane {
                    Lane::F32 => unary_f32::<S>(op, d.cast(), a.cast(), n),
                    Lane::I32 => unary_int(op, d.cast::<i32>(), a.cast(), n, i32::wrapping_neg, i32::signum),
                    Lane::I64 => unary_int(op, d.cast::<i64>(), a.cast(), n, i64::wrapping_neg, i64::signum),
                    _ => map(d, a, n, |a: u8| a ^ 1),
                }
            }
            Inst::Binary { op, lane, dst, a, b } => {
                let (d, a, b) = (direct.unwrap_or(own[dst as usize]), regs[a as usize], regs[b as usize]);
                regs[dst as usize] = d;
                match lane {
                    Lane::F32 => binary_f32::<S>(op, d, a.cast(), b.cast(), n),
                    Lane::I32 => binary_i32(op, d, a.cast(), b.cast(), n),
                    Lane::I64 => binary_i64(op, d, a.cast(), b.cast(), n),
                    _ => binary_bool(op, d, a, b, n),
                }
            }
            Inst::Select { lane, dst, cond, a, b } => {
                let (d, a, b) = (direct.unwrap_or(own[dst as usize]), regs[a as usize], regs[b as usize]);
                // The condition is narrower than the result: it may not be overwritten from the start on.
                let mut held = Registers::<LONGEST>(MaybeUninit::uninit());
                let c = held.0.as_mut_ptr().cast::<u8>();
                std::ptr::copy_nonoverlapping(regs[cond as usize], c, n);
                let c = c.cast_const();
                regs[dst as usize] = d;
                match lane.bytes() {
                    8 => select::<u64>(d.cast(), c, a.cast(), b.cast(), n),
                    4 => select::<u32>(d.cast(), c, a.cast(), b.cast(), n),
                    2 => select::<u16>(d.cast(), c, a.cast(), b.cast(), n),
                    _ => select::<u8>(d, c, a, b, n),
                }
            }
            Inst::Cast { from, to, dst, a } => {
                let (d, a) = (direct.unwrap_or(own[dst as usize]), regs[a as usize]);
                regs[dst as usize] = d;
                if std::ptr::eq(d, a) {
                    // Where types differ in width the elements move.
                    let mut copy = Registers::<{ LONGEST * size_of::<u64>() }>(MaybeUninit::uninit());
                    let made = copy.0.as_mut_ptr().cast::<u8>();
                    cast::<S>(from, to, made, a, n);
                    std::ptr::copy_nonoverlapping(made.cast_const(), d, n * to.bytes());
                } else {
                    cast::<S>(from, to, d, a, n);
                }
            }
            Inst::Load { .. } | Inst::ConstF32 { .. } | Inst::ConstInt { .. } | Inst::Store { .. } => {}
        }
    }
}

unsafe fn load<T: Copy>(walk: &Walk, place: &Place, to: *mut T, start: usize, n: usize) {
    let from = place.ptr.cast_const().cast::<T>();
    walk.runs(place.operand, start, n, |done, offset, count, stride| {
        // SAFETY: the walk stays inside the operand's view, which was checked against its buffer.
        unsafe {
            let (from, to) = (from.add(offset), to.add(done));
            match stride {
                1 => std::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), count * size_of::<T>()),
                0 => {
                    let v = from.read_unaligned();
                    for i in 0..count {
                        to.add(i).write(v);
                    }
                }
                _ => {
                    for i in 0..count {
                        to.add(i).write(from.add(i * stride).read_unaligned());
                    }
                }
            }
        }
    });
}

unsafe fn store<T: Copy>(walk: &Walk, place: &Place, from: *const T, start: usize, n: usize) {
    let to = place.ptr.cast::<T>();
    if walk.place(place.operand, start, n).is_some_and(|first| to.wrapping_add(first).cast_const() == from) {
        return;
    }
    walk.runs(place.operand, start, n, |done, offset, count, stride| {
        // SAFETY: the walk stays inside the operand's view, which was checked against its buffer. Source and target
        // may be the same elements where an input is stored in place.
        unsafe {
            let (from, to) = (from.add(done), to.add(offset));
            if stride == 1 {
                std::ptr::copy(from.cast::<u8>(), to.cast::<u8>(), count * size_of::<T>());
            } else {
                for i in 0..count {
                    to.add(i * stride).write_unaligned(from.add(i).read_unaligned());
                }
            }
        }
    });
}

unsafe fn fill<T: Copy>(to: *mut T, n: usize, value: T) {
    for i in 0..n.next_multiple_of(LANES) {
        // SAFETY: a register has room for whole vectors.
        unsafe { to.add(i).write(value) };
    }
}

/// `d[i] = f(a[i])`.
#[inline(always)]
unsafe fn map<A: Copy, D>(d: *mut D, a: *const A, n: usize, f: impl Fn(A) -> D) {
    for i in 0..n {
        // SAFETY: registers hold `n` elements.
        unsafe { d.add(i).write_unaligned(f(a.add(i).read_unaligned())) };
    }
}

/// `d[i] = f(a[i], b[i])`.
#[inline(always)]
unsafe fn map2<A: Copy, D>(d: *mut D, a: *const A, b: *const A, n: usize, f: impl Fn(A, A) -> D) {
    for i in 0..n {
        // SAFETY: registers hold `n` elements.
        unsafe { d.add(i).write_unaligned(f(a.add(i).read_unaligned(), b.add(i).read_unaligned())) };
    }
}

#[inline(always)]
unsafe fn select<T: Copy>(d: *mut T, c: *const u8, a: *const T, b: *const T, n: usize) {
    for i in 0..n {
        // SAFETY: registers hold `n` elements.
        unsafe {
            let (x, y) = (a.add(i).read_unaligned(), b.add(i).read_unaligned());
            d.add(i).write_unaligned(if *c.add(i) != 0 { x } else { y });
        }
    }
}

/// `d = value` for each vector, with `x` (and `y`) loaded from registers: registers have room beyond `n`, and operands
/// serve as registers in whole vectors only. A macro because a closure would not be compiled for the instruction set.
macro_rules! vectors {
    ($n:expr, $d:expr, $($x:ident = $a:expr),+ => $value:expr) => {{
        let mut i = 0;
        while i < $n {
            $(let $x = S::load($a.add(i));)+
            S::store($d.add(i), $value);
            i += S::LANES;
        }
    }};
}

#[inline(always)]
unsafe fn unary_f32<S: Simd>(op: UnaryOp, d: *mut f32, a: *const f32, n: usize) {
    // SAFETY: registers hold a chunk; the machine has `S`.
    unsafe {
        match op {
            UnaryOp::Act(act) => activation::<S>(act, d, a, n),
            UnaryOp::Neg => vectors!(n, d, x = a => math::neg::<S>(x)),
            UnaryOp::Abs => vectors!(n, d, x = a => math::abs::<S>(x)),
            UnaryOp::Sign => map(d, a, n, |x: f32| if x.is_nan() || x == 0.0 { x } else { x.signum() }),
            UnaryOp::Sqrt => vectors!(n, d, x = a => S::sqrt(x)),
            UnaryOp::Reciprocal => vectors!(n, d, x = a => S::div(S::splat(1.0), x)),
            UnaryOp::Exp => vectors!(n, d, x = a => math::exp::<S>(x)),
            UnaryOp::Log => vectors!(n, d, x = a => math::log::<S>(x)),
            UnaryOp::Erf => vectors!(n, d, x = a => math::erf::<S>(x)),
            UnaryOp::Sin => vectors!(n, d, x = a => trigonometry::sin::<S>(x)),
            UnaryOp::Cos => vectors!(n, d, x = a => trigonometry::cos::<S>(x)),
            UnaryOp::Atan => vectors!(n, d, x = a => trigonometry::atan::<S>(x)),
            UnaryOp::Floor => vectors!(n, d, x = a => S::floor(x)),
            UnaryOp::Ceil => vectors!(n, d, x = a => S::ceil(x)),
            UnaryOp::Round => vectors!(n, d, x = a => S::round(x)),
            UnaryOp::Not => {}
        }
    }
}

/// The activation is matched outside the loop, so that each loop holds one function.
#[inline(always)]
unsafe fn activation<S: Simd>(act: Activation, d: *mut f32, a: *const f32, n: usize) {
    use Activation::*;
    // SAFETY: registers hold a chunk; the machine has `S`.
    unsafe {
        match act {
            Relu => vectors!(n, d, x = a => math::activation::<S>(Relu, x)),
            Sigmoid => vectors!(n, d, x = a => math::activation::<S>(Sigmoid, x)),
            HardSwish => vectors!(n, d, x = a => math::activation::<S>(HardSwish, x)),
            Silu => vectors!(n, d, x = a => math::activation::<S>(Silu, x)),
            Tanh => vectors!(n, d, x = a => math::activation::<S>(Tanh, x)),
            Gelu => vectors!(n, d, x = a => math::activation::<S>(Gelu, x)),
            GeluTanh => vectors!(n, d, x = a => math::activation::<S>(GeluTanh, x)),
            Softplus => vectors!(n, d, x = a => math::activation::<S>(Softplus, x)),
            Mish => vectors!(n, d, x = a => math::activation::<S>(Mish, x)),
            Clip { min, max } => vectors!(n, d, x = a => math::activation::<S>(Clip { min, max }, x)),
            LeakyRelu { alpha } => vectors!(n, d, x = a => math::activation::<S>(LeakyRelu { alpha }, x)),
            Elu { alpha } => vectors!(n, d, x = a => math::activation::<S>(Elu { alpha }, x)),
            HardSigmoid { alpha, beta } => {
                vectors!(n, d, x = a => math::activation::<S>(HardSigmoid { alpha, beta }, x));
            }
        }
    }
}

#[inline(always)]
unsafe fn binary_f32<S: Simd>(op: BinaryOp, d: *mut u8, a: *const f32, b: *const f32, n: usize) {
    let f = d.cast::<f32>();
    // SAFETY: registers hold a chunk; the machine has `S`.
    unsafe {
        match op {
            BinaryOp::Add => vectors!(n, f, x = a, y = b => S::add(x, y)),
            BinaryOp::Sub => vectors!(n, f, x = a, y = b => S::sub(x, y)),
            BinaryOp::Mul => vectors!(n, f, x = a, y = b => S::mul(x, y)),
            BinaryOp::Div => vectors!(n, f, x = a, y = b => S::div(x, y)),
            // The second operand is given where either is NaN; a NaN in the first is put back.
            BinaryOp::Min => vectors!(n, f, x = a, y = b => S::select(S::eq(x, x), S::min(x, y), x)),
            BinaryOp::Max => vectors!(n, f, x = a, y = b => S::select(S::eq(x, x), S::max(x, y), x)),
            BinaryOp::PRelu => {
                vectors!(n, f, x = a, y = b => S::select(S::lt(x, S::splat(0.0)), S::mul(x, y), x));
            }
            BinaryOp::Pow => power::<S>(f, a, b, n),
            BinaryOp::Mod => map2(f, a, b, n, |x: f32, y: f32| x % y),
            BinaryOp::Equal => map2(d, a, b, n, |x: f32, y: f32| u8::from(x == y)),
            BinaryOp::Less => map2(d, a, b, n, |x: f32, y: f32| u8::from(x < y)),
            BinaryOp::LessEqual => map2(d, a, b, n, |x: f32, y: f32| u8::from(x <= y)),
            BinaryOp::Greater => map2(d, a, b, n, |x: f32, y: f32| u8::from(x > y)),
            BinaryOp::GreaterEqual => map2(d, a, b, n, |x: f32, y: f32| u8::from(x >= y)),
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {}
        }
    }
}

/// Powers; squares and cubes, the common exponents, as products.
#[inline(always)]
unsafe fn power<S: Simd>(d: *mut f32, a: *const f32, b: *const f32, n: usize) {
    // SAFETY: registers hold a chunk; the machine has `S`.
    unsafe {
        let first = b.read_unaligned();
        let same = (0..n).all(|i| b.add(i).read_unaligned() == first);
        if same && first == 2.0 {
            vectors!(n, d, x = a => S::mul(x, x));
        } else if same && first == 3.0 {
            vectors!(n, d, x = a => S::mul(S::mul(x, x), x));
        } else {
            map2(d, a, b, n, f32::powf);
        }
    }
}

#[inline(always)]
unsafe fn unary_int<T: Copy + Ord + Default>(
    op: UnaryOp,
    d: *mut T,
    a: *const T,
    n: usize,
    neg: fn(T) -> T,
    sign: fn(T) -> T,
) {
    // SAFETY: registers hold `n` elements.
    unsafe {
        match op {
            UnaryOp::Neg => map(d, a, n, neg),
            UnaryOp::Abs => map(d, a, n, |x: T| if x < T::default() { neg(x) } else { x }),
            _ => map(d, a, n, sign),
        }
    }
}

macro_rules! binary_int {
    ($name:ident, $t:ty) => {
        #[inline(always)]
        unsafe fn $name(op: BinaryOp, d: *mut u8, a: *const $t, b: *const $t, n: usize) {
            let r = d.cast::<$t>();
            // SAFETY: registers hold `n` elements.
            unsafe {
                match op {
                    BinaryOp::Add => map2(r, a, b, n, <$t>::wrapping_add),
                    BinaryOp::Sub => map2(r, a, b, n, <$t>::wrapping_sub),
                    BinaryOp::Mul => map2(r, a, b, n, <$t>::wrapping_mul),
                    BinaryOp::Div => map2(r, a, b, n, |x: $t, y: $t| if y == 0 { 0 } else { x.wrapping_div(y) }),
                    BinaryOp::Min => map2(r, a, b, n, |x: $t, y: $t| x.min(y)),
                    BinaryOp::Max => map2(r, a, b, n, |x: $t, y: $t| x.max(y)),
                    BinaryOp::Mod => map2(r, a, b, n, |x: $t, y: $t| {
                        if y == 0 {
                            return 0;
                        }
                        let m = x.wrapping_rem(y);
                        if m != 0 && (m < 0) != (y < 0) { m + y } else { m }
                    }),
                    BinaryOp::Equal => map2(d, a, b, n, |x: $t, y: $t| u8::from(x == y)),
                    BinaryOp::Less => map2(d, a, b, n, |x: $t, y: $t| u8::from(x < y)),
                    BinaryOp::LessEqual => map2(d, a, b, n, |x: $t, y: $t| u8::from(x <= y)),
                    BinaryOp::Greater => map2(d, a, b, n, |x: $t, y: $t| u8::from(x > y)),
                    BinaryOp::GreaterEqual => map2(d, a, b, n, |x: $t, y: $t| u8::from(x >= y)),
                    BinaryOp::Pow | BinaryOp::PRelu | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {}
                }
            }
        }
    };
}
binary_int!(binary_i32, i32);
binary_int!(binary_i64, i64);

#[inline(always)]
unsafe fn binary_bool(op: BinaryOp, d: *mut u8, a: *const u8, b: *const u8, n: usize) {
    // SAFETY: registers hold `n` elements.
    unsafe {
        match op {
            BinaryOp::And => map2(d, a, b, n, |x: u8, y: u8| x & y),
            BinaryOp::Or => map2(d, a, b, n, |x: u8, y: u8| x | y),
            BinaryOp::Xor => map2(d, a, b, n, |x: u8, y: u8| x ^ y),
            _ => map2(d, a, b, n, |x: u8, y: u8| u8::from(x == y)),
        }
    }
}
