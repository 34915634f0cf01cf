//! Instruction sets as an ordered bit set.

use std::fmt;

/// A set of instruction-set extensions that a kernel needs, or that a machine has.
///
/// The empty set is `portable`. Named levels are nested on x86-64: portable ⊂ avx2 ⊂ avx512 ⊂ amx.
/// `AVX2` stands for AVX2, FMA and F16C together; `AVX512` for F, BW, DQ and VL together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Isa(u16);

impl Isa {
    /// No extension: compiles and runs everywhere.
    pub const PORTABLE: Isa = Isa(0);
    /// AVX2 with FMA and F16C.
    pub const AVX2: Isa = Isa(1);
    /// AVX-512 F, BW, DQ, VL and all of `AVX2`.
    pub const AVX512: Isa = Isa(1 | 2);
    /// `AVX512` with the integer dot products (VNNI).
    pub const AVX512_VNNI: Isa = Isa(1 | 2 | 4);
    /// `AVX512` with bfloat16 dot products.
    pub const AVX512_BF16: Isa = Isa(1 | 2 | 8);
    /// `AVX512` with half-precision arithmetic.
    pub const AVX512_FP16: Isa = Isa(1 | 2 | 16);
    /// Tile matrix products in bfloat16 and int8, with `AVX512`.
    pub const AMX: Isa = Isa(1 | 2 | 32);
    /// AArch64 Advanced SIMD.
    pub const NEON: Isa = Isa(64);

    /// The named levels that `--isa` knows, with all that each allows; lowest first.
    pub const LEVELS: [(&'static str, Isa); 5] = [
        ("portable", Isa(0)),
        ("avx2", Isa(1)),
        ("avx512", Isa(1 | 2 | 4 | 8 | 16)),
        ("amx", Isa(1 | 2 | 4 | 8 | 16 | 32)),
        ("neon", Isa(64)),
    ];

    const BITS: [(&'static str, u16); 7] =
        [("avx2", 1), ("avx512", 2), ("vnni", 4), ("bf16", 8), ("fp16", 16), ("amx", 32), ("neon", 64)];

    /// The set as a number, for storage.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set with exactly these bits; `None` where a bit has no meaning.
    pub fn from_bits(bits: u16) -> Option<Isa> {
        (bits < 128).then_some(Isa(bits))
    }

    /// Reads a level name (`portable`, `avx2`, `avx512`, `amx`, `neon`) as all that the level allows.
    pub fn parse_level(name: &str) -> Option<Isa> {
        Self::LEVELS.iter().find(|(n, _)| *n == name).map(|(_, isa)| *isa)
    }

    /// The name of the highest level whose base this set holds.
    pub fn level_name(self) -> &'static str {
        if self.contains(Isa::AMX) {
            "amx"
        } else if self.contains(Isa::AVX512) {
            "avx512"
        } else if self.contains(Isa::AVX2) {
            "avx2"
        } else if self.contains(Isa::NEON) {
            "neon"
        } else {
            "portable"
        }
    }

    /// True where every extension of `needed` is in this set.
    pub const fn contains(self, needed: Isa) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// What is in both sets: a machine's set under a cap.
    pub const fn cap(self, limit: Isa) -> Isa {
        Isa(self.0 & limit.0)
    }

    /// What is in either set.
    pub const fn union(self, other: Isa) -> Isa {
        Isa(self.0 | other.0)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("portable");
        }
        let mut first = true;
        for (name, bit) in Self::BITS {
            if self.0 & bit != 0 {
                if !first {
                    f.write_str("+")?;
                }
                f.write_str(name)?;
                first = false;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isa({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_nested_and_capped() {
        assert!(Isa::AMX.contains(Isa::AVX512) && Isa::AVX512.contains(Isa::AVX2) && Isa::AVX2.contains(Isa::PORTABLE));
        let host = Isa::AMX.union(Isa::AVX512_BF16);
        let capped = host.cap(Isa::parse_level("avx512").unwrap());
        assert!(capped.contains(Isa::AVX512_BF16) && !capped.contains(Isa::AMX));
        assert_eq!(capped.level_name(), "avx512");
        assert_eq!(capped.to_string(), "avx2+avx512+bf16");
        assert_eq!(Isa::parse_level("sse9"), None);
        assert_eq!(Isa::from_bits(host.bits()), Some(host));
    }
}
