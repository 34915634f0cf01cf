//! A time step of an LSTM in one pass over the recurrent weights: the sums of all four gates of sixteen units stay in
//! registers, and the cell follows at once. For hidden sizes of whole panels, so that no panel holds two gates.
//!
//! With few sequences the weights are all that counts. They are read once for up to [`ROWS`] sequences, and each worker
//! keeps to the same units in all steps, so that its share of the weights stays in its second-level cache.

use super::{Bound, bind};
use crate::def::{Args, KernelError, Reject};
use crate::gemm::epilogue::{load, store};
use crate::mem::Shared;
use crate::pack::PANEL;
use crate::simd::{Body, Simd, math};
use modelsmith_kop::LstmProblem;
use modelsmith_pool::{Pool, cut};

/// Most sequences that share one pass over the weights: their sums take half of the registers of AVX-512.
const ROWS: usize = 4;
/// Vectors of a panel on the narrowest instruction set.
const MOST_VECTORS: usize = 2;
/// Multiplications of a step that are worth a task for another thread.
const TASK: usize = 32 * 1024;

pub(super) fn accepts(p: &LstmProblem) -> Result<(), Reject> {
    super::accepts(p)?;
    if !p.hidden.is_multiple_of(PANEL) {
        return Reject::because(format!("{} hidden units are not a multiple of {PANEL}", p.hidden));
    }
    Ok(())
}

pub(super) fn run<S: Simd>(p: &LstmProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let Some(bound) = bind(p, args.inputs, args.outputs)? else { return Ok(()) };
    let Bound { gates, weights, first_h, first_c, y, last_h, last_c, state } = bound;
    let panels = p.hidden / PANEL;
    let work = (4 * p.batch * p.hidden).saturating_mul(p.hidden);
    let tasks = pool.threads().min(work.div_ceil(TASK)).min(panels).max(1);
    // SAFETY: `bind` checked all buffers and that they are apart.
    unsafe { std::ptr::copy_nonoverlapping(first_c, last_c, state) };
    let mut h = first_h;
    for i in 0..p.seq {
        let t = if p.reverse { p.seq - 1 - i } else { i };
        let to = y.wrapping_add(t * p.y_step_stride);
        let step = Step {
            gates: gates.wrapping_add(t * p.batch * 4 * p.hidden),
            weights,
            before: h,
            c: Shared(last_c),
            h: Shared(to),
            hidden: p.hidden,
            batch: p.batch,
        };
        pool.run(tasks, |task, _| {
            // SAFETY: as above; tasks write states of different units, and `before` is no part of what they write.
            unsafe { S::enter(Units { step: &step, panels: cut(panels, tasks, task) }) }
        });
        h = to.cast_const();
    }
    // SAFETY: as above.
    unsafe { std::ptr::copy_nonoverlapping(h, last_h, state) };
    Ok(())
}

/// One time step of all sequences.
struct Step {
    gates: *const f32,
    weights: *const f32,
    before: *const f32,
    c: Shared<f32>,
    h: Shared<f32>,
    hidden: usize,
    batch: usize,
}

// SAFETY: pointers to inputs are read only; those to results are written at different units by each task.
unsafe impl Sync for Step {}

/// Some panels of units in one step.
struct Units<'a> {
    step: &'a Step,
    panels: std::ops::Range<usize>,
}

impl Body for Units<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for panel in self.panels {
            let mut b = 0;
            while b < self.step.batch {
                // SAFETY: passed on; the sequences exist.
                unsafe {
                    // A vector of half a panel has sixteen registers, of which the sums of a sequence take eight.
                    let left = if S::LANES == PANEL { self.step.batch - b } else { 1 };
                    b += match left {
                        1 => self.step.rows::<S, 1>(panel, b),
                        2 | 3 => self.step.rows::<S, 2>(panel, b),
                        _ => self.step.rows::<S, ROWS>(panel, b),
                    };
                }
            }
        }
    }
}

impl Step {
    /// The units of a panel in sequences `b..b + R`; returns `R`.
    #[inline(always)]
    unsafe fn rows<S: Simd, const R: usize>(&self, panel: usize, b: usize) -> usize {
        let (h, vectors) = (self.hidden, PANEL / S::LANES);
        // SAFETY: gate `g` of the panel's units is panel `g * hidden / 16 + panel` of the weights, with `hidden` rows; the
        // states and gates of the units exist in each sequence.
        unsafe {
            let mut sums = [[[S::splat(0.0); MOST_VECTORS]; 4]; R];
            let first = self.weights.add(panel * PANEL * h);
            for k in 0..h {
                let at = first.add(k * PANEL);
                for g in 0..4 {
                    for v in 0..vectors {
                        let w = S::load(at.add(g * h * h + v * S::LANES));
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let x = S::splat(*self.before.add((b + r) * h + k));
                            sums[g][v] = S::fma(w, x, sums[g][v]);
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for v in 0..vectors {
                    let unit = panel * PANEL + v * S::LANES;
                    let gate = |g: usize| S::add(sums[g][v], S::load(self.gates.add((b + r) * 4 * h + g * h + unit)));
                    let at = (b + r) * h + unit;
                    cell::<S>(
                        [gate(0), gate(1), gate(2), gate(3)],
                        self.c.get().add(at),
                        self.h.get().add(at),
                        S::LANES,
                    );
                }
            }
        }
        R
    }
}

/// The cell of `n` units from the sums of their gates i, o, f, c: renews the state at `c` and writes the output to `h`.
///
/// # Safety
/// Both pointers are good for `n <= LANES` values, and the machine has `S`.
#[inline(always)]
pub(super) unsafe fn cell<S: Simd>(gates: [S::F; 4], c: *mut f32, h: *mut f32, n: usize) {
    // SAFETY: by the contract above.
    unsafe {
        let [i, o, f, new] = gates;
        let (i, o, f) = (math::sigmoid::<S>(i), math::sigmoid::<S>(o), math::sigmoid::<S>(f));
        let state = S::fma(f, load::<S>(c, n), S::mul(i, math::tanh::<S>(new)));
        store::<S>(c, n, state);
        store::<S>(h, n, S::mul(o, math::tanh::<S>(state)));
    }
}
