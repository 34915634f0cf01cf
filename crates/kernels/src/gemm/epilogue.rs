//! How an epilogue is carried out: what fits into the micro-kernel's registers goes there (bias, a residual added
//! first, a clamp), the remaining steps run over the tile while it is in the first-level cache.

use crate::def::KernelError;
use crate::mem::{self, Src};
use crate::simd::{Body, Simd, math};
use crate::span::span;
use modelsmith_kop::{Activation, Epilogue, EpilogueStep};

/// An operand: base pointer and row stride.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    ptr: *const f32,
    stride: usize,
}

/// A remaining step, with its operand resolved.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Act(Activation),
    AddScalar(f32),
    MulScalar(f32),
    Add(Rows),
    Mul(Rows),
}

/// An epilogue with its buffers, ready to run.
pub(crate) struct Ready {
    bias: *const f32,
    residual: Option<Rows>,
    pub low: f32,
    pub high: f32,
    steps: Vec<Step>,
}

// SAFETY: the pointers are read only, under the views' contract.
unsafe impl Sync for Ready {}

impl Ready {
    /// Nothing after the sum.
    pub fn none() -> Ready {
        let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
        Ready { bias: std::ptr::null(), residual: None, low, high, steps: Vec::new() }
    }

    /// Resolves an epilogue of a result of `rows` × `cols`. `inputs` are the bias, where there is one, and then the
    /// operands; `dst` is the output's extent, which no operand may meet.
    pub fn new(
        epilogue: &Epilogue,
        inputs: &[Src<'_>],
        rows: usize,
        cols: usize,
        dst: (*mut f32, usize),
    ) -> Result<Ready, KernelError> {
        let mut ready = Ready::none();
        let mut operands = inputs;
        if epilogue.bias {
            ready.bias = mem::input(inputs, 0, "bias")?.elements(cols, "bias")?;
            mem::apart((ready.bias, cols), dst, "bias")?;
            operands = &inputs[1..];
        }
        let resolve = |index: u32, stride: usize| -> Result<Rows, KernelError> {
            let what = "epilogue operand";
            let count = span(&[(rows, stride), (cols, 1)])
                .ok_or_else(|| KernelError::Buffer { what, problem: "size overflows".into() })?;
            let ptr = mem::input(operands, index as usize, what)?.elements(count, what)?;
            mem::apart((ptr, count), dst, what)?;
            Ok(Rows { ptr, stride })
        };
        for step in &epilogue.steps {
            ready.steps.push(match *step {
                EpilogueStep::Act(a) => Step::Act(a),
                EpilogueStep::AddScalar(x) => Step::AddScalar(x),
                EpilogueStep::MulScalar(x) => Step::MulScalar(x),
                EpilogueStep::Add { operand, row_stride } => Step::Add(resolve(operand, row_stride)?),
                EpilogueStep::Mul { operand, row_stride } => Step::Mul(resolve(operand, row_stride)?),
            });
        }
        ready.absorb();
        Ok(ready)
    }

    /// Moves the leading steps that the micro-kernel can do out of the list.
    fn absorb(&mut self) {
        let mut taken = 0;
        if let Some(Step::Add(rows)) = self.steps.first() {
            self.residual = Some(*rows);
            taken = 1;
        }
        let clamp = match self.steps.get(taken) {
            Some(Step::Act(Activation::Relu)) => Some((0.0, f32::INFINITY)),
            Some(Step::Act(Activation::Clip { min, max })) if min <= max => Some((*min, *max)),
            _ => None,
        };
        if let Some((low, high)) = clamp {
            (self.low, self.high) = (low, high);
            taken += 1;
        }
        self.steps.drain(..taken);
    }

    /// Bias from column `col`, or null.
    pub fn bias_at(&self, col: usize) -> *const f32 {
        if self.bias.is_null() { self.bias } else { self.bias.wrapping_add(col) }
    }

    /// Residual from (row, col) with its row stride, or null.
    pub fn residual_at(&self, row: usize, col: usize) -> (*const f32, usize) {
        match self.residual {
            Some(r) => (r.ptr.wrapping_add(row * r.stride + col), r.stride),
            None => (std::ptr::null(), 0),
        }
    }

    /// True where steps remain for [`Ready::finish`].
    pub fn remains(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Runs the remaining steps over a block of the result.
    ///
    /// # Safety
    /// `c` is good for `rows` × `cols` with `c_stride`, nobody else uses that block, (row, col) is its place in the
    /// result, and the machine has `S`.
    pub unsafe fn finish<S: Simd>(
        &self,
        c: *mut f32,
        c_stride: usize,
        row: usize,
        col: usize,
        rows: usize,
        cols: usize,
    ) {
        // SAFETY: passed on.
        unsafe { S::enter(Finish { ready: self, c, c_stride, row, col, rows, cols }) }
    }
}

struct Finish<'a> {
    ready: &'a Ready,
    c: *mut f32,
    c_stride: usize,
    row: usize,
    col: usize,
    rows: usize,
    cols: usize,
}

impl Finish<'_> {
    /// An activation and nothing else. Called with an activation that the compiler knows, it chooses nothing inside.
    #[inline(always)]
    unsafe fn activate<S: Simd>(self, act: Activation) {
        for i in 0..self.rows {
            let c = self.c.wrapping_add(i * self.c_stride);
            for j in (0..self.cols).step_by(S::LANES) {
                let n = (self.cols - j).min(S::LANES);
                // SAFETY: `j + n <= cols`, so C holds these values.
                unsafe { store::<S>(c.add(j), n, math::activation::<S>(act, load::<S>(c.add(j), n))) };
            }
        }
    }

    #[inline(always)]
    unsafe fn all_steps<S: Simd>(self) {
        for i in 0..self.rows {
            let c = self.c.wrapping_add(i * self.c_stride);
            let mut j = 0;
            while j < self.cols {
                let n = (self.cols - j).min(S::LANES);
                // SAFETY: `j + n <= cols`, so C and every operand hold these values.
                unsafe {
                    let mut v = load::<S>(c.add(j), n);
                    for step in &self.ready.steps {
                        let at = |r: &Rows| r.ptr.add((self.row + i) * r.stride + self.col + j);
                        v = match step {
                            Step::Act(a) => math::activation::<S>(*a, v),
                            Step::AddScalar(x) => S::add(v, S::splat(*x)),
                            Step::MulScalar(x) => S::mul(v, S::splat(*x)),
                            Step::Add(r) => S::add(v, load::<S>(at(r), n)),
                            Step::Mul(r) => S::mul(v, load::<S>(at(r), n)),
                        };
                    }
                    store::<S>(c.add(j), n, v);
                }
                j += n;
            }
        }
    }
}

impl Body for Finish<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: passed on.
        unsafe {
            match self.ready.steps[..] {
                [Step::Act(Activation::HardSwish)] => self.activate::<S>(Activation::HardSwish),
                [Step::Act(Activation::Silu)] => self.activate::<S>(Activation::Silu),
                [Step::Act(Activation::Gelu)] => self.activate::<S>(Activation::Gelu),
                [Step::Act(act)] => self.activate::<S>(act),
                _ => self.all_steps::<S>(),
            }
        }
    }
}

/// Loads `n <= LANES` values.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(p: *const f32, n: usize) -> S::F {
    // SAFETY: the caller vouches for `n` values at `p` and for the machine.
    unsafe { if n == S::LANES { S::load(p) } else { S::load_n(p, n) } }
}

/// Stores `n <= LANES` values.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(p: *mut f32, n: usize, v: S::F) {
    // SAFETY: the caller vouches for `n` values at `p` and for the machine.
    unsafe { if n == S::LANES { S::store(p, v) } else { S::store_n(p, n, v) } }
}
