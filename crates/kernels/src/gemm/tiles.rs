//! The choices of micro-kernels that kernels are made of.

use super::drive::{self, Product, Rows, table_bytes};
use super::tile::{self, TileSet};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::simd::Simd;

/// Share of the peak that the best fused multiply-add tiles reach at large problems.
pub(super) const FMA_SHARE: f64 = 0.9;

/// A choice of micro-kernels, as a type so that it can be a parameter of a plain function.
pub(crate) trait Tiles: 'static {
    /// Micro-kernels of fused multiply-adds.
    const SET: &'static TileSet;
    /// Share of the peak that large problems reach.
    const SHARE: f64;

    /// Bytes of scratch memory that a worker needs for a product of m, n, k over rows of `segs` segments.
    fn scratch(_: [usize; 3], segs: usize) -> usize {
        table_bytes(segs)
    }

    /// How a product of m, n, k is cut into tasks: parts of rows and parts of columns.
    fn grid([m, n, k]: [usize; 3], threads: usize) -> (usize, usize) {
        drive::grid(m, n, k, Self::SET, threads)
    }

    /// Bytes of a record of `values` values made ready beforehand, for values that are used several times; `None` where
    /// that gains nothing.
    fn record_bytes(_values: usize) -> Option<usize> {
        None
    }

    /// Makes a record.
    ///
    /// # Safety
    /// `from` holds `values` values, `to` has [`Tiles::record_bytes`] and is aligned to 64, and the machine has what
    /// the tiles need.
    unsafe fn record(_from: *const f32, _values: usize, _to: *mut u8) {}

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// As for [`Product::part`]; `scratch` has the bytes of [`Tiles::scratch`] and is aligned to 64 bytes.
    unsafe fn part<S: Simd, R: Rows>(
        product: &Product<'_, R>,
        parts: (usize, usize),
        part: (usize, usize),
        scratch: *mut u8,
    ) {
        // SAFETY: passed on.
        unsafe { product.part::<S>(parts, part.0, part.1, scratch.cast()) }
    }
}

macro_rules! tiles {
    ($(#[$on:meta])* $name:ident, $set:expr, $share:expr) => {
        $(#[$on])*
        pub(crate) struct $name;
        $(#[$on])*
        impl Tiles for $name {
            const SET: &'static TileSet = &$set;
            const SHARE: f64 = $share;
        }
    };
}
tiles!(
    #[cfg(target_arch = "x86_64")]
    Tiles14x32,
    avx512::UP_TO_32,
    0.86
);
tiles!(
    #[cfg(target_arch = "x86_64")]
    Tiles8x48,
    avx512::UP_TO_48,
    FMA_SHARE
);
tiles!(
    #[cfg(target_arch = "x86_64")]
    Tiles6x64,
    avx512::UP_TO_64,
    0.91
);
tiles!(
    #[cfg(target_arch = "x86_64")]
    Tiles6x16,
    avx2::TILES,
    0.45
);
tiles!(Tiles4x16, tile::PORTABLE, 0.07);
