//! Measuring kernels on a problem: real kernels, real threads, weights in the form that each takes.

use crate::call::{KernelCall, prepare};
use modelsmith_kernels::{Dst, PackFormat, Src, WeightShape};
use modelsmith_kop::{BatchDim, ConvProblem, Epilogue, EpilogueStep, GemmB, GemmProblem, Isa, KOp, Layout};
use modelsmith_pool::Pool;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most bytes of buffers of one problem.
const MOST: usize = 1 << 30;
/// Bytes read by each thread between runs, so that weights come from where they come from in a whole model: not from the
/// second-level cache.
const EVICT: usize = 4 << 20;
/// A run shorter than this is timed together with others.
const SHORT: Duration = Duration::from_micros(20);

/// What was measured of one kernel, in nanoseconds of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The shortest.
    pub min: u64,
    /// The median over the rounds.
    pub median: u64,
}

/// True for problems of families whose kernels differ in more than the width of their vectors.
pub fn tunable(op: &KOp) -> bool {
    matches!(op, KOp::Gemm(_) | KOp::Conv(_))
}

/// A problem with its buffers.
struct Bed {
    /// Inputs; the weight's place is empty.
    inputs: Vec<Vec<f32>>,
    /// The logical weight, where it is constant, and its shape.
    weight: Option<(WeightShape, Vec<f32>)>,
    output: usize,
}

/// Measures `kernels` on `op` in turns, `rounds` times or until `until`, and returns the figures of those that ran at least
/// `least` rounds. Kernels that refuse the problem are left out.
pub fn measure(
    op: &KOp,
    kernels: &[&str],
    isa: Isa,
    pool: &Pool,
    rounds: std::ops::RangeInclusive<usize>,
    until: Instant,
) -> BTreeMap<String, Timing> {
    let Some(bed) = bed(op) else { return BTreeMap::new() };
    let mut lanes = kernels.iter().filter_map(|k| Lane::new(op, k, isa, &bed, pool)).collect::<Vec<_>>();
    let mut evict = vec![1u64; EVICT / 8 * pool.threads()];
    for round in 0..*rounds.end() {
        // The order turns, so that none always runs after the same other.
        for i in 0..lanes.len() {
            let at = (i + round) % lanes.len().max(1);
            if Instant::now() >= until {
                return figures(lanes, *rounds.start());
            }
            let per = evict.len() / pool.threads().max(1);
            let (sums, words) = (std::sync::atomic::AtomicU64::new(0), &evict);
            pool.run(pool.threads(), |chunk, _| {
                let sum = words[chunk * per..(chunk + 1) * per].iter().step_by(8).fold(0u64, |a, b| a.wrapping_add(*b));
                sums.fetch_add(sum, std::sync::atomic::Ordering::Relaxed);
            });
            evict[0] = sums.into_inner() | 1;
            if !lanes[at].run(&bed, pool) {
                lanes.remove(at);
                break;
            }
        }
    }
    figures(lanes, *rounds.start())
}

fn figures(lanes: Vec<Lane>, least: usize) -> BTreeMap<String, Timing> {
    let enough = lanes.into_iter().filter(|l| l.times.len() >= least.max(1));
    let of = |mut l: Lane| {
        l.times.sort_unstable();
        (l.call.kernel().to_owned(), Timing { min: l.times[0], median: l.times[l.times.len() / 2] })
    };
    enough.map(of).collect()
}

/// One kernel on its way through the rounds.
struct Lane {
    call: KernelCall,
    weight: Vec<f32>,
    output: Vec<f32>,
    workspace: Vec<u8>,
    times: Vec<u64>,
    /// Runs that are timed together.
    repeat: u32,
}

impl Lane {
    fn new(op: &KOp, kernel: &str, isa: Isa, bed: &Bed, pool: &Pool) -> Option<Lane> {
        let format = crate::offer::pack_format_of(op, kernel);
        let call =
            prepare(op.clone(), kernel, isa, format.map(PackFormat::name)).ok().filter(|c| c.kernel() == kernel)?;
        let mut weight = Vec::new();
        if let (Some((shape, logical)), Some(format)) = (&bed.weight, format) {
            weight = vec![0.0; format.packed_len(shape)?];
            format.pack(shape, logical, &mut weight).ok()?;
        }
        let workspace = vec![0u8; call.workspace(pool.threads())];
        let mut lane = Lane { call, weight, output: vec![0.0; bed.output], workspace, times: vec![], repeat: 1 };
        // The first run brings pages in; the second says how long one takes.
        if !lane.run(bed, pool) || !lane.run(bed, pool) {
            return None;
        }
        let one = Duration::from_nanos(*lane.times.last()?);
        lane.repeat = (SHORT.as_nanos() / one.as_nanos().max(100)).clamp(1, 100) as u32;
        lane.times.clear();
        Some(lane)
    }

    fn run(&mut self, bed: &Bed, pool: &Pool) -> bool {
        let begun = Instant::now();
        for _ in 0..self.repeat {
            let mut inputs = bed.inputs.iter().map(|v| Src::new(v.as_slice())).collect::<Vec<_>>();
            if let (Some(_), Some(slot)) = (&bed.weight, inputs.get_mut(1)) {
                *slot = Src::new(self.weight.as_slice());
            }
            let mut outputs = [Dst::new(self.output.as_mut_slice())];
            if self.call.run(&inputs, &mut outputs, &mut self.workspace, pool).is_err() {
                return false;
            }
        }
        self.times.push((begun.elapsed().as_nanos() / u128::from(self.repeat)) as u64);
        true
    }
}

fn bed(op: &KOp) -> Option<Bed> {
    match op {
        KOp::Gemm(p) => gemm(p),
        KOp::Conv(p) => conv(p),
        _ => None,
    }
}

/// Elements that a view reaches; `None` where that is more than a measurement may take.
fn reach(dims: &[(usize, usize)]) -> Option<usize> {
    if dims.iter().any(|d| d.0 == 0) {
        return Some(0);
    }
    let last = dims.iter().try_fold(0usize, |n, &(len, stride)| n.checked_add((len - 1).checked_mul(stride)?))?;
    last.checked_add(1).filter(|n| *n <= MOST / 4)
}

/// Elements that do not repeat soon, of the size that activations have, half of them negative.
fn values(len: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

fn gemm(p: &GemmProblem) -> Option<Bed> {
    let with = |stride: fn(&BatchDim) -> usize, tail: [(usize, usize); 2]| {
        reach(&p.batch.iter().map(|d| (d.len, stride(d))).chain(tail).collect::<Vec<_>>())
    };
    let a = with(|d| d.a_stride, [(p.m, p.a_row_stride), (p.k, p.a_col_stride)])?;
    let output = with(|d| d.c_stride, [(p.m, p.c_row_stride), (p.n, 1)])?;
    let (b, weight) = match p.b {
        GemmB::Packed => {
            let shape = WeightShape::Matrix { k: p.k, n: p.n, transposed: false };
            (0, Some((shape, values(shape.len().filter(|n| *n <= MOST / 4)?))))
        }
        GemmB::Strided { row_stride, col_stride } => {
            (with(|d| d.b_stride, [(p.k, row_stride), (p.n, col_stride)])?, None)
        }
    };
    let mut inputs = vec![values(a), values(b)];
    inputs.extend(operands(&p.epilogue, p.batch_count().checked_mul(p.m)?, p.n)?);
    Some(Bed { inputs, weight, output })
}

fn conv(p: &ConvProblem) -> Option<Bed> {
    let image = |layout, d: usize, h: usize, w: usize, c: usize, stride: usize| {
        let pixels = p.n.checked_mul(d)?.checked_mul(h)?.checked_mul(w)?;
        reach(&[(pixels, if layout == Layout::Plain { c } else { stride }), (c, 1)])
    };
    let x = image(p.x_layout, p.depth.len, p.h, p.w, p.c, p.x_stride)?;
    let output = image(p.y_layout, p.depth.out, p.oh, p.ow, p.oc, p.y_stride)?;
    let shape = modelsmith_kernels::conv::weight_shape(p);
    let weight = Some((shape, values(shape.len().filter(|n| *n <= MOST / 4)?)));
    let mut inputs = vec![values(x), vec![]];
    inputs.extend(operands(&p.epilogue, p.out_planes().checked_mul(p.oh)?.checked_mul(p.ow)?, p.oc)?);
    Some(Bed { inputs, weight, output })
}

/// Bias and operands of an epilogue over `rows` × `cols`.
fn operands(e: &Epilogue, rows: usize, cols: usize) -> Option<Vec<Vec<f32>>> {
    let mut lens = vec![0; e.operand_count()];
    for s in &e.steps {
        if let EpilogueStep::Add { operand, row_stride } | EpilogueStep::Mul { operand, row_stride } = *s
            && let Some(len) = lens.get_mut(operand as usize)
        {
            *len = reach(&[(rows, row_stride), (cols, 1)])?.max(*len);
        }
    }
    let bias = e.bias.then(|| values(cols));
    Some(bias.into_iter().chain(lens.into_iter().map(values)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_measured_in_their_own_formats() {
        let pool = Pool::new(2);
        let isa = modelsmith_kernels::detect();
        let far = Instant::now() + Duration::from_secs(600);
        let epilogue = Epilogue {
            bias: true,
            steps: vec![
                EpilogueStep::Add { operand: 0, row_stride: 40 },
                EpilogueStep::Mul { operand: 1, row_stride: 0 },
            ],
        };
        let product = GemmProblem { epilogue, ..GemmProblem::dense(20, 40, 30, GemmB::Packed) };
        let strided = GemmProblem::dense(20, 40, 30, GemmB::Strided { row_stride: 40, col_stride: 1 });
        for op in [KOp::Gemm(product), KOp::Gemm(strided), KOp::Conv(depthwise())] {
            assert!(tunable(&op));
            let wanted = crate::offer::accepting(&op, isa);
            let found = measure(&op, &wanted, isa, &pool, 3..=3, far);
            assert_eq!(found.len(), wanted.len(), "{op:?}");
            assert!(found.values().all(|t| t.min > 0 && t.min <= t.median));
            assert!(measure(&op, &wanted, isa, &pool, 3..=3, Instant::now()).is_empty(), "no time, no figures");
        }
    }

    fn depthwise() -> ConvProblem {
        ConvProblem {
            n: 1,
            c: 24,
            depth: modelsmith_kop::Depth::FLAT,
            h: 9,
            w: 9,
            oc: 24,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [1, 1, 1, 1],
            groups: 24,
            oh: 9,
            ow: 9,
            transposed: false,
            x_layout: Layout::ChannelsLast,
            y_layout: Layout::ChannelsLast,
            x_stride: 24,
            y_stride: 24,
            epilogue: Epilogue::default(),
        }
    }
}
