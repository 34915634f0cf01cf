//! The iteration space with its dims merged, and how an operand's elements are met along it.

use modelsmith_kop::EltwiseProblem;

/// The merged iteration space. Operands are numbered inputs first.
pub(super) struct Walk {
    pub len: usize,
    dims: Vec<usize>,
    strides: Vec<Vec<usize>>,
}

impl Walk {
    pub fn new(p: &EltwiseProblem) -> Walk {
        let operands = || p.inputs.iter().chain(&p.outputs);
        let mut dims: Vec<usize> = Vec::with_capacity(p.dims.len());
        let mut strides: Vec<Vec<usize>> = operands().map(|_| Vec::with_capacity(p.dims.len())).collect();
        for (axis, &len) in p.dims.iter().enumerate() {
            if len == 1 {
                continue;
            }
            let joins = !dims.is_empty()
                && operands().zip(&strides).all(|(o, s)| s[dims.len() - 1] == o.strides[axis].wrapping_mul(len));
            if joins {
                let last = dims.len() - 1;
                dims[last] *= len;
                for (o, s) in operands().zip(&mut strides) {
                    s[last] = o.strides[axis];
                }
            } else {
                dims.push(len);
                for (o, s) in operands().zip(&mut strides) {
                    s.push(o.strides[axis]);
                }
            }
        }
        Walk { len: p.len(), dims, strides }
    }

    /// True where the operand's elements lie in iteration order without gaps.
    pub fn is_flat(&self, operand: usize) -> bool {
        let mut step = 1usize;
        self.dims.iter().zip(&self.strides[operand]).rev().all(|(&len, &stride)| {
            let fits = stride == step;
            step = step.wrapping_mul(len);
            fits
        })
    }

    /// True where the operand is one value.
    pub fn is_uniform(&self, operand: usize) -> bool {
        self.strides[operand].iter().all(|&s| s == 0)
    }

    /// Calls `visit(done, offset, count, stride)` for each run of elements of `operand` in `start..start + n`: `count`
    /// elements from `offset` on, `stride` apart, after `done` others.
    #[inline(always)]
    pub fn runs(&self, operand: usize, start: usize, n: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let strides = &self.strides[operand];
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
