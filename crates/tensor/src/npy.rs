//! NumPy's `.npy` format, versions 1 to 3 (numpy.lib.format).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::{DType, Error, Result, Tensor, permuted};

const MAGIC: &[u8] = b"\x93NUMPY";

fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Npy(message.into()))
}

fn descr_of(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::F16 => "<f2",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
        DType::Complex64 => "<c8",
        DType::Complex128 => "<c16",
        _ => return None,
    })
}

/// The element type of `descr`, and whether its bytes must be swapped.
fn dtype_of(descr: &str) -> Option<(DType, bool)> {
    let (order, kind) = descr.split_at_checked(1)?;
    let found = DType::ALL.into_iter().find(|&d| descr_of(d).and_then(|s| s.get(1..)) == Some(kind))?;
    match order {
        "<" | "|" | "=" => Some((found, false)),
        ">" => Some((found, true)),
        _ => None,
    }
}

/// Writes a tensor as version 1.0. Types that NumPy lacks are widened: `bf16` and narrower floats to `f32`,
/// 2- and 4-bit integers to 8 bits. Strings become fixed-width Unicode (`<U`).
///
/// # Errors
/// Never for a well-formed tensor.
pub fn write(t: &Tensor) -> Result<Vec<u8>> {
    let widened = match t.dtype() {
        d if descr_of(d).is_some() || d == DType::String => t.clone(),
        d if d.is_float() => Tensor::from_f64s(DType::F32, t.shape(), &t.to_f64s()?)?,
        d if d.is_signed_int() => Tensor::from_i64s(DType::I8, t.shape(), &t.to_i64s()?)?,
        _ => Tensor::from_i64s(DType::U8, t.shape(), &t.to_i64s()?)?,
    };
    let (descr, payload) = match widened.strings() {
        Ok(strings) => {
            let width = strings.iter().map(|s| s.chars().count()).max().unwrap_or(0).max(1);
            let mut bytes = Vec::new();
            for s in strings {
                let points = s.chars().map(|c| c as u32).chain(std::iter::repeat(0)).take(width);
                points.for_each(|c| bytes.extend_from_slice(&c.to_le_bytes()));
            }
            (format!("<U{width}"), bytes)
        }
        Err(_) => (descr_of(widened.dtype()).unwrap_or_default().to_owned(), widened.bytes().to_vec()),
    };
    let mut out = preamble(&descr, widened.shape());
    out.extend_from_slice(&payload);
    Ok(out)
}

/// The part of a file of version 1.0 before its payload, a multiple of 64 bytes long: little-endian elements of `dtype` in
/// row order follow. `None` for a type that NumPy lacks.
pub fn header_of(dtype: DType, shape: &[usize]) -> Option<Vec<u8>> {
    descr_of(dtype).map(|descr| preamble(descr, shape))
}

fn preamble(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dims = shape.iter().map(|d| format!("{d},")).collect::<Vec<_>>().join(" ");
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    let pad = 63 - (MAGIC.len() + 4 + header.len()) % 64;
    header.push_str(&" ".repeat(pad));
    header.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&(header.len() as u16).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    out
}

/// What a file says before its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Element type as NumPy writes it, for example `<f4`.
    pub descr: String,
    /// True when the first index runs fastest.
    pub fortran: bool,
    /// Shape.
    pub shape: Vec<usize>,
    /// Offset of the payload in the file.
    pub start: usize,
}

impl Header {
    /// Reads the start of a file; `bytes` may end anywhere after it.
    ///
    /// # Errors
    /// When the file breaks the format, or holds structures.
    pub fn parse(bytes: &[u8]) -> Result<Header> {
        let rest = bytes.strip_prefix(MAGIC).map_or_else(|| fail("the file does not start with \\x93NUMPY"), Ok)?;
        let (version, rest) = rest.split_at_checked(2).map_or_else(|| fail("the file ends in its header"), Ok)?;
        let wide = version.first().is_some_and(|&v| v >= 2);
        let size = if wide { 4 } else { 2 };
        let (length, rest) = rest.split_at_checked(size).map_or_else(|| fail("the file ends in its header"), Ok)?;
        let length = length.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let (header, _) = rest.split_at_checked(length).map_or_else(|| fail("the file ends in its header"), Ok)?;
        let header = std::str::from_utf8(header).or_else(|_| fail("the header is not text"))?;
        let value = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, v)| v.trim_start());
        let descr = value("descr").and_then(|v| v.strip_prefix('\'')?.split('\'').next());
        let descr = descr.map_or_else(|| fail("no plain element type: structures are not read"), Ok)?.to_owned();
        let fortran = value("fortran_order").is_some_and(|v| v.starts_with("True"));
        let dims = value("shape").and_then(|v| v.strip_prefix('(')?.split(')').next());
        let dims = dims.map_or_else(|| fail("no shape in the header"), Ok)?;
        let mut shape = Vec::new();
        for d in dims.split(',').map(str::trim).filter(|d| !d.is_empty()) {
            shape.push(d.trim_end_matches('L').parse::<usize>().or_else(|_| fail(format!("bad dimension {d:?}")))?);
        }
        Ok(Header { descr, fortran, shape, start: MAGIC.len() + 2 + size + length })
    }

    /// The element type, and whether its bytes are the other way round; `None` for strings, objects and the like.
    pub fn dtype(&self) -> Option<(DType, bool)> {
        dtype_of(&self.descr)
    }

    /// Shape in the order of the file: turned round in Fortran order.
    pub fn stored(&self) -> Vec<usize> {
        if self.fortran { self.shape.iter().rev().copied().collect() } else { self.shape.clone() }
    }
}

/// Reads a tensor; Fortran order and big-endian bytes are turned.
///
/// # Errors
/// When the file breaks the format, or holds objects or structures.
pub fn read(bytes: &[u8]) -> Result<Tensor> {
    let header = Header::parse(bytes)?;
    let (descr, shape, stored) = (header.descr.as_str(), &header.shape, header.stored());
    let payload = bytes.get(header.start..).unwrap_or_default();
    let t = if let Some(width) = descr.get(1..).and_then(|d| d.strip_prefix('U')) {
        read_unicode(&stored, width, descr.starts_with('>'), payload)?
    } else {
        let (dtype, swap) =
            header.dtype().map_or_else(|| fail(format!("element type {descr:?} is not one that tensors have")), Ok)?;
        let need = crate::tensor::count(&stored).and_then(|n| dtype.bytes_for(n)).unwrap_or(usize::MAX);
        let Some(payload) = payload.get(..need) else {
            return fail(format!("shape {shape:?} of {descr} wants {need} bytes, {} follow", payload.len()));
        };
        let part = if dtype.is_complex() { dtype.bits() / 16 } else { dtype.bits() / 8 };
        match swap {
            true => {
                let turned = payload.chunks(part).flat_map(|c| c.iter().rev().copied()).collect::<Vec<_>>();
                Tensor::from_bytes(dtype, &stored, &turned)?
            }
            false => Tensor::from_bytes(dtype, &stored, payload)?,
        }
    };
    match header.fortran {
        true => permuted(&t, &(0..t.rank()).rev().collect::<Vec<_>>()),
        false => Ok(t),
    }
}

fn read_unicode(shape: &[usize], width: &str, big: bool, payload: &[u8]) -> Result<Tensor> {
    let width: usize = width.parse().or_else(|_| fail(format!("bad string width {width:?}")))?;
    let n = crate::tensor::count(shape).unwrap_or(usize::MAX);
    let need = n.checked_mul(width).and_then(|n| n.checked_mul(4)).unwrap_or(usize::MAX);
    let Some(payload) = payload.get(..need) else {
        return fail(format!("strings want {need} bytes, {} follow", payload.len()));
    };
    // Empty strings take no bytes of the file, but memory.
    if width == 0 && n > 1 << 20 {
        return fail(format!("{n} empty strings, at most {} are read", 1 << 20));
    }
    let text = |cell: &[u8]| {
        let points = cell.chunks_exact(4).map(|c| {
            let b = [0, 1, 2, 3].map(|i| c.get(i).copied().unwrap_or(0));
            if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
        });
        let all = points.map(|p| char::from_u32(p).unwrap_or('\u{fffd}')).collect::<String>();
        all.trim_end_matches('\0').to_owned()
    };
    let strings = if width == 0 { vec![String::new(); n] } else { payload.chunks_exact(width * 4).map(text).collect() };
    Tensor::from_strings(shape, strings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn round_trips() {
        for t in [Tensor::scalar(1.5f32), Tensor::new(&[2, 3], vec![1i64; 6]).unwrap(), Tensor::vector::<u8>(&[])] {
            assert!(read(&write(&t).unwrap()).unwrap().same_bits(&t));
        }
        let s = Tensor::from_strings(&[2], vec!["é".into(), "abc".into()]).unwrap();
        assert!(read(&write(&s).unwrap()).unwrap().same_bits(&s));
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = write(&Tensor::vector(&[1f32, 2.0])).unwrap();
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err());
        }
        let lie = String::from_utf8_lossy(&good).replace("(2,)", "(9,)");
        assert!(read(lie.as_bytes()).is_err());
        let mut bomb = MAGIC.to_vec();
        let header = "{'descr': '<U0', 'fortran_order': False, 'shape': (299999999,), }";
        bomb.extend_from_slice(&[1, 0, header.len() as u8, 0]);
        bomb.extend_from_slice(header.as_bytes());
        assert_eq!(read(&bomb).unwrap_err().to_string(), "npy: 299999999 empty strings, at most 1048576 are read");
    }
}
