//! Largest errors of the vector functions over all 2^32 values of f32, on every instruction set of this machine, beside
//! f64: `cargo run --release -p modelsmith-kernels --example vector_maths [STRIDE [FUNCTION...]]`. With the stride 1, which is
//! the default, it takes some minutes a function.

use modelsmith_kernels::{Args, Dst, KernelDef, Src, detect, eltwise};
use modelsmith_kop::{Activation, BinaryOp, EltwiseProblem, Inst, Lane, Operand, UnaryOp};
use modelsmith_pool::Pool;

unsafe extern "C" {
    /// The C library's error function.
    safe fn erf(x: f64) -> f64;
}

/// Values of a block.
const BLOCK: usize = 1 << 14;

/// How an error is counted.
#[derive(Clone, Copy)]
enum Unit {
    /// Units in the last place of the exact result.
    Ulp,
    /// Units in the last place for arguments above -87, where the result is a normal number.
    UlpWhereNormal,
    /// Part of the larger of 1 and the argument's magnitude.
    Argument,
}

type Function = (&'static str, UnaryOp, fn(f64) -> f64, Unit);

fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

const FUNCTIONS: [Function; 13] = [
    ("exp", UnaryOp::Exp, f64::exp, Unit::Ulp),
    ("log", UnaryOp::Log, f64::ln, Unit::Ulp),
    ("tanh", UnaryOp::Act(Activation::Tanh), f64::tanh, Unit::Ulp),
    ("sigmoid", UnaryOp::Act(Activation::Sigmoid), |x| 1.0 / (1.0 + (-x).exp()), Unit::UlpWhereNormal),
    ("sin", UnaryOp::Sin, f64::sin, Unit::Ulp),
    ("cos", UnaryOp::Cos, f64::cos, Unit::Ulp),
    ("atan", UnaryOp::Atan, f64::atan, Unit::Ulp),
    ("erf", UnaryOp::Erf, |x| erf(x), Unit::Ulp),
    ("gelu", UnaryOp::Act(Activation::Gelu), |x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt())), Unit::Argument),
    ("gelu_tanh", UnaryOp::Act(Activation::GeluTanh), gelu_tanh, Unit::Argument),
    ("silu", UnaryOp::Act(Activation::Silu), |x| x / (1.0 + (-x).exp()), Unit::Argument),
    ("softplus", UnaryOp::Act(Activation::Softplus), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), Unit::Ulp),
    ("elu", UnaryOp::Act(Activation::Elu { alpha: 1.0 }), |x| if x < 0.0 { x.exp_m1() } else { x }, Unit::Ulp),
];

/// Distance between neighbouring f32 around `x`.
fn ulp(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    f64::from_bits(((exponent.max(-126) - 23 + 1023) as u64) << 52)
}

fn program(inputs: usize, code: Vec<Inst>) -> EltwiseProblem {
    let flat = || Operand { lane: Lane::F32, strides: vec![1] };
    let registers = inputs as u8 + 1;
    EltwiseProblem {
        dims: vec![BLOCK],
        inputs: (0..inputs).map(|_| flat()).collect(),
        outputs: vec![flat()],
        registers,
        code,
    }
}

fn run(kernel: &KernelDef<EltwiseProblem>, p: &EltwiseProblem, inputs: &[Src<'_>], y: &mut [f32], pool: &Pool) {
    let mut room = vec![0u8; kernel.workspace(p, 1)];
    kernel.run(p, Args { inputs, outputs: &mut [Dst::new(y)], workspace: &mut room }, pool).expect("buffers fit");
}

/// The error of a result; `None` where NaN and infinities are as they should be, infinity where they are not.
fn error(x: f64, got: f32, want: f64, unit: Unit) -> Option<f64> {
    let rounded = want as f32;
    if want.is_nan() || rounded.is_infinite() {
        // A product of an infinity with what is rounded to zero is no number, or zero, by the formula that is used.
        let limit = matches!(unit, Unit::Argument) && x == f64::NEG_INFINITY;
        let same = limit || got.is_nan() == want.is_nan() && (got.is_nan() || got == rounded);
        // Where the exact result is just beyond the largest number.
        let edge = rounded.is_infinite() && got.abs() == f32::MAX;
        return (!same && !edge).then_some(f64::INFINITY);
    }
    let off = (f64::from(got) - want).abs();
    match unit {
        Unit::UlpWhereNormal if x <= -87.0 => Some(if off <= 2e-38 { 0.0 } else { f64::INFINITY }),
        Unit::Ulp | Unit::UlpWhereNormal => Some(off / ulp(want)),
        Unit::Argument => Some(off / x.abs().max(1.0)),
    }
    .map(|e| if e.is_nan() { f64::INFINITY } else { e })
}

fn sweep(&(name, op, exact, unit): &Function, stride: u64) {
    let code = vec![
        Inst::Load { dst: 0, input: 0 },
        Inst::Unary { op, lane: Lane::F32, dst: 1, a: 0 },
        Inst::Store { output: 0, a: 1 },
    ];
    let (p, pool) = (program(1, code), Pool::new(1));
    let kernels = eltwise::KERNELS.iter().filter(|k| detect().contains(k.isa)).collect::<Vec<_>>();
    let mut worst = vec![(0f64, 0f32); kernels.len()];
    let (mut y, mut bits) = (vec![0f32; BLOCK], 0u64);
    while bits < 1 << 32 {
        let x = (0..BLOCK as u64).map(|i| f32::from_bits((bits + i * stride) as u32)).collect::<Vec<_>>();
        bits += BLOCK as u64 * stride;
        let want = x.iter().map(|&x| exact(f64::from(x))).collect::<Vec<_>>();
        for (kernel, worst) in kernels.iter().zip(&mut worst) {
            run(kernel, &p, &[Src::new(&x)], &mut y, &pool);
            for ((&x, &got), &want) in x.iter().zip(&y).zip(&want) {
                // What is rounded right has an error of half a unit at most.
                if got.to_bits() == (want as f32).to_bits() {
                    continue;
                }
                if let Some(e) = error(f64::from(x), got, want, unit)
                    && e > worst.0
                {
                    *worst = (e, x);
                }
            }
        }
    }
    for (kernel, (e, x)) in kernels.iter().zip(worst) {
        let unit = if matches!(unit, Unit::Argument) { "of max(1, |x|)" } else { "ULP" };
        println!("{name:10} {:24} {e:10.3e} {unit} at {x:e}", kernel.name);
    }
}

/// Powers on a grid of bases and exponents of all magnitudes, beside f64.
fn powers() {
    let code = vec![
        Inst::Load { dst: 0, input: 0 },
        Inst::Load { dst: 1, input: 1 },
        Inst::Binary { op: BinaryOp::Pow, lane: Lane::F32, dst: 2, a: 0, b: 1 },
        Inst::Store { output: 0, a: 2 },
    ];
    let (p, pool) = (program(2, code), Pool::new(1));
    for kernel in eltwise::KERNELS.iter().filter(|k| detect().contains(k.isa)) {
        let (mut worst, mut y) = ((0f64, 0f32, 0f32), vec![0f32; BLOCK]);
        for i in 0..4096u64 {
            // The C library gives 1 for a NaN to the power of 0, but not for one that signals.
            let base = f32::from_bits((i * 1_048_583) as u32);
            let a = vec![if base.is_nan() { f32::NAN } else { base }; BLOCK];
            let b = (0..BLOCK as u64).map(|j| f32::from_bits((j * 262_147) as u32)).collect::<Vec<_>>();
            let b = b.iter().map(|b| if b.is_nan() { f32::NAN } else { *b }).collect::<Vec<_>>();
            run(kernel, &p, &[Src::new(&a), Src::new(&b)], &mut y, &pool);
            for ((&a, &b), &got) in a.iter().zip(&b).zip(&y) {
                let e = error(f64::from(b), got, f64::from(a).powf(f64::from(b)), Unit::Ulp).unwrap_or(0.0);
                if e > worst.0 {
                    worst = (e, a, b);
                }
            }
        }
        println!(
            "{:10} {:24} {:10.3e} ULP at {:e} to the power of {:e}",
            "pow", kernel.name, worst.0, worst.1, worst.2
        );
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let stride = args.next().and_then(|n| n.parse().ok()).unwrap_or(1).max(1);
    let only = args.collect::<Vec<_>>();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    FUNCTIONS.iter().filter(|f| wanted(f.0)).for_each(|f| sweep(f, stride));
    if wanted("pow") {
        powers();
    }
}
