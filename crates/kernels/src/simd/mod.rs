//! One vector type of 32-bit lanes over three instruction sets. Everything except the micro-kernels of products and
//! convolutions is written once against it.
//!
//! A kernel is a [`Body`]: generic over [`Simd`], forced inline into [`Simd::enter`], which carries the target feature.
//! That is what lets the compiler inline each operation as an instruction.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod half;
pub(crate) mod math;
mod portable;
pub(crate) mod trigonometry;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use portable::Portable;

use modelsmith_kop::Isa;

/// Code to be compiled for an instruction set. `run` must be `#[inline(always)]`.
pub trait Body {
    /// What it returns.
    type Out;
    /// The code.
    ///
    /// # Safety
    /// The machine has what `S` needs, and what the body itself asks for.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

/// Vectors of f32 and i32 of one instruction set.
///
/// # Safety
/// Every method asks that the machine has [`Simd::ISA`] and that pointers are good for the lanes named; there are no
/// other demands. Implementations promise that `LANES` is a power of two of at most 16.
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    /// What the machine must have.
    const ISA: Isa;
    /// Lanes of a vector.
    const LANES: usize;
    /// f32 lanes.
    type F: Copy;
    /// i32 lanes.
    type I: Copy;
    /// A condition per lane.
    type M: Copy;

    /// Runs a body compiled for this instruction set.
    ///
    /// # Safety
    /// See the trait; also the body's own demands.
    unsafe fn enter<B: Body>(body: B) -> B::Out;
    /// Writes all lanes to `p`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(p: *mut f32, v: Self::F);
    /// Writes the first `n < LANES` lanes to `p`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store_n(p: *mut f32, n: usize, v: Self::F);
    /// All lanes `x`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn splat(x: f32) -> Self::F;
    /// `LANES` values from `p`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(p: *const f32) -> Self::F;
    /// The first `n < LANES` lanes from `p`, zero in the others.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::F;
    /// The values at `p` plus each lane of `at`, which is not negative.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn gather(p: *const f32, at: Self::I) -> Self::F;
    /// The values of `LANES` halves from `p`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load_half(p: *const u16) -> Self::F;
    /// Writes all lanes to `p` as the nearest halves, ties to even.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store_half(p: *mut u16, v: Self::F);
    /// Sum.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    /// Difference.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// Product.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// Quotient.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, in one rounding where the machine has it.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Smaller; `b` where either is NaN.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// Larger; `b` where either is NaN.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// Square root.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn sqrt(a: Self::F) -> Self::F;
    /// Nearest integer, halves to even.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn round(a: Self::F) -> Self::F;
    /// Largest integer not above.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn floor(a: Self::F) -> Self::F;
    /// Smallest integer not below.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn ceil(a: Self::F) -> Self::F;
    /// `a < b`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn lt(a: Self::F, b: Self::F) -> Self::M;
    /// `a <= b`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn le(a: Self::F, b: Self::F) -> Self::M;
    /// `a == b`; false with NaN.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn eq(a: Self::F, b: Self::F) -> Self::M;
    /// `a` where the mask is set, else `b`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F;
    /// All lanes `x`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn isplat(x: i32) -> Self::I;
    /// Nearest integer; any value where it does not fit.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn to_int(a: Self::F) -> Self::I;
    /// As float.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn to_float(a: Self::I) -> Self::F;
    /// The same bits as integers.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn bits(a: Self::F) -> Self::I;
    /// The same bits as floats.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn from_bits(a: Self::I) -> Self::F;
    /// Wrapping sum.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping difference.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I;
    /// Bits in both.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I;
    /// Bits in either.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I;
    /// Bits in one.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn ixor(a: Self::I, b: Self::I) -> Self::I;
    /// Shift left.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn ishl<const N: u32>(a: Self::I) -> Self::I;
    /// Shift right, filling with the sign.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn ishr<const N: u32>(a: Self::I) -> Self::I;

    /// `a * 2^n` for integers `n` from -252 to 254.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn scale(a: Self::F, n: Self::F) -> Self::F {
        // SAFETY: arithmetic only; the caller vouches for the machine.
        unsafe {
            // In two halves, so that results beyond the normal range come out right.
            let n = Self::to_int(n);
            let half = Self::ishr::<1>(n);
            let power = |k| Self::from_bits(Self::ishl::<23>(Self::iadd(k, Self::isplat(127))));
            Self::mul(Self::mul(a, power(half)), power(Self::isub(n, half)))
        }
    }

    /// `1 / a` for `a` of at least 2^-126, within 0.6 ULP; where that is subnormal, within 2^-126. Zero for infinity.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn inverse(a: Self::F) -> Self::F {
        // SAFETY: arithmetic only; the caller vouches for the machine.
        unsafe { Self::div(Self::splat(1.0), a) }
    }

    /// Sum of the lanes, always in the same order.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn sum(v: Self::F) -> f32 {
        fold::<Self>(v, |a, b| a + b)
    }

    /// Largest lane; NaN wins.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn max_lane(v: Self::F) -> f32 {
        fold::<Self>(v, |a, b| if a > b || a.is_nan() { a } else { b })
    }

    /// Smallest lane; NaN wins.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn min_lane(v: Self::F) -> f32 {
        fold::<Self>(v, |a, b| if a < b || a.is_nan() { a } else { b })
    }
}

/// Folds the lanes pairwise, halves first.
#[inline(always)]
fn fold<S: Simd>(v: S::F, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    // SAFETY: `LANES` is at most 16; the caller of the trait's method vouches for the machine.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    let mut width = S::LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = f(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}
