//! Types of tensors and of metadata, by their numbers.

use modelsmith_base::DType;
use modelsmith_tensor::{Encoding, encoding};

/// What a tensor holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Dense(DType),
    Blocks(&'static Encoding),
}

static DENSE: &[(u32, DType)] = &[
    (0, DType::F32),
    (1, DType::F16),
    (24, DType::I8),
    (25, DType::I16),
    (26, DType::I32),
    (27, DType::I64),
    (28, DType::F64),
    (30, DType::BF16),
];

/// A number, a name, and the multi-byte fields of a block as runs of (first byte, width, count), which a big-endian file
/// has the other way round.
type Row = (u32, &'static str, &'static [(usize, usize, usize)]);

/// The numbers that are missing are retired.
static BLOCKS: &[Row] = &[
    (2, "Q4_0", &[(0, 2, 1)]),
    (3, "Q4_1", &[(0, 2, 2)]),
    (6, "Q5_0", &[(0, 2, 1), (2, 4, 1)]),
    (7, "Q5_1", &[(0, 2, 2), (4, 4, 1)]),
    (8, "Q8_0", &[(0, 2, 1)]),
    (9, "Q8_1", &[(0, 2, 2)]),
    (10, "Q2_K", &[(80, 2, 2)]),
    (11, "Q3_K", &[(108, 2, 1)]),
    (12, "Q4_K", &[(0, 2, 2)]),
    (13, "Q5_K", &[(0, 2, 2)]),
    (14, "Q6_K", &[(208, 2, 1)]),
    (15, "Q8_K", &[(0, 4, 1), (260, 2, 16)]),
    (16, "IQ2_XXS", &[(0, 2, 33)]),
    (17, "IQ2_XS", &[(0, 2, 33)]),
    (18, "IQ3_XXS", &[(0, 2, 1)]),
    (19, "IQ1_S", &[(0, 2, 1), (34, 2, 8)]),
    (20, "IQ4_NL", &[(0, 2, 1)]),
    (21, "IQ3_S", &[(0, 2, 1)]),
    (22, "IQ2_S", &[(0, 2, 1)]),
    (23, "IQ4_XS", &[(0, 2, 2)]),
    (29, "IQ1_M", &[(48, 2, 4)]),
    (34, "TQ1_0", &[(52, 2, 1)]),
    (35, "TQ2_0", &[(64, 2, 1)]),
    (39, "MXFP4", &[]),
    (40, "NVFP4", &[]),
    (41, "Q1_0", &[(0, 2, 1)]),
    (42, "Q2_0", &[(0, 2, 1)]),
];

/// The type with that number.
pub(super) fn kind(number: u32) -> Option<Kind> {
    let dense = DENSE.iter().find(|(n, _)| *n == number).map(|&(_, d)| Kind::Dense(d));
    let blocks = || encoding(BLOCKS.iter().find(|(n, ..)| *n == number)?.1).map(Kind::Blocks);
    dense.or_else(blocks)
}

/// The number of an element type.
pub(super) fn number_of(dtype: DType) -> Option<u32> {
    DENSE.iter().find(|&&(_, d)| d == dtype).map(|&(n, _)| n)
}

/// The number of an encoding.
pub(super) fn number_of_blocks(encoding: &Encoding) -> Option<u32> {
    BLOCKS.iter().find(|(_, name, _)| *name == encoding.name).map(|&(n, ..)| n)
}

/// Bytes of a record, and the fields in it that a big-endian file has the other way round.
pub(super) fn fields(kind: Kind) -> (usize, Vec<(usize, usize)>) {
    match kind {
        Kind::Dense(dtype) => (dtype.bits() / 8, vec![(0, dtype.bits() / 8)]),
        Kind::Blocks(e) => {
            let runs = BLOCKS.iter().find(|(_, name, _)| *name == e.name).map_or(&[][..], |r| r.2);
            let run = |&(at, width, count): &(usize, usize, usize)| {
                (0..count).map(move |i| (at.saturating_add(i.saturating_mul(width)), width))
            };
            (e.bytes, runs.iter().flat_map(run).collect())
        }
    }
}

/// Truth values in metadata.
pub(super) const BOOL: u32 = 7;
/// Text in metadata.
pub(super) const TEXT: u32 = 8;
/// Arrays in metadata.
pub(super) const ARRAY: u32 = 9;

static META: &[(u32, DType)] = &[
    (0, DType::U8),
    (1, DType::I8),
    (2, DType::U16),
    (3, DType::I16),
    (4, DType::U32),
    (5, DType::I32),
    (6, DType::F32),
    (10, DType::U64),
    (11, DType::I64),
    (12, DType::F64),
];

/// The type of numbers in metadata.
pub(super) fn meta_dtype(number: u32) -> Option<DType> {
    META.iter().find(|(n, _)| *n == number).map(|&(_, d)| d)
}

/// The number of a type of numbers in metadata.
pub(super) fn meta_number(dtype: DType) -> Option<u32> {
    META.iter().find(|&&(_, d)| d == dtype).map(|&(n, _)| n)
}
