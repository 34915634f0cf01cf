//! Floats of 4 and 8 bits (OCP OFP8 and MX specifications; the FNUZ variants of arXiv 2206.02915).

use crate::DType;

/// How a narrow float is laid out.
#[derive(Clone, Copy)]
struct Layout {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: i32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Infinities and NaNs as in IEEE 754.
    Ieee,
    /// All ones is NaN; no infinity.
    Finite,
    /// Negative zero is NaN; no infinity.
    Unsigned0,
    /// Every pattern is a finite number.
    NoNan,
}

fn layout(dtype: DType) -> Option<Layout> {
    let (exponent_bits, mantissa_bits, bias, kind) = match dtype {
        DType::F8E4M3FN => (4, 3, 7, Kind::Finite),
        DType::F8E4M3FNUZ => (4, 3, 8, Kind::Unsigned0),
        DType::F8E5M2 => (5, 2, 15, Kind::Ieee),
        DType::F8E5M2FNUZ => (5, 2, 16, Kind::Unsigned0),
        DType::F4E2M1 => (2, 1, 1, Kind::NoNan),
        _ => return None,
    };
    Some(Layout { exponent_bits, mantissa_bits, bias, kind })
}

/// The value of the pattern `bits` of a 4- or 8-bit float type.
///
/// # Panics
/// When `dtype` is not such a type.
pub fn decode(dtype: DType, bits: u8) -> f32 {
    if dtype == DType::F8E8M0 {
        return if bits == 0xff { f32::NAN } else { (2f64).powi(i32::from(bits) - 127) as f32 };
    }
    let l = layout(dtype).expect("a 4- or 8-bit float type");
    let sign_bit = 1u8 << (l.exponent_bits + l.mantissa_bits);
    let negative = bits & sign_bit != 0;
    let magnitude = u32::from(bits & (sign_bit - 1));
    let exponent = (magnitude >> l.mantissa_bits) as i32;
    let mantissa = magnitude & ((1 << l.mantissa_bits) - 1);
    let top = (1 << l.exponent_bits) - 1;
    let ones = (1 << l.mantissa_bits) - 1;
    match l.kind {
        Kind::Unsigned0 if bits == sign_bit => return f32::NAN,
        Kind::Finite if exponent == top && mantissa == ones => {
            return f32::NAN.copysign(if negative { -1.0 } else { 1.0 });
        }
        Kind::Ieee if exponent == top && mantissa != 0 => return f32::NAN,
        Kind::Ieee if exponent == top => return if negative { f32::NEG_INFINITY } else { f32::INFINITY },
        _ => {}
    }
    let scale = (1 - l.bias - l.mantissa_bits as i32) + (exponent - 1).max(0);
    let whole = if exponent == 0 { mantissa } else { mantissa | (1 << l.mantissa_bits) };
    let value = f64::from(whole) * (2f64).powi(scale);
    (if negative { -value } else { value }) as f32
}

/// The pattern nearest to `value`, ties to even. `saturate` clips what is too large to the largest finite
/// number; otherwise it becomes infinity, or NaN where the type has no infinity (ONNX `Cast`, attribute `saturate`).
/// A NaN becomes negative zero in `F4E2M1`, which has none, as in the ONNX project's cases.
/// `F8E8M0` rounds to the nearest power of two, halves up; zero and negative numbers become its smallest.
///
/// # Panics
/// When `dtype` is not a 4- or 8-bit float type.
pub fn encode(dtype: DType, value: f64, saturate: bool) -> u8 {
    if dtype == DType::F8E8M0 {
        return encode_e8m0(value);
    }
    let l = layout(dtype).expect("a 4- or 8-bit float type");
    let sign_bit = 1u8 << (l.exponent_bits + l.mantissa_bits);
    let sign = if value.is_sign_negative() { sign_bit } else { 0 };
    let largest = match l.kind {
        Kind::Ieee => (((1u8 << l.exponent_bits) - 1) << l.mantissa_bits) - 1,
        Kind::Finite => sign_bit - 2,
        Kind::Unsigned0 | Kind::NoNan => sign_bit - 1,
    };
    let overflow = match l.kind {
        _ if saturate => sign | largest,
        Kind::Ieee => sign | (largest + 1),
        Kind::Finite => sign | (sign_bit - 1),
        Kind::Unsigned0 => sign_bit,
        Kind::NoNan => sign | largest,
    };
    if value.is_nan() {
        return match l.kind {
            Kind::Ieee => sign | (sign_bit - 1),
            Kind::Finite => sign | (sign_bit - 1),
            Kind::Unsigned0 => sign_bit,
            Kind::NoNan => sign_bit,
        };
    }
    if value.is_infinite() {
        return overflow;
    }
    let magnitude = value.abs();
    let smallest_exponent = 1 - l.bias;
    let exponent = if magnitude == 0.0 { smallest_exponent } else { exponent_of(magnitude).max(smallest_exponent) };
    let unit = (2f64).powi(exponent - l.mantissa_bits as i32);
    let steps = (magnitude / unit).round_ties_even() as u32;
    // A carry out of the mantissa moves into the exponent by plain addition.
    let pattern = if steps < (1 << l.mantissa_bits) {
        steps
    } else {
        (((exponent - smallest_exponent) as u32) << l.mantissa_bits) + steps
    };
    if pattern > u32::from(largest) {
        return overflow;
    }
    match (l.kind, pattern) {
        (Kind::Unsigned0, 0) => 0,
        _ => sign | pattern as u8,
    }
}

fn encode_e8m0(value: f64) -> u8 {
    if value.is_nan() {
        return 0xff;
    }
    if value <= 0.0 {
        return 0;
    }
    if value.is_infinite() {
        return 0xfe;
    }
    let exponent = exponent_of(value);
    let up = value / (2f64).powi(exponent) >= 1.5;
    (exponent + i32::from(up) + 127).clamp(0, 254) as u8
}

fn exponent_of(magnitude: f64) -> i32 {
    let raw = ((magnitude.to_bits() >> 52) & 0x7ff) as i32;
    if raw == 0 { -1074 + (63 - magnitude.to_bits().leading_zeros() as i32) } else { raw - 1023 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [DType; 6] =
        [DType::F8E4M3FN, DType::F8E4M3FNUZ, DType::F8E5M2, DType::F8E5M2FNUZ, DType::F4E2M1, DType::F8E8M0];

    #[test]
    fn every_pattern_round_trips() {
        for dtype in TYPES {
            for bits in 0..=if dtype == DType::F4E2M1 { 15 } else { 255u8 } {
                let value = decode(dtype, bits);
                if value.is_nan() {
                    assert!(decode(dtype, encode(dtype, f64::from(value), false)).is_nan(), "{dtype} {bits}");
                } else {
                    assert_eq!(encode(dtype, f64::from(value), false), bits, "{dtype} {bits} {value}");
                }
            }
        }
    }

    #[test]
    fn limits_of_the_specification() {
        assert_eq!(decode(DType::F8E4M3FN, 0x7e), 448.0);
        assert_eq!(decode(DType::F8E4M3FNUZ, 0x7f), 240.0);
        assert_eq!(decode(DType::F8E5M2, 0x7b), 57344.0);
        assert_eq!(decode(DType::F8E5M2FNUZ, 0x7f), 57344.0);
        assert_eq!(decode(DType::F4E2M1, 7), 6.0);
        assert_eq!(decode(DType::F8E8M0, 127), 1.0);
    }

    #[test]
    fn overflow_follows_saturate() {
        assert_eq!(decode(DType::F8E4M3FN, encode(DType::F8E4M3FN, 1e6, true)), 448.0);
        assert!(decode(DType::F8E4M3FN, encode(DType::F8E4M3FN, 1e6, false)).is_nan());
        assert_eq!(decode(DType::F8E5M2, encode(DType::F8E5M2, -1e9, false)), f32::NEG_INFINITY);
        assert_eq!(encode(DType::F8E4M3FNUZ, -1e-12, true), 0);
    }
}
