//! A file laid out before a byte of payload is read.

use crate::Result;
use flate2::Crc;
use modelsmith_base::wide;
use modelsmith_tensor::{Form, WeightExpr, stored_len};
use std::sync::Arc;

/// The pieces of a file in order. Offsets are known at once, so that a header can name them; payloads are computed when
/// the file is written (see [`crate::Output::emit`]).
#[derive(Default)]
pub struct Layout {
    pieces: Vec<Piece>,
    at: u64,
    weights: usize,
}

/// A part of a file.
pub enum Piece {
    /// Bytes known now.
    Bytes(Vec<u8>),
    /// That many zeros.
    Zeros(u64),
    /// The bytes of a weight.
    Weight {
        /// The weight.
        expr: Arc<WeightExpr>,
        /// What bytes it has.
        form: Form,
        /// How many.
        len: u64,
    },
    /// Bytes that depend on the payload before them.
    Sealed {
        /// How many.
        len: u64,
        /// Makes them from the CRC-32 of each weight written so far, by its number.
        make: Seal,
    },
}

/// See [`Piece::Sealed`].
pub type Seal = Box<dyn Fn(&[Crc]) -> Vec<u8> + Send + Sync>;

impl Layout {
    /// An empty file.
    pub fn new() -> Layout {
        Layout::default()
    }

    /// Offset of the next piece; in the end the length of the file.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Number of weights so far.
    pub fn weights(&self) -> usize {
        self.weights
    }

    fn push(&mut self, piece: Piece, len: u64) {
        self.at = self.at.saturating_add(len);
        self.pieces.push(piece);
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: Vec<u8>) {
        let len = wide(bytes.len());
        self.push(Piece::Bytes(bytes), len);
    }

    /// Adds zeros until the offset is a multiple of `to`.
    pub fn align(&mut self, to: u64) {
        let pad = self.at.next_multiple_of(to.max(1)).saturating_sub(self.at);
        if pad > 0 {
            self.push(Piece::Zeros(pad), pad);
        }
    }

    /// Adds a weight and returns its number.
    ///
    /// # Errors
    /// When blocks do not divide its last dimension.
    pub fn weight(&mut self, expr: &Arc<WeightExpr>, form: Form) -> Result<usize> {
        let len = stored_len(expr, form)?;
        self.push(Piece::Weight { expr: expr.clone(), form, len }, len);
        self.weights = self.weights.saturating_add(1);
        Ok(self.weights.saturating_sub(1))
    }

    /// Adds `len` bytes that `make` computes when the pieces before them are written.
    pub fn sealed(&mut self, len: u64, make: Seal) {
        self.push(Piece::Sealed { len, make }, len);
    }

    /// Bytes of all weights.
    pub fn payload(&self) -> u64 {
        let len = |p: &Piece| if let Piece::Weight { len, .. } = p { *len } else { 0 };
        self.pieces.iter().map(len).fold(0, u64::saturating_add)
    }
}
