//! Element types of tensors: every `TensorProto.DataType` of ONNX IR version 13.

use std::fmt;

/// The element type of a tensor. Names follow the ONNX specification in lower case without separators
/// (`float` is `f32`, `FLOAT8E4M3FN` is `f8e4m3fn`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of binary32.
    BF16,
    /// 8-bit float, 4 exponent bits, no infinities, one NaN pattern per sign.
    F8E4M3FN,
    /// As `F8E4M3FN` with bias 8, one NaN and no negative zero.
    F8E4M3FNUZ,
    /// 8-bit float, 5 exponent bits, IEEE-like infinities and NaNs.
    F8E5M2,
    /// As `F8E5M2` with bias 16, one NaN, no infinities and no negative zero.
    F8E5M2FNUZ,
    /// A power of two: 8 exponent bits and nothing else.
    F8E8M0,
    /// 4-bit float, 2 exponent bits, 1 mantissa bit; two to a byte, low nibble first.
    F4E2M1,
    /// Signed 8 bit.
    I8,
    /// Signed 16 bit.
    I16,
    /// Signed 32 bit.
    I32,
    /// Signed 64 bit.
    I64,
    /// Unsigned 8 bit.
    U8,
    /// Unsigned 16 bit.
    U16,
    /// Unsigned 32 bit.
    U32,
    /// Unsigned 64 bit.
    U64,
    /// Signed 4 bit, two to a byte, low nibble first.
    I4,
    /// Unsigned 4 bit, two to a byte, low nibble first.
    U4,
    /// Signed 2 bit, four to a byte, lowest bits first.
    I2,
    /// Unsigned 2 bit, four to a byte, lowest bits first.
    U2,
    /// One byte, 0 or 1.
    Bool,
    /// A byte string, UTF-8 by convention.
    String,
    /// A pair of `f32`: real, imaginary.
    Complex64,
    /// A pair of `f64`: real, imaginary.
    Complex128,
}

impl DType {
    /// Every element type, in declaration order.
    pub const ALL: [DType; 26] = {
        use DType::*;
        [
            F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8, U16,
            U32, U64, I4, U4, I2, U2, Bool, String, Complex64, Complex128,
        ]
    };

    /// Width of one element in bits; 0 for strings, which have no fixed width.
    pub const fn bits(self) -> usize {
        use DType::*;
        match self {
            I2 | U2 => 2,
            F4E2M1 | I4 | U4 => 4,
            F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0 | I8 | U8 | Bool => 8,
            F16 | BF16 | I16 | U16 => 16,
            F32 | I32 | U32 => 32,
            F64 | I64 | U64 | Complex64 => 64,
            Complex128 => 128,
            String => 0,
        }
    }

    /// Bytes that `count` elements take, packed; `None` on overflow and for strings.
    pub fn bytes_for(self, count: usize) -> Option<usize> {
        match self.bits() {
            0 => None,
            bits => Some(count.checked_mul(bits)?.div_ceil(8)),
        }
    }

    /// True for real floating-point types of any width.
    pub const fn is_float(self) -> bool {
        (self as u8) <= DType::F4E2M1 as u8
    }

    /// True for signed and unsigned integers of any width; `Bool` is not one.
    pub const fn is_int(self) -> bool {
        (self as u8) >= DType::I8 as u8 && (self as u8) <= DType::U2 as u8
    }

    /// True for signed integers.
    pub const fn is_signed_int(self) -> bool {
        matches!(self, DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::I4 | DType::I2)
    }

    /// True for complex types.
    pub const fn is_complex(self) -> bool {
        matches!(self, DType::Complex64 | DType::Complex128)
    }

    /// Smallest and largest value of an integer type (or `Bool`); `None` for the others.
    /// `u64` is clipped to `i128`, so nothing is lost.
    pub const fn int_range(self) -> Option<(i128, i128)> {
        use DType::*;
        Some(match self {
            I2 => (-2, 1),
            I4 => (-8, 7),
            I8 => (i8::MIN as i128, i8::MAX as i128),
            I16 => (i16::MIN as i128, i16::MAX as i128),
            I32 => (i32::MIN as i128, i32::MAX as i128),
            I64 => (i64::MIN as i128, i64::MAX as i128),
            U2 => (0, 3),
            U4 => (0, 15),
            U8 => (0, u8::MAX as i128),
            U16 => (0, u16::MAX as i128),
            U32 => (0, u32::MAX as i128),
            U64 => (0, u64::MAX as i128),
            Bool => (0, 1),
            _ => return None,
        })
    }

    /// The name used by the text syntax, reports and JSON.
    pub const fn name(self) -> &'static str {
        use DType::*;
        match self {
            F32 => "f32",
            F64 => "f64",
            F16 => "f16",
            BF16 => "bf16",
            F8E4M3FN => "f8e4m3fn",
            F8E4M3FNUZ => "f8e4m3fnuz",
            F8E5M2 => "f8e5m2",
            F8E5M2FNUZ => "f8e5m2fnuz",
            F8E8M0 => "f8e8m0",
            F4E2M1 => "f4e2m1",
            I8 => "i8",
            I16 => "i16",
            I32 => "i32",
            I64 => "i64",
            U8 => "u8",
            U16 => "u16",
            U32 => "u32",
            U64 => "u64",
            I4 => "i4",
            U4 => "u4",
            I2 => "i2",
            U2 => "u2",
            Bool => "bool",
            String => "string",
            Complex64 => "c64",
            Complex128 => "c128",
        }
    }

    /// The inverse of [`DType::name`].
    pub fn parse(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_complete_and_names_are_unique() {
        for (i, d) in DType::ALL.into_iter().enumerate() {
            assert_eq!(d as usize, i);
            assert_eq!(DType::parse(d.name()), Some(d));
        }
    }

    #[test]
    fn packed_sizes() {
        assert_eq!(DType::I4.bytes_for(3), Some(2));
        assert_eq!(DType::U2.bytes_for(5), Some(2));
        assert_eq!(DType::F32.bytes_for(usize::MAX), None);
        assert_eq!(DType::String.bytes_for(1), None);
    }
}
