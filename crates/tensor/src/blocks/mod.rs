//! Block encodings: quantized forms of `f32` in which a fixed number of elements shares scales, as GGUF stores them.
//!
//! An encoding is a form of storage, not an element type: what is encoded stays an `f32` tensor for everything above
//! (see [`crate::WeightExpr::Blocks`]). One file holds a family.

mod affine;
mod fit;
mod fp4;
mod grids;
mod iq;
mod iq4;
mod k2;
mod k3;
mod k45;
mod k6;
mod number;
mod q8_0;
mod simple;
mod ternary;

use std::fmt;

/// How blocks are stored. Names are those of ggml.
pub struct Encoding {
    /// Name, for example `Q4_K`.
    pub name: &'static str,
    /// Elements of a block.
    pub elements: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// Decodes whole blocks: `from.len() / bytes * elements == to.len()`.
    pub decode: fn(from: &[u8], to: &mut [f32]),
    /// Encodes rows of `row` elements, a multiple of `elements`; `importance` has one weight for each column of a row.
    /// `None` for an encoding that is only read.
    pub encode: Option<fn(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8])>,
}

/// Every encoding.
pub static ENCODINGS: &[&Encoding] = &[
    &simple::Q4_0,
    &simple::Q4_1,
    &simple::Q5_0,
    &simple::Q5_1,
    &q8_0::Q8_0,
    &simple::Q8_1,
    &k2::Q2_K,
    &k3::Q3_K,
    &k45::Q4_K,
    &k45::Q5_K,
    &k6::Q6_K,
    &k6::Q8_K,
    &iq::IQ2_XXS,
    &iq::IQ2_XS,
    &iq::IQ3_XXS,
    &iq::IQ1_S,
    &iq4::IQ4_NL,
    &iq::IQ3_S,
    &iq::IQ2_S,
    &iq4::IQ4_XS,
    &iq::IQ1_M,
    &ternary::TQ1_0,
    &ternary::TQ2_0,
    &fp4::MXFP4,
    &fp4::NVFP4,
    &simple::Q1_0,
    &simple::Q2_0,
];

/// The encoding of that name, in any case.
pub fn encoding(name: &str) -> Option<&'static Encoding> {
    ENCODINGS.iter().copied().find(|e| e.name.eq_ignore_ascii_case(name))
}

impl Encoding {
    /// Bytes that `elements` take; `None` when they are not whole blocks, or too many.
    pub fn bytes_for(&self, elements: usize) -> Option<usize> {
        match elements % self.elements {
            0 => (elements / self.elements).checked_mul(self.bytes),
            _ => None,
        }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_found_by_its_name_and_inverts_zero() {
        for e in ENCODINGS {
            assert_eq!(encoding(&e.name.to_lowercase()).map(|found| found.name), Some(e.name));
            let (mut bytes, mut back) = (vec![0; 2 * e.bytes], vec![1.0; 2 * e.elements]);
            if let Some(encode) = e.encode {
                encode(&vec![0.0; 2 * e.elements], e.elements, None, &mut bytes);
                (e.decode)(&bytes, &mut back);
                assert!(back.iter().all(|&x| x == 0.0), "{}", e.name);
            }
        }
    }
}
