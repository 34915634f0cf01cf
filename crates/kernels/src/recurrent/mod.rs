//! Recurrent layers. GRU stands in its own module.
//!
//! LSTM, one direction. Inputs: the input part of the gates `[seq, batch, 4 * hidden]` with both biases added, the
//! recurrent weights as the packed matrix of `[hidden, 4 * hidden]` (gates i, o, f, c), the first hidden state
//! `[batch, hidden]`, the first cell state `[batch, hidden]`. Outputs: all hidden states (`y_step_stride` between steps), the
//! last hidden state, the last cell state. No buffer may share memory with another.

mod fused;
mod gru;

pub use gru::GRU;

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_workspace};
use crate::gemm::drive::{MatrixRows, Product, table_bytes, whole};
use crate::gemm::epilogue::{Ready, load};
use crate::gemm::{Tiles, Tiles4x16};
#[cfg(target_arch = "x86_64")]
use crate::gemm::{Tiles6x16, Tiles6x64};
use crate::mem::{self, Scratch};
use crate::pack::{PANEL, PackFormat};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd};
use crate::span::{product, span};
use crate::{Dst, Src};
use modelsmith_kop::{Epilogue, EpilogueStep, LstmProblem};
use modelsmith_pool::Pool;

/// Kernels for LSTM, best first.
pub static KERNELS: &[KernelDef<LstmProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    fused::<Avx512>("f32_lstm_fused16__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx512, Tiles6x64>("f32_lstm_6x64__avx512"),
    #[cfg(target_arch = "x86_64")]
    fused::<Avx2>("f32_lstm_fused16__avx2"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2, Tiles6x16>("f32_lstm_6x16__avx2"),
    fused::<Portable>("f32_lstm_fused16__portable"),
    def::<Portable, Tiles4x16>("f32_lstm_4x16__portable"),
];

const fn def<S: Simd, T: Tiles>(name: &'static str) -> KernelDef<LstmProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts,
        cost,
        pack_format: |_| Some(PackFormat::F32Panel16),
        workspace,
        run: run::<S, T>,
    }
}

const fn fused<S: Simd>(name: &'static str) -> KernelDef<LstmProblem> {
    KernelDef {
        name,
        isa: S::ISA,
        accepts: fused::accepts,
        cost: |p, facts| 0.8 * cost(p, facts),
        pack_format: |_| Some(PackFormat::F32Panel16),
        workspace: no_workspace,
        run: fused::run::<S>,
    }
}

struct Sizes {
    gates: usize,
    state: usize,
    y: usize,
    weights: usize,
}

fn sizes(p: &LstmProblem) -> Option<Sizes> {
    let wide = p.hidden.checked_mul(4)?;
    Some(Sizes {
        gates: product(&[p.seq, p.batch, wide])?,
        state: product(&[p.batch, p.hidden])?,
        y: span(&[(p.seq, p.y_step_stride), (p.batch * p.hidden, 1)])?,
        weights: product(&[p.hidden.max(1), wide.next_multiple_of(PANEL)])?,
    })
}

fn accepts(p: &LstmProblem) -> Result<(), Reject> {
    if sizes(p).is_none() {
        return Reject::because("sizes overflow");
    }
    if p.seq > 1 && p.y_step_stride < p.batch * p.hidden {
        return Reject::because("time steps of the output overlap");
    }
    Ok(())
}

fn cost(p: &LstmProblem, facts: &Facts) -> f64 {
    let state = (p.batch * p.hidden) as f64;
    let flops = p.seq as f64 * (8.0 * state * p.hidden as f64 + 150.0 * state);
    crate::def::roofline(16.0 * (p.hidden * p.hidden) as f64, flops, 0.25, facts) + 1000.0 * p.seq as f64
}

fn head(p: &LstmProblem) -> usize {
    16 * p.batch * p.hidden
}

fn workspace(p: &LstmProblem, threads: usize) -> usize {
    Scratch::bytes(head(p), table_bytes(1), threads)
}

/// The four inputs, each apart from every output, and the outputs from each other.
fn inputs(given: &[Src<'_>], s: &Sizes, outs: [(*mut f32, usize); 3]) -> Result<[*const f32; 4], KernelError> {
    let names = ["gates", "recurrent weights", "first hidden state", "first cell state"];
    let lens = [s.gates, s.weights, s.state, s.state];
    let mut inputs = [std::ptr::null::<f32>(); 4];
    for i in 0..4 {
        inputs[i] = mem::input(given, i, names[i])?.elements::<f32>(lens[i], names[i])?;
        for out in outs {
            mem::apart((inputs[i], lens[i]), out, names[i])?;
        }
    }
    for (i, a) in outs.iter().enumerate() {
        for b in &outs[i + 1..] {
            mem::apart((a.0.cast_const(), a.1), *b, "output")?;
        }
    }
    Ok(inputs)
}

/// The buffers of a call, checked and apart from each other.
struct Bound {
    gates: *const f32,
    weights: *const f32,
    first_h: *const f32,
    first_c: *const f32,
    y: *mut f32,
    last_h: *mut f32,
    last_c: *mut f32,
    /// Values of a state.
    state: usize,
}

/// `None` where there is nothing to compute.
fn bind(p: &LstmProblem, given: &[Src<'_>], outputs: &[Dst<'_>]) -> Result<Option<Bound>, KernelError> {
    let Some(s) = sizes(p) else { return Ok(None) };
    let [y_out, h_out, c_out] = outputs else {
        return Err(KernelError::Buffer { what: "output", problem: "three are needed".into() });
    };
    let y = y_out.elements::<f32>(s.y, "y")?;
    let last_h = h_out.elements::<f32>(s.state, "last hidden state")?;
    let last_c = c_out.elements::<f32>(s.state, "last cell state")?;
    let outs = [(y, s.y), (last_h, s.state), (last_c, s.state)];
    let [gates, weights, first_h, first_c] = inputs(given, &s, outs)?;
    let bound = Bound { gates, weights, first_h, first_c, y, last_h, last_c, state: s.state };
    Ok((s.state > 0).then_some(bound))
}

fn run<S: Simd, T: Tiles>(p: &LstmProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let Some(bound) = bind(p, args.inputs, args.outputs)? else { return Ok(()) };
    let Bound { gates, weights, first_h, first_c, y, last_h, last_c, state } = bound;
    let scratch = Scratch::new(args.workspace, head(p), table_bytes(1), pool.threads())?;
    let sums = scratch.head::<f32>();
    let wide = 4 * p.hidden;
    let step_len = p.batch * wide;
    // SAFETY: all buffers were checked and are apart from each other; the workspace was sized for `sums`.
    unsafe {
        std::ptr::copy_nonoverlapping(first_c, last_c, state);
        let mut h = first_h;
        for i in 0..p.seq {
            let t = if p.reverse { p.seq - 1 - i } else { i };
            let add = Src::from_raw(gates.add(t * step_len).cast(), step_len * 4);
            let epilogue = Epilogue { bias: false, steps: vec![EpilogueStep::Add { operand: 0, row_stride: wide }] };
            let ready = Ready::new(&epilogue, &[add], p.batch, wide, (sums, step_len))?;
            let rows = MatrixRows { a: h, stride: p.hidden, k: p.hidden };
            let product = Product {
                rows: &rows,
                m: p.batch,
                n: wide,
                b: weights,
                c: sums,
                c_stride: wide,
                first_row: 0,
                first_col: 0,
                ready: &ready,
                tiles: T::SET,
            };
            whole::<S, _>(&product, &scratch, pool);
            let to = y.add(t * p.y_step_stride);
            for b in 0..p.batch {
                let at = b * p.hidden;
                S::enter(Cell { gates: sums.add(b * wide), c: last_c.add(at), h: to.add(at), hidden: p.hidden });
            }
            h = to;
        }
        std::ptr::copy_nonoverlapping(h, last_h, state);
    }
    Ok(())
}

/// The cell of one sequence at one time step.
struct Cell {
    gates: *const f32,
    c: *mut f32,
    h: *mut f32,
    hidden: usize,
}

impl Body for Cell {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut j = 0;
        while j < self.hidden {
            let n = (self.hidden - j).min(S::LANES);
            // SAFETY: units `j..j + n` of each gate and state exist.
            unsafe {
                let gate = |g: usize| load::<S>(self.gates.add(g * self.hidden + j), n);
                fused::cell::<S>([gate(0), gate(1), gate(2), gate(3)], self.c.add(j), self.h.add(j), n);
            }
            j += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dst;
    use crate::gemm::tests::noise;
    use crate::pack::WeightShape;

    #[test]
    fn agrees_with_the_definition() {
        for (seq, batch, hidden, reverse) in
            [(1, 1, 3, false), (5, 2, 20, false), (4, 3, 33, true), (3, 7, 48, true), (4, 1, 80, false)]
        {
            let p = LstmProblem { seq, batch, hidden, reverse, y_step_stride: batch * hidden + 2 };
            let (gates, r) = (noise(seq * batch * 4 * hidden, 1), noise(4 * hidden * hidden, 2));
            let (h0, c0) = (noise(batch * hidden, 3), noise(batch * hidden, 4));
            let shape = WeightShape::Matrix { k: hidden, n: 4 * hidden, transposed: true };
            let mut packed = vec![0.0; PackFormat::F32Panel16.packed_len(&shape).unwrap()];
            PackFormat::F32Panel16.pack(&shape, &r, &mut packed).unwrap();
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let (mut h, mut c): (Vec<f64>, Vec<f64>) =
                (h0.iter().map(|v| f64::from(*v)).collect(), c0.iter().map(|v| f64::from(*v)).collect());
            let mut want = vec![0.0; seq * p.y_step_stride];
            for i in 0..seq {
                let t = if reverse { seq - 1 - i } else { i };
                let before = h.clone();
                for b in 0..batch {
                    for u in 0..hidden {
                        let gate = |g: usize| {
                            let row = g * hidden + u;
                            let x = f64::from(gates[(t * batch + b) * 4 * hidden + row]);
                            x + (0..hidden)
                                .map(|k| f64::from(r[row * hidden + k]) * before[b * hidden + k])
                                .sum::<f64>()
                        };
                        let at = b * hidden + u;
                        c[at] = sigmoid(gate(2)) * c[at] + sigmoid(gate(0)) * gate(3).tanh();
                        h[at] = sigmoid(gate(1)) * c[at].tanh();
                        want[t * p.y_step_stride + at] = h[at];
                    }
                }
            }
            for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa) && k.accepts(&p).is_ok()) {
                let mut y = vec![0f32; sizes(&p).unwrap().y];
                let (mut hn, mut cn) = (vec![0f32; batch * hidden], vec![0f32; batch * hidden]);
                let mut ws = vec![0u8; kernel.workspace(&p, 2)];
                let inputs = [Src::new(&gates), Src::new(&packed), Src::new(&h0), Src::new(&c0)];
                let outputs = &mut [Dst::new(&mut y), Dst::new(&mut hn), Dst::new(&mut cn)];
                kernel.run(&p, Args { inputs: &inputs, outputs, workspace: &mut ws }, &Pool::new(2)).unwrap();
                let near = |g: f32, w: f64| assert!((f64::from(g) - w).abs() < 5e-6, "{} {p:?}", kernel.name);
                y.iter().zip(&want).for_each(|(g, w)| near(*g, *w));
                hn.iter().zip(&h).for_each(|(g, w)| near(*g, *w));
                cn.iter().zip(&c).for_each(|(g, w)| near(*g, *w));
            }
        }
    }
}
