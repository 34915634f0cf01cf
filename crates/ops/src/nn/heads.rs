//! Operands of attention as `[batch, heads, sequence, size]`, whichever of the two layouts they come in.

use crate::prelude::*;

/// A tensor divided into heads, in `f64`.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Elements, `[batch, heads, len, size]`.
    pub data: Vec<f64>,
    /// Sequences.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Length of the sequence.
    pub len: usize,
    /// Elements of one head at one position.
    pub size: usize,
}

impl Heads {
    /// Reads `[batch, heads, len, size]`, or `[batch, len, heads * size]` with `heads` given.
    ///
    /// # Errors
    /// When the rank is another, or the heads do not divide the last dimension.
    pub fn of(t: &Tensor, heads: Option<usize>) -> OpResult<Heads> {
        let data = t.to_f64s()?;
        match (t.shape(), heads) {
            (&[batch, heads, len, size], _) => Ok(Heads { data, batch, heads, len, size }),
            (&[batch, len, hidden], Some(heads)) if heads > 0 && hidden % heads == 0 => {
                let size = hidden / heads;
                let packed = Heads { data, batch, heads: len, len: heads, size };
                Ok(packed.swapped())
            }
            (shape, heads) => Err(OpError::invalid(format!("a tensor of shape {shape:?} and {heads:?} heads"))),
        }
    }

    /// The same with heads and positions swapped.
    fn swapped(&self) -> Heads {
        let mut data = Vec::with_capacity(self.data.len());
        for b in 0..self.batch {
            for l in 0..self.len {
                for h in 0..self.heads {
                    data.extend_from_slice(self.row(b, h, l));
                }
            }
        }
        Heads { data, batch: self.batch, heads: self.len, len: self.heads, size: self.size }
    }

    /// One head at one position.
    pub fn row(&self, batch: usize, head: usize, at: usize) -> &[f64] {
        &self.data[((batch * self.heads + head) * self.len + at) * self.size..][..self.size]
    }

    /// One head: `[len, size]`.
    pub fn head(&self, batch: usize, head: usize) -> &[f64] {
        &self.data[(batch * self.heads + head) * self.len * self.size..][..self.len * self.size]
    }

    /// The sequence of `past`, then this one.
    ///
    /// # Errors
    /// When they differ in another dimension.
    pub fn after(self, past: &Heads) -> OpResult<Heads> {
        if (past.batch, past.heads, past.size) != (self.batch, self.heads, self.size) {
            return Err(OpError::invalid("past and present states differ in batch, heads or head size"));
        }
        let mut data = Vec::with_capacity(past.data.len() + self.data.len());
        for b in 0..self.batch {
            for h in 0..self.heads {
                data.extend_from_slice(past.head(b, h));
                data.extend_from_slice(self.head(b, h));
            }
        }
        Ok(Heads { data, len: past.len + self.len, ..self })
    }

    /// A tensor of 4 dimensions, or of 3 with the heads packed.
    ///
    /// # Errors
    /// Never for a type that holds reals.
    pub fn tensor(&self, dtype: DType, packed: bool) -> OpResult<Tensor> {
        Ok(match packed {
            false => Tensor::from_f64s(dtype, &[self.batch, self.heads, self.len, self.size], &self.data)?,
            true => {
                let data = self.swapped().data;
                Tensor::from_f64s(dtype, &[self.batch, self.len, self.heads * self.size], &data)?
            }
        })
    }
}

/// A count of heads.
///
/// # Errors
/// When it is below 1.
pub fn head_count(attrs: &AttrView, name: &str) -> OpResult<Option<usize>> {
    match attrs.opt_int(name)? {
        None => Ok(None),
        Some(n) => match usize::try_from(n) {
            Ok(n) if n > 0 => Ok(Some(n)),
            _ => Err(OpError::invalid(format!("{name} is {n}, at least 1 is wanted"))),
        },
    }
}
