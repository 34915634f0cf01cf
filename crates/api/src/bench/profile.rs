use super::Subject;
use crate::Result;
use modelsmith_engine::StepTime;
use modelsmith_kernels::roof;
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
    /// Mean time of all steps together, in milliseconds, what comes before and after them included.
    pub total_ms: f64,
    /// Mean time of runs without a profile, each just before one with it, in milliseconds.
    pub run_ms: f64,
    /// Share of a run that the steps account for: the median over pairs of runs, so that what disturbs one does not decide.
    pub covered: f64,
    /// Highest arithmetic rate of this machine with these threads, in GFLOP/s, measured now.
    pub roof_gflops: f64,
    /// Highest rate of bf16 products on tile registers, measured now; `None` where there are none.
    pub roof_tiles: Option<f64>,
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
    /// Shortest time: what the layer takes where nothing disturbs it.
    pub least_ms: f64,
    /// Share of the time of all steps.
    pub share: f64,
    /// Multiplications and additions, in billions.
    pub gflop: f64,
    /// Bytes of operands and results, in billions.
    pub gbyte: f64,
    /// Arithmetic rate reached, in GFLOP/s.
    pub gflops: f64,
    /// Share of the nearer roof that it reaches: arithmetic or memory. More than 1 of memory is the work of caches.
    pub of_roof: f64,
    /// The nearer roof: `compute`, `tiles` where most of the arithmetic is on tile registers, or `memory`.
    pub bound: String,
}

/// Highest rates of the machine.
struct Roofs {
    gflops: f64,
    tiles: Option<f64>,
    gbs: f64,
}

impl Roofs {
    fn measured(isa: &str, threads: usize) -> Roofs {
        let isa = Isa::parse_level(isa).unwrap_or_else(modelsmith_kernels::detect);
        let pool = Pool::new(threads.max(1));
        Roofs {
            gflops: roof::fma_gflops(isa, &pool, 0.2),
            tiles: roof::tile_gflops(isa, &pool, 0.1),
            gbs: roof::read_gbytes(ROOF_BYTES, &pool, 0.2),
        }
    }

    /// A step that takes `ns` nanoseconds, and `t.ns` at least, as a layer of runs that take `total_ms`.
    fn layer(&self, t: StepTime, ns: f64, total_ms: f64) -> Layer {
        let ms = ns / 1e6;
        let seconds = (ns / 1e9).max(1e-12);
        let vectors = (t.flops - t.tile_flops) / 1e9 / self.gflops.max(1e-9);
        let tiles = t.tile_products / 1e9 / self.tiles.unwrap_or(self.gflops).max(1e-9);
        let memory = t.bytes / 1e9 / self.gbs.max(1e-9);
        let compute = vectors + tiles;
        let bound = match compute >= memory {
            true if tiles > vectors => "tiles",
            true => "compute",
            false => "memory",
        };
        Layer {
            label: t.label,
            kernel: t.kernel,
            reference: t.reference,
            ms,
            least_ms: t.ns as f64 / 1e6,
            share: if total_ms > 0.0 { ms / total_ms } else { 0.0 },
            gflop: t.flops / 1e9,
            gbyte: t.bytes / 1e9,
            gflops: t.flops / 1e9 / seconds,
            of_roof: compute.max(memory) / seconds,
            bound: bound.into(),
        }
    }
}

/// Profiles `runs` runs, each after one without a profile; `None` where the runner has no steps. The roofs take half a
/// second to measure.
///
/// # Errors
/// When a run fails.
pub fn profile(subject: &mut Subject, runs: usize, isa: &str) -> Result<Option<Profile>> {
    let mut sums = Vec::<(StepTime, f64)>::new();
    let (mut plain, mut shares) = (0.0, Vec::new());
    let runs = runs.max(1);
    for _ in 0..runs {
        let ms = subject.time()?;
        let Some(times) = subject.side.profile(&subject.inputs)? else { return Ok(None) };
        let steps = times.iter().map(|t| t.ns as f64).sum::<f64>();
        plain += ms;
        shares.push(steps / 1e6 / ms.max(1e-9));
        if sums.is_empty() {
            sums = times.into_iter().map(|t| (t.clone(), t.ns as f64)).collect();
        } else {
            // A branch may take other steps from run to run; those are matched by place.
            for (sum, t) in sums.iter_mut().zip(&times) {
                sum.1 += t.ns as f64;
                sum.0.ns = sum.0.ns.min(t.ns);
            }
        }
    }
    let roofs = Roofs::measured(isa, subject.side.threads());
    let each = 1.0 / runs as f64;
    let total_ms = sums.iter().map(|(_, ns)| ns).sum::<f64>() * each / 1e6;
    let layers = sums.into_iter().map(|(t, ns)| roofs.layer(t, ns * each, total_ms)).collect();
    let Roofs { gflops, tiles, gbs } = roofs;
    Ok(Some(Profile {
        runs,
        total_ms,
        run_ms: plain * each,
        covered: median(shares),
        roof_gflops: gflops,
        roof_tiles: tiles,
        roof_gbs: gbs,
        layers,
    }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { 0.0 } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(flops: f64, tile_flops: f64, tile_products: f64, bytes: f64) -> StepTime {
        let (label, kernel) = ("a".into(), "k".into());
        StepTime { label, kernel, reference: false, ns: 0, flops, tile_flops, tile_products, bytes }
    }

    #[test]
    fn a_layer_is_held_against_its_nearer_roof() {
        let roofs = Roofs { gflops: 100.0, tiles: Some(1200.0), gbs: 10.0 };
        // A millisecond is 0.1 GFLOP on vectors, 1.2 GFLOP of parts on tiles, 10 MB.
        let of = |t: StepTime| {
            let l = roofs.layer(t, 1e6, 4.0);
            (l.bound, (l.of_roof * 1000.0).round() / 1000.0, l.share)
        };
        assert_eq!(of(step(5e7, 0.0, 0.0, 1e6)), ("compute".into(), 0.5, 0.25));
        assert_eq!(of(step(1e8, 1e8, 6e8, 1e6)), ("tiles".into(), 0.5, 0.25));
        assert_eq!(of(step(1.1e8, 1e8, 6e8, 1e6)), ("tiles".into(), 0.6, 0.25), "a band of both");
        assert_eq!(of(step(1e6, 0.0, 0.0, 8e6)), ("memory".into(), 0.8, 0.25));
        assert_eq!(of(step(0.0, 0.0, 0.0, 0.0)).1, 0.0);
    }

    #[test]
    fn one_disturbed_pair_does_not_decide() {
        assert_eq!(median(vec![0.97, 3.0, 0.98]), 0.98);
        assert_eq!(median(vec![0.9, 1.0]), 0.95);
        assert_eq!(median(vec![]), 0.0);
    }
}
