//! Typed views, and the conversions between storage and the wide types in which reference code computes.

use crate::{DType, Error, Result, Tensor, bf16, f16};
use modelsmith_base::minifloat;

/// A Rust type that is stored as it is.
pub trait Element: bytemuck::Pod {
    /// Its element type.
    const DTYPE: DType;
}

macro_rules! element {
    ($($t:ty => $d:ident),*) => { $(impl Element for $t { const DTYPE: DType = DType::$d; })* };
}
element!(f32 => F32, f64 => F64, f16 => F16, bf16 => BF16, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
         u8 => U8, u16 => U16, u32 => U32, u64 => U64, [f32; 2] => Complex64, [f64; 2] => Complex128);

/// Sub-byte element `i` of packed `bytes`, lowest bits first.
fn unpack(bytes: &[u8], bits: usize, i: usize) -> u8 {
    let per = 8 / bits;
    (bytes[i / per] >> (i % per * bits)) & ((1u16 << bits) - 1) as u8
}

fn pack(bits: usize, values: impl Iterator<Item = u8>, count: usize) -> Vec<u8> {
    let per = 8 / bits;
    let mask = ((1u16 << bits) - 1) as u8;
    let mut out = vec![0; count.div_ceil(per)];
    for (i, v) in values.enumerate() {
        out[i / per] |= (v & mask) << (i % per * bits);
    }
    out
}

fn sign_extend(v: u8, bits: usize) -> i64 {
    let shift = 8 - bits;
    i64::from(((v << shift) as i8) >> shift)
}

impl Tensor {
    /// All elements as `f64`: real types and `Bool` (0 or 1). 64-bit integers beyond 2^53 are rounded.
    ///
    /// # Errors
    /// For strings and complex numbers.
    pub fn to_f64s(&self) -> Result<Vec<f64>> {
        use DType::*;
        let b = self.bytes();
        Ok(match self.dtype() {
            F32 => self.raw::<f32>().iter().map(|&x| f64::from(x)).collect(),
            F64 => self.raw::<f64>().to_vec(),
            F16 => self.raw::<f16>().iter().map(|x| x.to_f64()).collect(),
            BF16 => self.raw::<bf16>().iter().map(|x| x.to_f64()).collect(),
            d @ (F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0) => {
                b.iter().map(|&x| f64::from(minifloat::decode(d, x))).collect()
            }
            F4E2M1 => (0..self.len()).map(|i| f64::from(minifloat::decode(F4E2M1, unpack(b, 4, i)))).collect(),
            U64 => self.raw::<u64>().iter().map(|&x| x as f64).collect(),
            _ => self.to_i64s()?.into_iter().map(|x| x as f64).collect(),
        })
    }

    /// All elements as `i64`: integers and `Bool`. `U64` wraps.
    ///
    /// # Errors
    /// For all other types.
    pub fn to_i64s(&self) -> Result<Vec<i64>> {
        use DType::*;
        let b = self.bytes();
        Ok(match self.dtype() {
            I8 => self.raw::<i8>().iter().map(|&x| x.into()).collect(),
            I16 => self.raw::<i16>().iter().map(|&x| x.into()).collect(),
            I32 => self.raw::<i32>().iter().map(|&x| x.into()).collect(),
            I64 => self.raw::<i64>().to_vec(),
            U8 => b.iter().map(|&x| x.into()).collect(),
            Bool => b.iter().map(|&x| i64::from(x != 0)).collect(),
            U16 => self.raw::<u16>().iter().map(|&x| x.into()).collect(),
            U32 => self.raw::<u32>().iter().map(|&x| x.into()).collect(),
            U64 => self.raw::<u64>().iter().map(|&x| x as i64).collect(),
            d @ (I4 | I2) => (0..self.len()).map(|i| sign_extend(unpack(b, d.bits(), i), d.bits())).collect(),
            d @ (U4 | U2) => (0..self.len()).map(|i| unpack(b, d.bits(), i).into()).collect(),
            found => return Err(Error::DType { wanted: "integers", found }),
        })
    }

    /// All elements as `u64`: integers and `Bool`; negative numbers wrap.
    ///
    /// # Errors
    /// For all other types.
    pub fn to_u64s(&self) -> Result<Vec<u64>> {
        Ok(self.to_i64s()?.into_iter().map(|x| x as u64).collect())
    }

    /// All elements as pairs (real, imaginary); real types get an imaginary part of 0.
    ///
    /// # Errors
    /// For strings.
    pub fn to_complex(&self) -> Result<Vec<[f64; 2]>> {
        Ok(match self.dtype() {
            DType::Complex64 => self.raw::<[f32; 2]>().iter().map(|&[r, i]| [r.into(), i.into()]).collect(),
            DType::Complex128 => self.raw::<[f64; 2]>().to_vec(),
            _ => self.to_f64s()?.into_iter().map(|r| [r, 0.0]).collect(),
        })
    }

    /// Elements of a `Bool` tensor.
    ///
    /// # Errors
    /// For all other types.
    pub fn to_bools(&self) -> Result<Vec<bool>> {
        match self.dtype() {
            DType::Bool => Ok(self.bytes().iter().map(|&x| x != 0).collect()),
            found => Err(Error::DType { wanted: "bool", found }),
        }
    }

    /// A tensor of `dtype` from `f64`s, each rounded once (to nearest, ties to even). Integers truncate towards
    /// zero and saturate, NaN becomes 0; `Bool` is `x != 0`. Narrow floats saturate when `F4E2M1`, else overflow as
    /// [`minifloat::encode`] without `saturate`.
    ///
    /// # Errors
    /// When the count does not fill `shape`, or for strings and complex numbers.
    pub fn from_f64s(dtype: DType, shape: &[usize], values: &[f64]) -> Result<Tensor> {
        use DType::*;
        Tensor::check_count(dtype, shape, values.len())?;
        let n = values.len();
        match dtype {
            F32 => {
                let mut t = Tensor::zeros(dtype, shape)?;
                t.as_mut_slice::<f32>()?.iter_mut().zip(values).for_each(|(to, &x)| *to = x as f32);
                Ok(t)
            }
            F64 => Tensor::new(shape, values.to_vec()),
            F16 => Tensor::new(shape, values.iter().map(|&x| f16::from_f64(x)).collect()),
            BF16 => Tensor::new(shape, values.iter().map(|&x| bf16::from_f64(x)).collect()),
            F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0 => {
                let bytes = values.iter().map(|&x| minifloat::encode(dtype, x, false)).collect::<Vec<u8>>();
                Tensor::from_bytes(dtype, shape, &bytes)
            }
            F4E2M1 => {
                let bytes = pack(4, values.iter().map(|&x| minifloat::encode(dtype, x, true)), n);
                Tensor::from_bytes(dtype, shape, &bytes)
            }
            Bool => Tensor::from_bools(shape, values.iter().map(|&x| x != 0.0).collect()),
            U64 => Tensor::new(shape, values.iter().map(|&x| x as u64).collect()),
            String | Complex64 | Complex128 => Err(Error::DType { wanted: "a real type", found: dtype }),
            _ => {
                let (lo, hi) = dtype.int_range().unwrap_or((i64::MIN.into(), i64::MAX.into()));
                let ints = values.iter().map(|&x| (x as i64).clamp(lo as i64, hi as i64)).collect::<Vec<_>>();
                Tensor::from_i64s(dtype, shape, &ints)
            }
        }
    }

    /// A tensor of `dtype` from `i64`s: integers keep their low bits (wrap), floats round to nearest, `Bool` is `x != 0`.
    ///
    /// # Errors
    /// When the count does not fill `shape`, or for strings and complex numbers.
    pub fn from_i64s(dtype: DType, shape: &[usize], values: &[i64]) -> Result<Tensor> {
        use DType::*;
        Tensor::check_count(dtype, shape, values.len())?;
        let n = values.len();
        match dtype {
            I8 => Tensor::new(shape, values.iter().map(|&x| x as i8).collect()),
            I16 => Tensor::new(shape, values.iter().map(|&x| x as i16).collect()),
            I32 => Tensor::new(shape, values.iter().map(|&x| x as i32).collect()),
            I64 => Tensor::new(shape, values.to_vec()),
            U8 => Tensor::new(shape, values.iter().map(|&x| x as u8).collect()),
            U16 => Tensor::new(shape, values.iter().map(|&x| x as u16).collect()),
            U32 => Tensor::new(shape, values.iter().map(|&x| x as u32).collect()),
            U64 => Tensor::new(shape, values.iter().map(|&x| x as u64).collect()),
            I4 | U4 | I2 | U2 => {
                Tensor::from_bytes(dtype, shape, &pack(dtype.bits(), values.iter().map(|&x| x as u8), n))
            }
            Bool => Tensor::from_bools(shape, values.iter().map(|&x| x != 0).collect()),
            _ => Tensor::from_f64s(dtype, shape, &values.iter().map(|&x| x as f64).collect::<Vec<_>>()),
        }
    }

    /// As [`Tensor::from_i64s`], for values that may exceed `i64`.
    ///
    /// # Errors
    /// As there.
    pub fn from_u64s(dtype: DType, shape: &[usize], values: &[u64]) -> Result<Tensor> {
        match dtype {
            d if d.is_float() => Tensor::from_f64s(dtype, shape, &values.iter().map(|&x| x as f64).collect::<Vec<_>>()),
            _ => Tensor::from_i64s(dtype, shape, &values.iter().map(|&x| x as i64).collect::<Vec<_>>()),
        }
    }

    /// A complex tensor from pairs (real, imaginary).
    ///
    /// # Errors
    /// When the count does not fill `shape`, or `dtype` is not complex.
    pub fn from_complex(dtype: DType, shape: &[usize], values: &[[f64; 2]]) -> Result<Tensor> {
        match dtype {
            DType::Complex64 => Tensor::new(shape, values.iter().map(|&[r, i]| [r as f32, i as f32]).collect()),
            DType::Complex128 => Tensor::new(shape, values.to_vec()),
            found => Err(Error::DType { wanted: "complex numbers", found }),
        }
    }

    /// A `Bool` tensor.
    ///
    /// # Errors
    /// When the count does not fill `shape`.
    pub fn from_bools(shape: &[usize], values: Vec<bool>) -> Result<Tensor> {
        let bytes = values.into_iter().map(u8::from).collect::<Vec<_>>();
        Tensor::from_bytes(DType::Bool, shape, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_numeric_type_keeps_small_integers() {
        for dtype in DType::ALL.into_iter().filter(|d| d.is_float() || d.is_int() || *d == DType::Bool) {
            let values = if dtype == DType::F8E8M0 { [1.0, 1.0, 1.0] } else { [0.0, 1.0, 1.0] };
            let t = Tensor::from_f64s(dtype, &[3], &values).unwrap();
            assert_eq!(t.to_f64s().unwrap(), values, "{dtype}");
        }
    }

    #[test]
    fn sub_byte_integers_sign_extend_and_wrap() {
        let t = Tensor::from_i64s(DType::I4, &[3], &[-8, 7, 9]).unwrap();
        assert_eq!(t.bytes(), [0x78, 0x09]);
        assert_eq!(t.to_i64s().unwrap(), [-8, 7, -7]);
        let t = Tensor::from_i64s(DType::I2, &[5], &[-2, -1, 0, 1, 2]).unwrap();
        assert_eq!(t.to_i64s().unwrap(), [-2, -1, 0, 1, -2]);
    }

    #[test]
    fn floats_saturate_into_integers() {
        let t = Tensor::from_f64s(DType::I8, &[3], &[1e9, -1e9, f64::NAN]).unwrap();
        assert_eq!(t.to_i64s().unwrap(), [127, -128, 0]);
    }
}
