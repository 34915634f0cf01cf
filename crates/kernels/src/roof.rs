//! What one machine can do at most: fused multiply-adds per second and bytes per second, measured.

use crate::host;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd};
use modelsmith_kop::Isa;
use modelsmith_pool::Pool;
use std::time::Instant;

/// Highest rate of f32 arithmetic found, in billions of operations per second (a fused multiply-add is two), with
/// all threads of the pool, at the widest vectors of `isa` that the machine has. Takes about `seconds`.
pub fn fma_gflops(isa: Isa, pool: &Pool, seconds: f64) -> f64 {
    let isa = host::detect().cap(isa);
    #[cfg(target_arch = "x86_64")]
    {
        if isa.contains(Isa::AVX512) {
            return peak::<Avx512>(pool, seconds);
        }
        if isa.contains(Isa::AVX2) {
            return peak::<Avx2>(pool, seconds);
        }
    }
    let _ = isa;
    peak::<Portable>(pool, seconds)
}

/// Highest rate of bf16 products on tile registers, in billions of operations per second, with all threads of the pool;
/// `None` where `isa` or the machine has none. Takes about `seconds`.
pub fn tile_gflops(isa: Isa, pool: &Pool, seconds: f64) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    if host::detect().cap(isa).contains(crate::gemm::amx::ISA) {
        let rounds = 2_000;
        let flops = std::sync::atomic::AtomicUsize::new(0);
        let took = best(seconds, || {
            pool.run(pool.threads(), |_, _| {
                // SAFETY: the machine has tiles.
                let done = unsafe { crate::gemm::amx::products(rounds) };
                flops.store(done, std::sync::atomic::Ordering::Relaxed);
            });
        })?;
        return Some((flops.into_inner() * pool.threads()) as f64 / took / 1e9);
    }
    let _ = (isa, pool, seconds);
    None
}

const CHAINS: usize = 12;
const ROUNDS: usize = 20_000;

struct Chains;

impl Body for Chains {
    type Out = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: arithmetic only; `peak` has checked the machine.
        unsafe {
            let (a, b) = (S::splat(std::hint::black_box(0.999)), S::splat(std::hint::black_box(0.001)));
            let mut acc = [S::splat(1.0); CHAINS];
            for _ in 0..ROUNDS {
                for chain in &mut acc {
                    *chain = S::fma(*chain, a, b);
                }
            }
            let mut total = S::splat(0.0);
            for v in acc {
                total = S::add(total, v);
            }
            S::sum(total)
        }
    }
}

fn peak<S: Simd>(pool: &Pool, seconds: f64) -> f64 {
    let flops = 2.0 * (CHAINS * ROUNDS * S::LANES * pool.threads()) as f64;
    best(seconds, || {
        pool.run(pool.threads(), |_, _| {
            // SAFETY: `fma_gflops` has checked the machine.
            std::hint::black_box(unsafe { S::enter(Chains) });
        });
    })
    .map_or(0.0, |t| flops / t / 1e9)
}

/// Bytes read per nanosecond from a buffer of `bytes`, all threads together. With a buffer far larger than the caches
/// this is the memory's rate. Takes about `seconds`.
pub fn read_gbytes(bytes: usize, pool: &Pool, seconds: f64) -> f64 {
    let buffer = vec![1u64; (bytes / 8).max(64)];
    best(seconds, || {
        pool.run(pool.threads(), |part, _| {
            let range = modelsmith_pool::cut(buffer.len(), pool.threads(), part);
            let mut sums = [0u64; 32];
            for chunk in buffer[range].chunks_exact(32) {
                for (s, v) in sums.iter_mut().zip(chunk) {
                    *s = s.wrapping_add(*v);
                }
            }
            std::hint::black_box(sums);
        });
    })
    .map_or(0.0, |t| (buffer.len() * 8) as f64 / t / 1e9)
}

/// Bytes copied per nanosecond between two buffers of `bytes` (each byte counted once), all threads together.
pub fn copy_gbytes(bytes: usize, pool: &Pool, seconds: f64) -> f64 {
    let len = (bytes / 8).max(64);
    let from = vec![1u64; len];
    let mut to = vec![0u64; len];
    let shared = crate::mem::Shared(to.as_mut_ptr());
    best(seconds, || {
        pool.run(pool.threads(), |part, _| {
            let range = modelsmith_pool::cut(len, pool.threads(), part);
            // SAFETY: parts are disjoint ranges of both buffers.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    from.as_ptr().add(range.start),
                    shared.get().add(range.start),
                    range.len(),
                );
            }
        });
    })
    .map_or(0.0, |t| (len * 8) as f64 / t / 1e9)
}

/// Shortest run in seconds of at least three, repeated for about `seconds`.
fn best(seconds: f64, mut run: impl FnMut()) -> Option<f64> {
    let begin = Instant::now();
    let mut shortest: Option<f64> = None;
    let mut runs = 0;
    while runs < 3 || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        run();
        let took = start.elapsed().as_secs_f64();
        shortest = Some(shortest.map_or(took, |s| s.min(took)));
        runs += 1;
    }
    shortest.filter(|s| *s > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_positive() {
        let pool = Pool::new(2);
        for (_, isa) in Isa::LEVELS {
            assert!(fma_gflops(isa, &pool, 0.001) > 0.0);
            assert!(tile_gflops(isa, &pool, 0.001).is_none_or(|g| g > 0.0));
        }
        assert!(read_gbytes(1 << 20, &pool, 0.001) > 0.0);
        assert!(copy_gbytes(1 << 20, &pool, 0.001) > 0.0);
    }
}
