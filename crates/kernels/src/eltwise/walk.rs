//! The iteration space with its dims merged, and how an operand's elements are met along it.

use super::LONGEST;
use modelsmith_kop::EltwiseProblem;

/// Most lanes of a vector. Instructions run over whole vectors.
pub(super) const LANES: usize = 16;
/// Innermost dims of fewer elements are not worth a chunk of their own.
const ROW: usize = 48;

/// The merged iteration space. Operands are numbered inputs first.
pub(super) struct Walk {
    pub len: usize,
    dims: Vec<usize>,
    /// Strides of one operand after the other, each of as many as there were dims before merging.
    strides: Vec<usize>,
    rank: usize,
    /// Most elements of a chunk.
    pub longest: usize,
    /// Elements of a chunk, where chunks are pieces of the innermost dim.
    piece: Option<usize>,
}

impl Walk {
    pub fn new(p: &EltwiseProblem) -> Walk {
        let operands = || p.inputs.iter().chain(&p.outputs);
        let (rank, count) = (p.dims.len(), p.inputs.len() + p.outputs.len());
        let mut dims: Vec<usize> = Vec::with_capacity(rank);
        let mut strides = vec![0; rank * count];
        for (axis, &len) in p.dims.iter().enumerate() {
            if len == 1 {
                continue;
            }
            let joins = dims.len().checked_sub(1).filter(|&last| {
                operands().enumerate().all(|(i, o)| strides[i * rank + last] == o.strides[axis].wrapping_mul(len))
            });
            let at = joins.unwrap_or(dims.len());
            match joins {
                Some(last) => dims[last] *= len,
                None => dims.push(len),
            }
            for (i, o) in operands().enumerate() {
                strides[i * rank + at] = o.strides[axis];
            }
        }
        Walk { len: p.len(), dims, strides, rank, longest: LONGEST, piece: None }
    }

    /// Cuts the space into chunks of at most `longest` elements, for `operands` operands.
    pub fn cut(&mut self, longest: usize, operands: usize) {
        self.longest = longest;
        // Pieces of rows have operands in place that are gapped or broadcast from row to row.
        let inner = self.inner();
        let in_order = (0..operands).all(|o| self.is_flat(o) || self.is_uniform(o));
        if !in_order && inner >= ROW && inner.is_multiple_of(LANES) {
            self.piece = Some(inner.div_ceil(inner.div_ceil(longest)).next_multiple_of(LANES));
        }
    }

    /// Strides of an operand along the merged dims.
    #[inline(always)]
    fn strides(&self, operand: usize) -> &[usize] {
        &self.strides[operand * self.rank..][..self.dims.len()]
    }

    /// Elements of the innermost dim.
    fn inner(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }

    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        match self.piece {
            Some(piece) => self.len / self.inner() * self.inner().div_ceil(piece),
            None => self.len.div_ceil(self.longest),
        }
    }

    /// First element and number of elements of a chunk.
    pub fn chunk(&self, chunk: usize) -> (usize, usize) {
        match self.piece {
            Some(piece) => {
                let (inner, pieces) = (self.inner(), self.inner().div_ceil(piece));
                let col = chunk % pieces * piece;
                (chunk / pieces * inner + col, piece.min(inner - col))
            }
            None => (chunk * self.longest, self.longest.min(self.len - chunk * self.longest)),
        }
    }

    /// True where the operand's elements of any chunk follow each other in memory.
    pub fn in_place(&self, operand: usize) -> bool {
        match self.piece {
            Some(_) => self.strides(operand).last() == Some(&1),
            None => self.is_flat(operand),
        }
    }

    /// Where in the operand the chunk of `n` elements from `start` on begins, where they follow each other and are whole
    /// vectors.
    #[inline(always)]
    pub fn place(&self, operand: usize, start: usize, n: usize) -> Option<usize> {
        if !n.is_multiple_of(LANES) || !self.in_place(operand) {
            return None;
        }
        if self.piece.is_none() {
            return Some(start);
        }
        let (strides, inner) = (self.strides(operand), self.inner());
        let (mut rest, mut at) = (start / inner, start % inner);
        for axis in (0..self.dims.len() - 1).rev() {
            at += rest % self.dims[axis] * strides[axis];
            rest /= self.dims[axis];
        }
        Some(at)
    }

    /// True where the operand's elements lie in iteration order without gaps.
    pub fn is_flat(&self, operand: usize) -> bool {
        let mut step = 1usize;
        self.dims.iter().zip(self.strides(operand)).rev().all(|(&len, &stride)| {
            let fits = stride == step;
            step = step.wrapping_mul(len);
            fits
        })
    }

    /// True where the operand is one value.
    pub fn is_uniform(&self, operand: usize) -> bool {
        self.strides(operand).iter().all(|&s| s == 0)
    }

    /// Calls `visit(done, offset, count, stride)` for each run of elements of `operand` in `start..start + n`: `count`
    /// elements from `offset` on, `stride` apart, after `done` others.
    #[inline(always)]
    pub fn runs(&self, operand: usize, start: usize, n: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let strides = self.strides(operand);
        let Some((&inner, outer)) = self.dims.split_last() else {
            visit(0, 0, n, 0);
            return;
        };
        let step = strides[outer.len()];
        // Only the indices of the outer dims are kept; beyond eight dims they are found anew each time.
        let mut index = [0usize; 8];
        let small = outer.len() <= index.len();
        let (mut row, mut col) = (start / inner, start % inner);
        let mut base = 0;
        let mut rest = row;
        for axis in (0..outer.len()).rev() {
            let i = rest % outer[axis];
            rest /= outer[axis];
            base += i * strides[axis];
            if small {
                index[axis] = i;
            }
        }
        let mut done = 0;
        loop {
            let count = (inner - col).min(n - done);
            visit(done, base + col * step, count, step);
            done += count;
            if done == n {
                return;
            }
            (row, col) = (row + 1, 0);
            if small {
                for axis in (0..outer.len()).rev() {
                    index[axis] += 1;
                    base += strides[axis];
                    if index[axis] < outer[axis] {
                        break;
                    }
                    base -= outer[axis] * strides[axis];
                    index[axis] = 0;
                }
            } else {
                (base, rest) = (0, row);
                for axis in (0..outer.len()).rev() {
                    base += rest % outer[axis] * strides[axis];
                    rest /= outer[axis];
                }
            }
        }
    }
}
