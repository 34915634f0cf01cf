//! GRU, one direction. Inputs: the input part of the gates `[seq, batch, 3 * hidden]` (z, r, h) with the biases of the input
//! added, and those of the state but for the candidate's where the reset comes after its product; the recurrent weights of
//! z, of r and of h, each as the packed matrix of `[hidden, hidden]`; the first state `[batch, hidden]`; where the reset
//! comes after the product, the candidate's recurrent bias `[hidden]`; where sequences have lengths of their own, these as
//! i32 `[batch]`. Outputs: all states (`y_step_stride` between steps), zero behind the end of a sequence, and the last
//! states. No buffer may share memory with another.
//!
//! As with the LSTM, a worker keeps to the same units in all steps, and the sums of all gates of sixteen units stay in
//! registers. Where the reset comes before the product, the candidate wants the gated state of all units, so that a step
//! takes two passes.

use crate::Src;
use crate::def::{Args, Facts, KernelDef, KernelError, Reject, roofline};
use crate::gemm::epilogue::{load, store};
use crate::mem::{self, Scratch};
use crate::pack::{PANEL, PackFormat};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd, math};
use crate::span::{product, span};
use modelsmith_kop::GruProblem;
use modelsmith_pool::{Pool, cut};

/// Kernels for GRU, best first.
pub static GRU: &[KernelDef<GruProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("f32_gru_fused16__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("f32_gru_fused16__avx2"),
    def::<Portable>("f32_gru_fused16__portable"),
];

/// Most sequences that share one pass over the weights.
const ROWS: usize = 4;
/// Vectors of a panel on the narrowest instruction set.
const MOST_VECTORS: usize = 2;
/// Multiplications of a step that are worth a task for another thread.
const TASK: usize = 32 * 1024;

const fn def<S: Simd>(name: &'static str) -> KernelDef<GruProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts,
        cost,
        pack_format: |_| Some(PackFormat::F32Panel16),
        workspace: |p, threads| Scratch::bytes(head(p), 0, threads),
        run: run::<S>,
    }
}

struct Sizes {
    gates: usize,
    state: usize,
    y: usize,
    weights: usize,
}

fn sizes(p: &GruProblem) -> Option<Sizes> {
    let state = product(&[p.batch, p.hidden])?;
    Some(Sizes {
        gates: product(&[p.seq, p.batch, p.hidden.checked_mul(3)?])?,
        // Four states are held.
        state: state.checked_mul(16).filter(|s| *s <= isize::MAX as usize / 4).map(|s| s / 16)?,
        y: span(&[(p.seq, p.y_step_stride), (state, 1)])?,
        weights: product(&[p.hidden.max(1), p.hidden.checked_next_multiple_of(PANEL)?])?,
    })
}

fn accepts(p: &GruProblem) -> Result<(), Reject> {
    let Some(s) = sizes(p) else { return Reject::because("sizes overflow") };
    if p.seq > 1 && p.y_step_stride < s.state {
        return Reject::because("time steps of the output overlap");
    }
    Ok(())
}

fn cost(p: &GruProblem, facts: &Facts) -> f64 {
    let state = (p.batch * p.hidden) as f64;
    let flops = p.seq as f64 * (6.0 * state * p.hidden as f64 + 120.0 * state);
    roofline(12.0 * (p.hidden * p.hidden) as f64, flops, 0.3, facts) + 1000.0 * p.seq as f64
}

/// Bytes of the state before and after a step, and of the update gate and the gated state between two passes.
fn head(p: &GruProblem) -> usize {
    16 * p.batch * p.hidden
}

/// The buffers of a call, checked and apart from each other.
struct Bound {
    gates: *const f32,
    weights: [*const f32; 3],
    first: *const f32,
    bias: *const f32,
    lengths: Option<Vec<usize>>,
    y: *mut f32,
    last: *mut f32,
    state: usize,
}

/// `None` where there is nothing to compute.
fn bind(p: &GruProblem, args: &Args<'_>) -> Result<Option<Bound>, KernelError> {
    let Some(s) = sizes(p) else { return Ok(None) };
    let [y, last] = &args.outputs[..] else {
        return Err(KernelError::Buffer { what: "output", problem: "two are needed".into() });
    };
    let outs = [(y.elements::<f32>(s.y, "y")?, s.y), (last.elements::<f32>(s.state, "last state")?, s.state)];
    mem::apart((outs[0].0.cast_const(), s.y), outs[1], "y")?;
    let mut next = 0;
    let mut floats = |len: usize, what: &'static str| {
        let at = mem::input(args.inputs, next, what)?.elements::<f32>(len, what)?;
        next += 1;
        outs.iter().try_for_each(|out| mem::apart((at, len), *out, what)).map(|()| at)
    };
    let gates = floats(s.gates, "gates")?;
    let mut weights = [std::ptr::null(); 3];
    for w in &mut weights {
        *w = floats(s.weights, "recurrent weights")?;
    }
    let first = floats(s.state, "first state")?;
    let bias = if p.linear_before_reset { floats(p.hidden, "recurrent bias")? } else { std::ptr::null() };
    let lengths = if p.lengths { Some(lengths(p, mem::input(args.inputs, next, "lengths")?)?) } else { None };
    let bound = Bound { gates, weights, first, bias, lengths, y: outs[0].0, last: outs[1].0, state: s.state };
    Ok((s.state > 0).then_some(bound))
}

fn lengths(p: &GruProblem, given: Src<'_>) -> Result<Vec<usize>, KernelError> {
    let at = given.elements::<i32>(p.batch, "lengths")?;
    // SAFETY: the buffer holds one for each sequence.
    let read = |b: usize| unsafe { *at.add(b) };
    let fits = |n: i32| usize::try_from(n).ok().filter(|n| *n <= p.seq);
    (0..p.batch).map(|b| fits(read(b)).ok_or(KernelError::BadIndex { index: i64::from(read(b)), len: p.seq })).collect()
}

fn run<S: Simd>(p: &GruProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let Some(bound) = bind(p, &args)? else { return Ok(()) };
    let scratch = Scratch::new(args.workspace, head(p), 0, pool.threads())?;
    let panels = p.hidden.div_ceil(PANEL);
    let work = (3 * p.batch * p.hidden).saturating_mul(p.hidden);
    let tasks = pool.threads().min(work.div_ceil(TASK)).min(panels).max(1);
    let own = scratch.head::<f32>();
    let at = |i: usize| own.wrapping_add(i * bound.state);
    let (mut before, mut after) = (at(0), at(1));
    // SAFETY: `bind` checked all buffers and that they are apart; the scratch holds four states.
    unsafe {
        std::ptr::copy_nonoverlapping(bound.first, before, bound.state);
        for t in (0..p.seq).filter(|_| p.lengths) {
            std::ptr::write_bytes(bound.y.add(t * p.y_step_stride), 0, bound.state);
        }
    }
    let phases: &[Phase] = if p.linear_before_reset { &[Phase::Whole] } else { &[Phase::Gates, Phase::Candidate] };
    for index in 0..p.seq {
        let step = Step { p, bound: &bound, index, before, after, update: at(2), gated: at(3) };
        for &phase in phases {
            pool.run(tasks, |task, _| {
                // SAFETY: as above; tasks write different units of states that no task reads in the same pass.
                unsafe { S::enter(Units { step: &step, phase, panels: cut(panels, tasks, task) }) }
            });
        }
        std::mem::swap(&mut before, &mut after);
    }
    // SAFETY: as above.
    unsafe { std::ptr::copy_nonoverlapping(before, bound.last, bound.state) };
    Ok(())
}

/// A pass of a time step.
#[derive(Clone, Copy)]
enum Phase {
    /// All of it, where the reset comes after the product.
    Whole,
    /// The update gate and the gated state.
    Gates,
    /// The candidate and the new state.
    Candidate,
}

/// One time step of all sequences.
struct Step<'a> {
    p: &'a GruProblem,
    bound: &'a Bound,
    index: usize,
    before: *mut f32,
    after: *mut f32,
    update: *mut f32,
    gated: *mut f32,
}

// SAFETY: what a pass reads it does not write, and each task writes different units.
unsafe impl Sync for Step<'_> {}

/// Some panels of units in one pass.
struct Units<'a> {
    step: &'a Step<'a>,
    phase: Phase,
    panels: std::ops::Range<usize>,
}

impl Body for Units<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for panel in self.panels {
            let mut b = 0;
            while b < self.step.p.batch {
                // SAFETY: passed on; the sequences exist.
                unsafe {
                    // With half as many registers the sums of one sequence take what there is.
                    let left = if S::LANES == PANEL { self.step.p.batch - b } else { 1 };
                    b += match left {
                        1 => self.step.rows::<S, 1>(self.phase, panel, b),
                        2 | 3 => self.step.rows::<S, 2>(self.phase, panel, b),
                        _ => self.step.rows::<S, ROWS>(self.phase, panel, b),
                    };
                }
            }
        }
    }
}

/// Sums of `G` gates of a panel's units in `R` sequences.
type Sums<S, const R: usize, const G: usize> = [[[<S as Simd>::F; MOST_VECTORS]; G]; R];

impl Step<'_> {
    /// Where sequence `b` stands; `None` behind its end.
    #[inline(always)]
    fn time(&self, b: usize) -> Option<usize> {
        let len = self.bound.lengths.as_ref().map_or(self.p.seq, |l| l[b]);
        match self.p.reverse {
            true => len.checked_sub(self.index + 1),
            false => Some(self.index).filter(|i| *i < len),
        }
    }

    /// Sums of gates `first..first + G` over the values `x` of sequences `b..b + R`.
    ///
    /// # Safety
    /// `x` is a state, the sequences and the panel exist, and the machine has `S`.
    #[inline(always)]
    unsafe fn sums<S: Simd, const R: usize, const G: usize>(
        &self,
        x: *const f32,
        first: usize,
        (panel, b): (usize, usize),
    ) -> Sums<S, R, G> {
        let (h, vectors) = (self.p.hidden, PANEL / S::LANES);
        // SAFETY: by the contract above; a packed matrix holds `hidden` rows of each panel.
        unsafe {
            let mut sums = [[[S::splat(0.0); MOST_VECTORS]; G]; R];
            for k in 0..h {
                for g in 0..G {
                    let at = self.bound.weights[first + g].add((panel * h + k) * PANEL);
                    for v in 0..vectors {
                        let w = S::load(at.add(v * S::LANES));
                        for (r, sums) in sums.iter_mut().enumerate() {
                            sums[g][v] = S::fma(w, S::splat(*x.add((b + r) * h + k)), sums[g][v]);
                        }
                    }
                }
            }
            sums
        }
    }

    /// A pass for the units of a panel in sequences `b..b + R`; returns `R`.
    ///
    /// # Safety
    /// As for [`Step::sums`].
    #[inline(always)]
    unsafe fn rows<S: Simd, const R: usize>(&self, phase: Phase, panel: usize, b: usize) -> usize {
        let at = (panel, b);
        // Loops rather than closures: those would not be compiled for the instruction set.
        // SAFETY: passed on.
        unsafe {
            match phase {
                Phase::Whole => {
                    let sums = self.sums::<S, R, 3>(self.before, 0, at);
                    for r in 0..R {
                        for v in 0..PANEL / S::LANES {
                            let Some(place) = self.place::<S>(at, r, v) else { continue };
                            self.whole::<S>([sums[r][0][v], sums[r][1][v], sums[r][2][v]], place);
                        }
                    }
                }
                Phase::Gates => {
                    let sums = self.sums::<S, R, 2>(self.before, 0, at);
                    for r in 0..R {
                        for v in 0..PANEL / S::LANES {
                            let Some(place) = self.place::<S>(at, r, v) else { continue };
                            self.gates::<S>([sums[r][0][v], sums[r][1][v]], place);
                        }
                    }
                }
                Phase::Candidate => {
                    let sums = self.sums::<S, R, 1>(self.gated, 2, at);
                    for r in 0..R {
                        for v in 0..PANEL / S::LANES {
                            let Some(place) = self.place::<S>(at, r, v) else { continue };
                            let new = math::tanh::<S>(S::add(self.driven::<S>(2, place), sums[r][0][v]));
                            self.renew::<S>(load::<S>(self.update.add(place.at), place.n), new, place);
                        }
                    }
                }
            }
        }
        R
    }

    /// The units of vector `v` of a panel in the `r`-th sequence from `b` on; `None` where there are none.
    #[inline(always)]
    fn place<S: Simd>(&self, (panel, b): (usize, usize), r: usize, v: usize) -> Option<Place> {
        let (b, unit) = (b + r, panel * PANEL + v * S::LANES);
        let n = self.p.hidden.saturating_sub(unit).min(S::LANES);
        (n > 0).then(|| Place { b, unit, n, time: self.time(b), at: b * self.p.hidden + unit })
    }

    /// The input part of gate `g`. Behind the end of a sequence that of its first step, whose result nobody takes.
    #[inline(always)]
    unsafe fn driven<S: Simd>(&self, g: usize, p: Place) -> S::F {
        let row = p.time.unwrap_or(0) * self.p.batch + p.b;
        // SAFETY: a step is under way, so that there is a first one; the units exist.
        unsafe { load::<S>(self.bound.gates.add((row * 3 + g) * self.p.hidden + p.unit), p.n) }
    }

    /// Gate `g`, of whose sum the product with the state is `sum`.
    #[inline(always)]
    unsafe fn gate<S: Simd>(&self, g: usize, sum: S::F, p: Place) -> S::F {
        // SAFETY: as for `driven`.
        unsafe { math::sigmoid::<S>(S::add(self.driven::<S>(g, p), sum)) }
    }

    #[inline(always)]
    unsafe fn whole<S: Simd>(&self, sums: [S::F; 3], p: Place) {
        // SAFETY: as for `driven`.
        unsafe {
            let (update, reset) = (self.gate::<S>(0, sums[0], p), self.gate::<S>(1, sums[1], p));
            let candidate = S::add(sums[2], load::<S>(self.bound.bias.add(p.unit), p.n));
            let new = math::tanh::<S>(S::fma(reset, candidate, self.driven::<S>(2, p)));
            self.renew::<S>(update, new, p);
        }
    }

    #[inline(always)]
    unsafe fn gates<S: Simd>(&self, sums: [S::F; 2], p: Place) {
        // SAFETY: as for `driven`.
        unsafe {
            let (update, reset) = (self.gate::<S>(0, sums[0], p), self.gate::<S>(1, sums[1], p));
            store::<S>(self.update.add(p.at), p.n, update);
            store::<S>(self.gated.add(p.at), p.n, S::mul(reset, load::<S>(self.before.add(p.at), p.n)));
        }
    }

    /// The new state: `new` and what was before, weighted by the update gate.
    #[inline(always)]
    unsafe fn renew<S: Simd>(&self, update: S::F, new: S::F, p: Place) {
        // SAFETY: as for `driven`.
        unsafe {
            let before = load::<S>(self.before.add(p.at), p.n);
            let Some(time) = p.time else { return store::<S>(self.after.add(p.at), p.n, before) };
            let state = S::fma(update, S::sub(before, new), new);
            store::<S>(self.after.add(p.at), p.n, state);
            store::<S>(self.bound.y.add(time * self.p.y_step_stride + p.at), p.n, state);
        }
    }
}

/// `n` units of a sequence from `unit` on.
#[derive(Clone, Copy)]
struct Place {
    b: usize,
    unit: usize,
    n: usize,
    time: Option<usize>,
    /// Where they lie in a state.
    at: usize,
}

#[cfg(test)]
mod tests;
