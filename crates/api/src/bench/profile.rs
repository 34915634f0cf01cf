use super::Subject;
use crate::Result;
use modelsmith_kop::Isa;
use modelsmith_pool::Pool;
use serde::Serialize;

/// Bytes that are read to find the memory rate: more than caches hold.
const ROOF_BYTES: usize = 128 << 20;

/// Time of each step, averaged over runs.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Runs that were averaged.
    pub runs: usize,
    /// Mean time of all steps together, in milliseconds.
    pub total_ms: f64,
    /// Highest arithmetic rate of this machine with these threads, in GFLOP/s, measured now.
    pub roof_gflops: f64,
    /// Highest memory rate, in GB/s, measured now.
    pub roof_gbs: f64,
    /// Steps in the order in which they run.
    pub layers: Vec<Layer>,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// The nodes that it stands for.
    pub label: String,
    /// Kernels that ran, or the operator whose reference did.
    pub kernel: String,
    /// True where the reference ran.
    pub reference: bool,
    /// Mean time in milliseconds.
    pub ms: f64,
    /// Share of the time of all steps.
    pub share: f64,
    /// Arithmetic rate reached, in GFLOP/s.
    pub gflops: f64,
    /// Share of the nearer roof that it reaches: arithmetic or memory.
    pub of_roof: f64,
    /// `compute` or `memory`: the nearer roof.
    pub bound: String,
}

/// Profiles `runs` runs; `None` where the runner has no steps. The roofs take half a second to measure.
///
/// # Errors
/// When a run fails.
pub fn profile(subject: &mut Subject, runs: usize, isa: &str) -> Result<Option<Profile>> {
    let mut sums = Vec::<(modelsmith_engine::StepTime, f64)>::new();
    for _ in 0..runs.max(1) {
        let Some(times) = subject.side.profile(&subject.inputs)? else { return Ok(None) };
        if sums.is_empty() {
            sums = times.into_iter().map(|t| (t.clone(), t.ns as f64)).collect();
        } else {
            // A branch may take other steps from run to run; those are matched by place.
            for (sum, t) in sums.iter_mut().zip(&times) {
                sum.1 += t.ns as f64;
            }
        }
    }
    let isa = Isa::parse_level(isa).unwrap_or_else(modelsmith_kernels::detect);
    let pool = Pool::new(subject.side.threads().max(1));
    let (gflops, gbs) = (
        modelsmith_kernels::roof::fma_gflops(isa, &pool, 0.2),
        modelsmith_kernels::roof::read_gbytes(ROOF_BYTES, &pool, 0.2),
    );
    let total = sums.iter().map(|(_, ns)| ns).sum::<f64>() / runs.max(1) as f64 / 1e6;
    let layer = |(t, ns): (modelsmith_engine::StepTime, f64)| {
        let ms = ns / runs.max(1) as f64 / 1e6;
        let seconds = (ms / 1e3).max(1e-9);
        let (compute, memory) = (t.flops / 1e9 / gflops.max(1e-9), t.bytes / 1e9 / gbs.max(1e-9));
        Layer {
            label: t.label,
            kernel: t.kernel,
            reference: t.reference,
            ms,
            share: if total > 0.0 { ms / total } else { 0.0 },
            gflops: t.flops / 1e9 / seconds,
            of_roof: compute.max(memory) / seconds,
            bound: if compute >= memory { "compute".into() } else { "memory".into() },
        }
    };
    let layers = sums.into_iter().map(layer).collect();
    Ok(Some(Profile { runs, total_ms: total, roof_gflops: gflops, roof_gbs: gbs, layers }))
}
