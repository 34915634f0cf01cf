//! Halves where the machine has no instructions for them. Every step is one for whole vectors: no branches, no tables.

/// The single of the same value as a half.
#[inline(always)]
pub(super) fn to_single(h: u16) -> f32 {
    let (sign, rest) = ((u32::from(h) & 0x8000) << 16, (u32::from(h) & 0x7fff) << 13);
    // The exponent's bias is 112 less; a product also makes subnormals normal.
    let scaled = f32::from_bits(rest) * f32::from_bits((127 + 112) << 23);
    let bits = if rest >= 0x7c00 << 13 { rest | 0x7f80_0000 } else { scaled.to_bits() };
    f32::from_bits(bits | sign)
}

/// The nearest half, ties to even.
#[inline(always)]
pub(super) fn of_single(x: f32) -> u16 {
    const SMALLEST_NORMAL: u32 = (127 - 14) << 23;
    const TOO_LARGE: u32 = (127 + 16) << 23;
    // In a sum with this the last bit is that of the smallest half.
    const HALF: u32 = 126 << 23;
    let (sign, size) = ((x.to_bits() >> 16) & 0x8000, x.to_bits() & 0x7fff_ffff);
    let even = 0xfff + ((size >> 13) & 1);
    let normal = size.wrapping_sub(112 << 23).wrapping_add(even) >> 13;
    let subnormal = (f32::from_bits(size) + f32::from_bits(HALF)).to_bits().wrapping_sub(HALF);
    let special = if size > 0x7f80_0000 { 0x7e00 } else { 0x7c00 };
    let finite = if size < SMALLEST_NORMAL { subnormal } else { normal };
    let rounded = if size >= TOO_LARGE { special } else { finite };
    (rounded | sign) as u16
}

#[cfg(test)]
mod tests {
    use crate::simd::{Body, Portable, Simd};
    use modelsmith_base::f16;

    /// Sixteen halves as singles.
    struct Widen([u16; 16]);
    /// Sixteen singles as halves.
    struct Narrow([f32; 16]);

    impl Body for Widen {
        type Out = [f32; 16];
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> [f32; 16] {
            let mut out = [0.0; 16];
            for i in (0..16).step_by(S::LANES) {
                // SAFETY: both have sixteen elements; the caller has checked the machine.
                unsafe { S::store(out.as_mut_ptr().add(i), S::load_half(self.0.as_ptr().add(i))) };
            }
            out
        }
    }

    impl Body for Narrow {
        type Out = [u16; 16];
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> [u16; 16] {
            let mut out = [0; 16];
            for i in (0..16).step_by(S::LANES) {
                // SAFETY: as above.
                unsafe { S::store_half(out.as_mut_ptr().add(i), S::load(self.0.as_ptr().add(i))) };
            }
            out
        }
    }

    /// Checks an instruction set against the definition.
    fn sweep<S: Simd>() {
        if !crate::detect().contains(S::ISA) {
            return;
        }
        for first in (0..=u16::MAX).step_by(16) {
            let halves: [u16; 16] = std::array::from_fn(|i| first + i as u16);
            // SAFETY: the machine has it.
            let singles = unsafe { S::enter(Widen(halves)) };
            // SAFETY: as above.
            let back = unsafe { S::enter(Narrow(singles)) };
            for i in 0..16 {
                let want = f16::from_bits(halves[i]).to_f32();
                assert!(want.to_bits() == singles[i].to_bits() || want.is_nan() && singles[i].is_nan(), "{want}");
                assert!(back[i] == halves[i] || want.is_nan() && f16::from_bits(back[i]).is_nan(), "{want}");
            }
        }
        // Every exponent and the bits around which halves round.
        let low = [0u32, 1, 0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2fff, 0x3000, 0x3001, 0x7fff, 0x8000, 0x8001];
        for high in 0..=u16::MAX {
            let of = |i: usize| f32::from_bits((u32::from(high) << 16) | low.get(i).unwrap_or(&0xffff));
            let singles: [f32; 16] = std::array::from_fn(of);
            // SAFETY: as above.
            let halves = unsafe { S::enter(Narrow(singles)) };
            for (x, h) in singles.into_iter().zip(halves) {
                assert!(h == f16::from_f32(x).to_bits() || x.is_nan() && f16::from_bits(h).is_nan(), "{x:e}");
            }
        }
    }

    #[test]
    fn halves_are_those_of_the_definition_on_every_instruction_set() {
        sweep::<Portable>();
        #[cfg(target_arch = "x86_64")]
        {
            sweep::<crate::simd::Avx2>();
            sweep::<crate::simd::Avx512>();
        }
    }
}
