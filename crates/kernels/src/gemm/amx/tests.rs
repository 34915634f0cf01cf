//! Tile products beside a sum in f64 and beside the fused multiply-add kernel.

use super::super::tests::noise;
use super::super::{FAST, GemmProblem, KERNELS};
use crate::pack::{PackFormat, WeightShape};
use crate::{Args, Dst, KernelDef, Src, by_name, detect};
use modelsmith_kop::GemmB;
use modelsmith_pool::Pool;

type Kernel = KernelDef<GemmProblem>;

/// The tile kernel and the one it stands beside; none where the machine has no tiles.
fn kernels() -> Option<(&'static Kernel, &'static Kernel)> {
    let amx = by_name(KERNELS, "f32_gemm_32x32__amx_bf16x3").filter(|k| detect().contains(k.isa));
    if amx.is_none() {
        eprintln!("no tiles here: {:?}", crate::host::amx_refusal());
    }
    amx.zip(by_name(KERNELS, "f32_gemm_14x32__avx512"))
}

/// The tile kernels of three parts and of two, each beside the fused multiply-add kernel.
fn both() -> Vec<(&'static Kernel, &'static Kernel)> {
    let Some((amx, fma)) = kernels() else { return vec![] };
    vec![(amx, fma), (&FAST[0], fma)]
}

fn run(kernel: &Kernel, p: &GemmProblem, a: &[f32], b: &[f32], threads: usize) -> Vec<f32> {
    let shape = WeightShape::Matrix { k: p.k, n: p.n, transposed: false };
    let mut packed = vec![0.0; PackFormat::F32Panel16.packed_len(&shape).unwrap()];
    PackFormat::F32Panel16.pack(&shape, b, &mut packed).unwrap();
    let mut c = vec![7.0; p.m * p.n];
    let mut workspace = vec![0xffu8; kernel.workspace(p, threads)];
    let inputs = [Src::new(a), Src::new(&packed)];
    let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut c)], workspace: &mut workspace };
    kernel.run(p, args, &Pool::new(threads)).unwrap();
    c
}

fn exact(p: &GemmProblem, a: &[f32], b: &[f32]) -> Vec<f64> {
    let mut c = vec![0f64; p.m * p.n];
    for i in 0..p.m {
        for k in 0..p.k {
            let x = f64::from(a[i * p.k + k]);
            for j in 0..p.n {
                c[i * p.n + j] += x * f64::from(b[k * p.n + j]);
            }
        }
    }
    c
}

/// Largest error, and largest magnitude of the exact result.
fn error(c: &[f32], exact: &[f64]) -> (f64, f64) {
    let worst = c.iter().zip(exact).map(|(c, e)| (f64::from(*c) - e).abs()).fold(0.0, f64::max);
    (worst, exact.iter().map(|e| e.abs()).fold(0.0, f64::max))
}

/// Data by kind: plain, cancelling in pairs of the inner dimension, of magnitudes from 1e-6 to 1e6.
fn data(kind: usize, p: &GemmProblem) -> (Vec<f32>, Vec<f32>) {
    let (mut a, mut b) = (noise(p.m * p.k, 21), noise(p.k * p.n, 22));
    let exponents = noise(p.m * p.k + p.k * p.n, 23);
    match kind {
        1 => {
            // Neighbours in the inner dimension differ by a thousandth and a sign.
            for row in a.chunks_exact_mut(p.k) {
                for pair in row.chunks_exact_mut(2) {
                    pair[1] = pair[0] * 1.001;
                }
            }
            for pair in b.chunks_exact_mut(2 * p.n) {
                let (even, odd) = pair.split_at_mut(p.n);
                odd.iter_mut().zip(even).for_each(|(o, e)| *o = -*e);
            }
        }
        2 => {
            let (of_a, of_b) = exponents.split_at(p.m * p.k);
            a.iter_mut().zip(of_a).for_each(|(x, e)| *x *= 10f32.powf(6.0 * e));
            b.iter_mut().zip(of_b).for_each(|(x, e)| *x *= 10f32.powf(6.0 * e));
        }
        _ => {}
    }
    (a, b)
}

#[test]
fn error_is_that_of_f32() {
    let Some((amx, fma)) = kernels() else { return };
    for (m, n, k) in [(128, 96, 768), (70, 80, 3072), (300, 48, 100)] {
        let p = GemmProblem::dense(m, n, k, GemmB::Packed);
        for kind in 0..3 {
            let (a, b) = data(kind, &p);
            let want = exact(&p, &a, &b);
            let (ours, largest) = error(&run(amx, &p, &a, &b, 1), &want);
            let (theirs, _) = error(&run(fma, &p, &a, &b, 1), &want);
            assert!(ours <= 2.0 * theirs, "{m} {n} {k}, data {kind}: {ours:e} against {theirs:e}");
            if kind != 1 {
                assert!(ours <= 1e-6 * largest, "{m} {n} {k}, data {kind}: {ours:e} of {largest:e}");
            }
        }
    }
}

/// Largest error of two parts relative to the sum of the magnitudes of a result's products. The rounding of f32 is that of
/// sums of 384 values and of what remains of the inner dimension.
fn relative_error(fast: &Kernel, p: &GemmProblem, a: &[f32], b: &[f32]) -> f64 {
    let magnitudes = |v: &[f32]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let (want, scale) = (exact(p, a, b), exact(p, &magnitudes(a), &magnitudes(b)));
    let got = run(fast, p, a, b, 1);
    let errors = got.iter().zip(&want).zip(&scale).map(|((c, e), s)| (f64::from(*c) - e).abs() / s.max(1e-300));
    errors.fold(0.0, f64::max)
}

#[test]
fn two_parts_lose_what_is_stated() {
    let Some((fast, _)) = both().pop().filter(|k| k.0.name.ends_with("bf16x2")) else { return };
    let mut worst = [0f64; 3];
    for (m, n, k) in [(128, 96, 768), (70, 80, 3072), (300, 48, 100), (64, 64, 32)] {
        let p = GemmProblem::dense(m, n, k, GemmB::Packed);
        for (kind, worst) in worst.iter_mut().enumerate() {
            let (a, b) = data(kind, &p);
            *worst = worst.max(relative_error(fast, &p, &a, &b));
        }
    }
    // Values whose parts round as badly as they can, all the same way: 1 + 2^-8 lies between two bf16, and what lies just
    // beside the middle between two second parts is 2^-17 off.
    let p = GemmProblem::dense(32, 32, 256, GemmB::Packed);
    let bad = 1.0 + 2f32.powi(-8) - 2f32.powi(-17) - 2f32.powi(-23);
    let hardest = relative_error(fast, &p, &vec![bad; 32 * 256], &vec![bad; 256 * 32]);
    eprintln!("two parts: {worst:?}, hardest {hardest:e}");
    // With magnitudes from 1e-12 to 1e12 a result is often one product, and the errors of many do not average.
    assert!(worst[0].max(worst[1]) <= 2f64.powi(-17) && worst[2] <= 2f64.powi(-15), "{worst:?}");
    assert!(hardest <= 2f64.powi(-15) && hardest >= 2f64.powi(-17), "{hardest:e}");
}

/// Data of which a value does not split and another makes small results.
fn unsplit(p: &GemmProblem) -> (Vec<f32>, Vec<f32>) {
    let (mut a, b) = data(2, p);
    a[3 * p.k + 5] = f32::NAN;
    a[7 * p.k] = 3e20;
    let last = p.m - 1;
    a[last * p.k..].fill(1e-44);
    (a, b)
}

/// A row comes out the same whatever rows are computed with it.
#[test]
fn rows_do_not_depend_on_each_other() {
    both().into_iter().for_each(|(amx, _)| rows_alone(amx));
}

fn rows_alone(amx: &Kernel) {
    for (m, n, k) in [(128, 200, 300), (500, 64, 70), (70, 330, 2000), (300, 40, 1600)] {
        let p = GemmProblem::dense(m, n, k, GemmB::Packed);
        let (a, b) = unsplit(&p);
        let whole = run(amx, &p, &a, &b, 1);
        for (from, to) in [(0, 5), (3, 4), (1, m), (5, 60), (17, 49), (m - 40, m)] {
            let some = GemmProblem::dense(to - from, n, k, GemmB::Packed);
            let part = run(amx, &some, &a[from * k..to * k], &b, 1);
            let same = part.iter().zip(&whole[from * n..to * n]).all(|(x, y)| x.to_bits() == y.to_bits());
            assert!(same, "{m} {n} {k}: rows {from} to {to}");
        }
    }
}

#[test]
fn threads_change_no_bit() {
    both().into_iter().for_each(|(amx, _)| on_threads(amx));
}

fn on_threads(amx: &Kernel) {
    for (m, n, k) in [(128, 200, 300), (500, 64, 70), (33, 330, 2000)] {
        let p = GemmProblem::dense(m, n, k, GemmB::Packed);
        let (a, b) = unsplit(&p);
        let one = run(amx, &p, &a, &b, 1);
        for threads in [2, 3, 7] {
            let more = run(amx, &p, &a, &b, threads);
            let same = one.iter().zip(&more).all(|(x, y)| x.to_bits() == y.to_bits());
            assert!(same, "{m} {n} {k} on {threads} threads");
        }
    }
}

/// What does not split is found, and its tile computed otherwise: as the fused multiply-add kernel does, bit by bit.
#[test]
fn values_that_do_not_split() {
    both().into_iter().for_each(|(amx, fma)| unsplit_in(amx, fma));
}

fn unsplit_in(amx: &Kernel, fma: &Kernel) {
    let p = GemmProblem::dense(80, 70, 1700, GemmB::Packed);
    let (a, b) = data(0, &p);
    let plain = run(amx, &p, &a, &b, 1);
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, -3.4e38, 1e30, 2e12] {
        for at in [0, 5 * p.k + 1699, 40 * p.k + 900, 79 * p.k + 3] {
            let mut a = a.clone();
            a[at] = bad;
            let (got, want) = (run(amx, &p, &a, &b, 2), run(fma, &p, &a, &b, 1));
            let row = at / p.k;
            for i in 0..p.m * p.n {
                let from = if i / p.n == row { &want } else { &plain };
                assert!(got[i].to_bits() == from[i].to_bits(), "{bad} at {at}: element {i} is {}", got[i]);
            }
        }
        for at in [7, 900 * p.n + 33, 1699 * p.n + 69] {
            let mut b = b.clone();
            b[at] = bad;
            let (got, want) = (run(amx, &p, &a, &b, 2), run(fma, &p, &a, &b, 1));
            let col = at % p.n;
            for i in 0..p.m * p.n {
                let from = if i % p.n / 32 == col / 32 { &want } else { &plain };
                assert!(got[i].to_bits() == from[i].to_bits(), "{bad} at {at}: element {i} is {}", got[i]);
            }
        }
    }
}

/// Rows so small that parts or products of parts would be flushed keep the precision of f32, each for itself.
#[test]
fn small_values_keep_their_precision() {
    let Some((amx, fma)) = kernels() else { return };
    let p = GemmProblem::dense(64, 40, 130, GemmB::Packed);
    for (of_a, of_b) in [(1e-20, 1e-15), (1e-30, 1.0), (1e-38, 1e6), (1e-42, 1.0), (1e-18, 1e-18), (3e-16, 1e-20)] {
        let (mut a, mut b) = data(0, &p);
        a[32 * p.k..].iter_mut().for_each(|x| *x *= of_a);
        b.iter_mut().for_each(|x| *x *= of_b);
        let want = exact(&p, &a, &b);
        let (got, beside) = (run(amx, &p, &a, &b, 1), run(fma, &p, &a, &b, 1));
        for rows in [0..32, 32..64] {
            let part = rows.start * p.n..rows.end * p.n;
            let (ours, _) = error(&got[part.clone()], &want[part.clone()]);
            let (theirs, _) = error(&beside[part.clone()], &want[part]);
            assert!(ours <= 2.0 * theirs, "{of_a:e} · {of_b:e}, rows {rows:?}: {ours:e} against {theirs:e}");
        }
    }
}

/// Zeros, whole rows of them, and results that are zero for other reasons.
#[test]
fn zeros_stay_zeros() {
    let Some((amx, _)) = kernels() else { return };
    let p = GemmProblem::dense(40, 40, 64, GemmB::Packed);
    let (mut a, mut b) = data(0, &p);
    a[3 * p.k..4 * p.k].fill(0.0);
    a[4 * p.k] = 1e-20;
    b.iter_mut().skip(9).step_by(p.n).for_each(|x| *x = 0.0);
    let c = run(amx, &p, &a, &b, 1);
    for i in 0..p.m * p.n {
        assert_eq!(c[i] == 0.0, i / p.n == 3 || i % p.n == 9, "element {i}");
    }
}
