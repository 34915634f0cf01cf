//! The element types of the format.

use modelsmith_base::DType;

/// Names and types, as the library has them.
static TYPES: &[(&str, DType)] = &[
    ("F64", DType::F64),
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("I16", DType::I16),
    ("I8", DType::I8),
    ("U64", DType::U64),
    ("U32", DType::U32),
    ("U16", DType::U16),
    ("U8", DType::U8),
    ("BOOL", DType::Bool),
    ("C64", DType::Complex64),
    ("F8_E4M3", DType::F8E4M3FN),
    ("F8_E5M2", DType::F8E5M2),
    ("F8_E8M0", DType::F8E8M0),
    ("F8_E4M3FNUZ", DType::F8E4M3FNUZ),
    ("F8_E5M2FNUZ", DType::F8E5M2FNUZ),
    ("F4", DType::F4E2M1),
];

/// Types that the format has and tensors here do not, with their width in bits.
static UNKNOWN: &[(&str, u64)] = &[("F6_E2M3", 6), ("F6_E3M2", 6)];

/// A type found in a header.
pub(super) enum Found {
    /// One that tensors have.
    Known(DType),
    /// Another one, with its width in bits.
    Unknown(u64),
}

pub(super) fn found(name: &str) -> Option<Found> {
    let known = TYPES.iter().find(|(n, _)| *n == name).map(|&(_, d)| Found::Known(d));
    known.or_else(|| UNKNOWN.iter().find(|(n, _)| *n == name).map(|&(_, bits)| Found::Unknown(bits)))
}

pub(super) fn name_of(dtype: DType) -> Option<&'static str> {
    TYPES.iter().find(|&&(_, d)| d == dtype).map(|&(n, _)| n)
}
