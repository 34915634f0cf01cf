//! The `.engine` file.
//!
//! ```text
//! 0    magic "MSENGINE", version u32, 0 u32, bytes of the meta part u64, bytes of the file u64, checksum u64, zeros to 64
//! 64   meta part: the info with its notes, the section table (name, offset, length), the blob table;
//!      then the sections: one plan per level
//! ...  blobs, each at a multiple of 64
//! ```
//! The checksum covers header and meta part. Each entry of the blob table has the origin of the blob, its offset, length
//! and checksum, which only [`verify`] reads. Numbers are little-endian.

mod read;
mod sparse;
mod write;

pub use read::{checksum_of, load, load_source, load_verified, verify};
pub use write::{save, to_bytes};

pub(crate) const MAGIC: &[u8; 8] = b"MSENGINE";
pub(crate) const VERSION: u32 = 5;
pub(crate) const HEADER: usize = 64;
/// Where the checksum stands in the header.
pub(crate) const CHECKSUM_AT: usize = 32;

/// A 64-bit checksum, eight bytes at a time: finds damage, proves nothing against intent.
pub fn checksum(parts: &[&[u8]]) -> u64 {
    let mut h = 0x6d6f_6465_6c73_6d69u64;
    let mut mix = |w: u64| {
        h = (h ^ w).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^= h >> 29;
    };
    for part in parts {
        let mut chunks = part.chunks_exact(8);
        for c in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(c);
            mix(u64::from_le_bytes(word));
        }
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunks.remainder()) {
            *to = *from;
        }
        mix(u64::from_le_bytes(word));
        mix(part.len() as u64);
    }
    h
}
