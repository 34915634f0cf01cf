//! AVX2 vectors with FMA.

use super::{Body, Simd};
use core::arch::x86_64::*;
use modelsmith_kop::Isa;

#[inline]
#[target_feature(enable = "avx2")]
fn mask(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// Avx2 vectors of 8 lanes.
#[derive(Clone, Copy, Debug)]
pub struct Avx2;

// SAFETY: `LANES` is 8.
unsafe impl Simd for Avx2 {
    const ISA: Isa = Isa::AVX2;
    const LANES: usize = 8;
    type F = __m256;
    type I = __m256i;
    type M = __m256;

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn enter<B: Body>(body: B) -> B::Out {
        // SAFETY: passed on to the caller.
        unsafe { body.run::<Avx2>() }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: as the trait demands.
        unsafe { _mm256_storeu_ps(p, v) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store_n(p: *mut f32, n: usize, v: __m256) {
        // SAFETY: as the trait demands.
        unsafe { _mm256_maskstore_ps(p, mask(n), v) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn splat(x: f32) -> Self::F {
        _mm256_set1_ps(x)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: as the trait demands.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load_n(p: *const f32, n: usize) -> Self::F {
        // SAFETY: as the trait demands.
        unsafe { _mm256_maskload_ps(p, mask(n)) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn gather(p: *const f32, at: Self::I) -> Self::F {
        // SAFETY: as the trait demands.
        unsafe { _mm256_i32gather_ps::<4>(p, at) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_half(p: *const u16) -> Self::F {
        // SAFETY: as the trait demands.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store_half(p: *mut u16, v: Self::F) {
        // SAFETY: as the trait demands.
        unsafe { _mm_storeu_si128(p.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v)) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        _mm256_add_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        _mm256_sub_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        _mm256_mul_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        _mm256_div_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        _mm256_fmadd_ps(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        _mm256_min_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        _mm256_max_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sqrt(a: Self::F) -> Self::F {
        _mm256_sqrt_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn round(a: Self::F) -> Self::F {
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn floor(a: Self::F) -> Self::F {
        _mm256_floor_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn ceil(a: Self::F) -> Self::F {
        _mm256_ceil_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn lt(a: Self::F, b: Self::F) -> Self::M {
        _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn le(a: Self::F, b: Self::F) -> Self::M {
        _mm256_cmp_ps::<_CMP_LE_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn eq(a: Self::F, b: Self::F) -> Self::M {
        _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F {
        _mm256_blendv_ps(b, a, m)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn isplat(x: i32) -> Self::I {
        _mm256_set1_epi32(x)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn to_int(a: Self::F) -> Self::I {
        _mm256_cvtps_epi32(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn to_float(a: Self::I) -> Self::F {
        _mm256_cvtepi32_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn bits(a: Self::F) -> Self::I {
        _mm256_castps_si256(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn from_bits(a: Self::I) -> Self::F {
        _mm256_castsi256_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I {
        _mm256_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I {
        _mm256_sub_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I {
        _mm256_and_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I {
        _mm256_or_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn ixor(a: Self::I, b: Self::I) -> Self::I {
        _mm256_xor_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn ishl<const N: u32>(a: Self::I) -> Self::I {
        _mm256_sll_epi32(a, _mm_cvtsi32_si128(N as i32))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn ishr<const N: u32>(a: Self::I) -> Self::I {
        _mm256_sra_epi32(a, _mm_cvtsi32_si128(N as i32))
    }
}
