use super::*;
use crate::Src;
use crate::mem::Dst;
use crate::pack::WeightShape;
use modelsmith_kop::{Activation, BatchDim, Epilogue, EpilogueStep};

/// Values in -1..1 that depend on `seed` and the index only.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut s = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            (s >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn reference(p: &GemmProblem, a: &[f32], b: &[f32], bs: (usize, usize), extra: &[Vec<f32>], c: &mut [f32]) {
    let lens: Vec<usize> = p.batch.iter().map(|d| d.len).collect();
    let count: usize = lens.iter().product();
    for item in 0..count {
        let (mut rest, mut oa, mut ob, mut oc) = (item, 0, 0, 0);
        for d in p.batch.iter().rev() {
            let i = rest % d.len;
            rest /= d.len;
            oa += i * d.a_stride;
            ob += i * d.b_stride;
            oc += i * d.c_stride;
        }
        for i in 0..p.m {
            for j in 0..p.n {
                let mut sum = 0f64;
                for k in 0..p.k {
                    let x = a[oa + i * p.a_row_stride + k * p.a_col_stride];
                    sum += f64::from(x) * f64::from(b[ob + k * bs.0 + j * bs.1]);
                }
                c[oc + i * p.c_row_stride + j] = after(&p.epilogue, sum as f32, item * p.m + i, j, extra);
            }
        }
    }
}

/// An epilogue on one value, step by step.
pub(crate) fn after(e: &Epilogue, sum: f32, row: usize, col: usize, extra: &[Vec<f32>]) -> f32 {
    let mut v = sum;
    let mut operands = extra;
    if e.bias {
        v += extra[0][col];
        operands = &extra[1..];
    }
    for step in &e.steps {
        v = match *step {
            EpilogueStep::Act(Activation::Relu) => v.max(0.0),
            EpilogueStep::Act(Activation::Clip { min, max }) => v.clamp(min, max),
            EpilogueStep::Act(Activation::Silu) => v / (1.0 + (-v).exp()),
            EpilogueStep::Act(_) => unreachable!("not used in these tests"),
            EpilogueStep::AddScalar(x) => v + x,
            EpilogueStep::MulScalar(x) => v * x,
            EpilogueStep::Add { operand, row_stride } => v + operands[operand as usize][row * row_stride + col],
            EpilogueStep::Mul { operand, row_stride } => v * operands[operand as usize][row * row_stride + col],
        };
    }
    v
}

pub(crate) fn close(got: &[f32], want: &[f32], k: usize, what: &dyn std::fmt::Debug) {
    let tol = 2e-6 * (k.max(1) as f32).sqrt().max(2.0);
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tol * w.abs().max(1.0), "element {i}: {g} instead of {w}: {what:?}");
    }
}

fn check(p: &GemmProblem, packed_transposed: bool, extra: &[Vec<f32>]) {
    let e = extents(p).unwrap();
    let a = noise(e.a, 1);
    let (logical, strides) = match p.b {
        GemmB::Packed => (p.n * p.k, if packed_transposed { (1, p.k) } else { (p.n, 1) }),
        GemmB::Strided { row_stride, col_stride } => (e.b, (row_stride, col_stride)),
    };
    let b = noise(logical, 2);
    let given = if p.b == GemmB::Packed {
        let shape = WeightShape::Matrix { k: p.k, n: p.n, transposed: packed_transposed };
        let mut packed = vec![0.0; PackFormat::F32Panel16.packed_len(&shape).unwrap()];
        PackFormat::F32Panel16.pack(&shape, &b, &mut packed).unwrap();
        packed
    } else {
        b.clone()
    };
    let mut want = vec![7.5; e.c];
    reference(p, &a, &b, strides, extra, &mut want);
    for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa) && k.accepts(p).is_ok()) {
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            let mut c = vec![7.5; e.c];
            let mut ws = vec![0u8; kernel.workspace(p, threads)];
            let mut inputs = vec![Src::new(&a), Src::new(&given)];
            inputs.extend(extra.iter().map(|x| Src::new(x)));
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut c)], workspace: &mut ws };
            kernel.run(p, args, &pool).unwrap();
            close(&c, &want, p.k, &(kernel.name, threads, p));
        }
    }
}

#[test]
fn odd_shapes_and_epilogues() {
    let shapes =
        [(1, 1, 1), (3, 5, 7), (1, 100, 64), (13, 16, 33), (17, 33, 400), (29, 65, 9), (50, 130, 700), (300, 47, 30)];
    for (m, n, k) in shapes.into_iter().chain([(5, 20, 0)]) {
        for (bias, steps) in [
            (false, vec![]),
            (true, vec![EpilogueStep::Act(Activation::Relu)]),
            (
                true,
                vec![
                    EpilogueStep::Add { operand: 0, row_stride: n },
                    EpilogueStep::Act(Activation::Clip { min: -0.25, max: 0.5 }),
                ],
            ),
            (
                true,
                vec![
                    EpilogueStep::Act(Activation::Silu),
                    EpilogueStep::MulScalar(0.5),
                    EpilogueStep::Mul { operand: 1, row_stride: 0 },
                    EpilogueStep::Add { operand: 0, row_stride: n },
                    EpilogueStep::AddScalar(0.125),
                ],
            ),
        ] {
            let mut p = GemmProblem::dense(m, n, k, GemmB::Packed);
            let mut extra = if bias { vec![noise(n, 3)] } else { vec![] };
            extra.extend([noise(m * n, 4), noise(n, 5)]);
            p.epilogue = Epilogue { bias, steps };
            check(&p, m % 2 == 0, &extra);
        }
    }
}

#[test]
fn strided_and_batched() {
    for (m, n, k) in [(4, 6, 5), (33, 18, 70), (128, 64, 64)] {
        for (at, bt) in [(false, false), (true, false), (false, true), (true, true)] {
            for batch in [1, 2, 9] {
                let p = GemmProblem {
                    batch: vec![
                        BatchDim { len: batch, a_stride: m * k, b_stride: n * k, c_stride: 2 * m * (n + 3) },
                        BatchDim { len: 2, a_stride: 0, b_stride: 0, c_stride: m * (n + 3) },
                    ],
                    a_row_stride: if at { 1 } else { k },
                    a_col_stride: if at { m } else { 1 },
                    b: GemmB::Strided { row_stride: if bt { 1 } else { n }, col_stride: if bt { k } else { 1 } },
                    c_row_stride: n + 3,
                    ..GemmProblem::dense(m, n, k, GemmB::Packed)
                };
                check(&p, false, &[]);
            }
        }
    }
}

#[test]
fn bad_calls_are_refused() {
    let mut p = GemmProblem::dense(4, 4, 4, GemmB::Packed);
    let (a, b, mut c) = (vec![0f32; 16], vec![0f32; 64], vec![0f32; 15]);
    let kernel = KERNELS.last().unwrap();
    let pool = Pool::new(1);
    let mut ws = vec![0u8; kernel.workspace(&p, 1)];
    let inputs = [Src::new(&a), Src::new(&b)];
    let short = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut c)], workspace: &mut ws };
    assert!(matches!(kernel.run(&p, short, &pool), Err(KernelError::Buffer { what: "C", .. })));
    let mut c = vec![0f32; 16];
    let no_ws = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut c)], workspace: &mut [] };
    assert!(matches!(kernel.run(&p, no_ws, &pool), Err(KernelError::Buffer { what: "workspace", .. })));
    p.c_row_stride = 3;
    assert!(kernel.accepts(&p).is_err());
    p.c_row_stride = usize::MAX;
    assert!(kernel.accepts(&p).is_err());
}

/// Sums go through blocks of the inner dimension, whose length must not depend on the columns of a part.
#[test]
fn threads_change_no_bit_of_any_kernel() {
    for (m, n, k) in [(40, 130, 1000), (9, 304, 700), (64, 96, 768), (5, 80, 2000), (128, 48, 3072)] {
        let p = GemmProblem::dense(m, n, k, GemmB::Packed);
        let shape = WeightShape::Matrix { k, n, transposed: false };
        let mut packed = vec![0.0; PackFormat::F32Panel16.packed_len(&shape).unwrap()];
        PackFormat::F32Panel16.pack(&shape, &noise(n * k, 2), &mut packed).unwrap();
        let a = noise(m * k, 1);
        for kernel in FAST.iter().chain(KERNELS).filter(|x| crate::detect().contains(x.isa)) {
            let on = |threads: usize| {
                let mut c = vec![0f32; m * n];
                let mut workspace = vec![0xffu8; kernel.workspace(&p, threads)];
                let inputs = [Src::new(&a), Src::new(&packed)];
                let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut c)], workspace: &mut workspace };
                kernel.run(&p, args, &Pool::new(threads)).unwrap();
                c.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let one = on(1);
            for threads in [2, 3, 4, 5, 7] {
                assert!(on(threads) == one, "{} on {threads} threads: {m} {n} {k}", kernel.name);
            }
        }
    }
}
