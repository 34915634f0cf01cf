//! From a hub model to an engine.

use crate::engine::{Engine, Info, Shared};
use crate::error::Result;
use crate::session::{Session, SessionOptions, allowed_isa};
use crate::tuning::{Database, Tuned};
use crate::weights::Blob;
use modelsmith_backend_cpu::is_fast;
use modelsmith_ir::{Model, ValueId};
use modelsmith_kop::Isa;
use modelsmith_ops::run::{Opts, Runner, Running};
use modelsmith_plan::{Blobs, LowerOptions, Plan, Prepared, StepOp, lower, prepare};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an engine is built for.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Cap on the instruction set, by level name; empty for that of this machine.
    pub isa: String,
    /// One plan for each level at or below that of this machine, so that the engine runs on lesser machines too.
    pub all_levels: bool,
    /// Threads for which kernels are chosen; 0 for as many as the process may use.
    pub threads: usize,
    /// Refuse a model with nodes that would run the reference on data.
    pub no_fallback: bool,
    /// Run every node by the reference.
    pub reference_only: bool,
    /// Hub values that stay visible to `watch`.
    pub watch: Vec<ValueId>,
    /// Sizes of symbols for which kernels are chosen.
    pub sizes: BTreeMap<String, i64>,
    /// Notes to keep with the engine, by key.
    pub notes: Vec<(String, String)>,
    /// Also kernels that are less precise than f32: sums of two bf16 parts in the place of three.
    pub f32_fast: bool,
    /// Measured times, which decide where they are of a problem of the model.
    pub tuning: Option<Arc<Database>>,
}

impl BuildOptions {
    /// Threads for which kernels are chosen.
    pub fn threads_or_all(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        }
    }
}

/// A new engine and what was decided on the way.
pub struct Built {
    /// The engine.
    pub engine: Engine,
    /// What was decided.
    pub report: BuildReport,
}

/// What was decided while an engine was built, for the plan of the highest level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildReport {
    /// Level of that plan.
    pub level: String,
    /// Steps of the main block, in order.
    pub steps: Vec<StepReport>,
    /// Steps that run the reference on data, in all blocks.
    pub fallbacks: Vec<String>,
    /// Copies that only change the order of axes in memory.
    pub reorders: usize,
    /// Bytes of weights as the engine keeps them.
    pub weight_bytes: u64,
    /// Where kernels less precise than f32 are used, or why none is; `None` where they were not allowed.
    pub f32_fast: Option<String>,
}

/// One step of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// The nodes that it stands for.
    pub label: String,
    /// Chosen kernels, or the operator whose reference runs.
    pub kernel: String,
    /// True where the reference runs.
    pub reference: bool,
    /// Why each kernel was chosen.
    pub chosen: Vec<String>,
    /// Kernels that were passed by, each with the reason.
    pub refused: Vec<(String, String)>,
}

/// Builds an engine of a hub model.
///
/// # Errors
/// When a node is of no known operator, a weight cannot be read, or the options cannot be met: all of it listed.
pub fn build(model: &Model, options: &BuildOptions) -> Result<Built> {
    let isa = allowed_isa(&options.isa)?;
    let threads = options.threads_or_all();
    let Prepared { model, watch } = match options.reference_only {
        true => {
            Prepared { model: model.clone(), watch: options.watch.iter().map(|v| (*v, v.index() as u32)).collect() }
        }
        false => prepare(model, &options.watch)?,
    };
    let lower_options =
        LowerOptions { watch, sizes: options.sizes.clone(), reference_only: options.reference_only, threads };
    let mut blobs = Blobs::default();
    let mut plans = Vec::new();
    for level in levels(isa, options.all_levels) {
        let backend = Tuned::new(level, threads, options.f32_fast, options.tuning.as_deref());
        plans.push(lower(&model, &backend, &lower_options, &mut blobs)?);
    }
    let fallbacks = plans[0].fallbacks();
    if options.no_fallback && !fallbacks.is_empty() {
        return Err(modelsmith_plan::Error::Unsupported(fallbacks).into());
    }
    let fast = options.f32_fast.then(|| (F32_FAST.to_owned(), fast_steps(&plans)));
    let ranges = model.meta.props.iter().filter(|(k, _)| k.starts_with(modelsmith_ir::DIM_RANGE)).cloned();
    let info = Info {
        model: model.graph().name.clone(),
        builder: env!("CARGO_PKG_VERSION").into(),
        machine: modelsmith_kernels::detect().to_string(),
        notes: options.notes.iter().cloned().chain(ranges).chain(fast).collect(),
    };
    let tensors = blobs.tensors.into_iter().map(Blob::Heap).collect();
    let shared = Shared { plans, blobs: tensors, origins: blobs.origins, info };
    let engine = Engine { shared: Arc::new(shared) };
    let report = engine.report(0);
    Ok(Built { engine, report })
}

/// Name of the note about kernels that are less precise than f32, where they were allowed.
pub(crate) const F32_FAST: &str = "f32-fast";

/// Where plans use kernels less precise than f32, or why none does.
fn fast_steps(plans: &[Plan]) -> String {
    let count = |p: &Plan| {
        let steps = p.blocks.iter().flat_map(|b| &b.steps).filter(|s| matches!(s.op, StepOp::Native(_)));
        let fast = steps.clone().filter(|s| s.kernels.iter().any(|k| is_fast(k))).count();
        (fast > 0)
            .then(|| format!("two bf16 parts in {fast} of {} native steps of the {} plan", steps.count(), p.level))
    };
    let used = plans.iter().filter_map(count).collect::<Vec<_>>();
    match plans.iter().any(|p| p.level == "amx") {
        _ if !used.is_empty() => used.join(", "),
        true => "without effect: no product or convolution is large enough for tiles".into(),
        false => {
            let refused = modelsmith_kernels::host::amx_refusal().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("without effect: only amx has such kernels, and there is no amx plan{refused}")
        }
    }
}

/// The machine's set, and below it one set for each level.
fn levels(isa: Isa, all: bool) -> Vec<Isa> {
    let mut out = vec![isa];
    if all {
        for level in ["avx512", "avx2", "portable"].iter().filter_map(|l| Isa::parse_level(l)) {
            let capped = isa.cap(level);
            if out.iter().all(|o| o.level_name() != capped.level_name()) {
                out.push(capped);
            }
        }
    }
    out
}

impl Engine {
    /// What was decided for the plan of the given place among [`Engine::levels`]; empty where there is none.
    pub fn report(&self, plan: usize) -> BuildReport {
        self.shared.plans.get(plan).map(|p| report(p, self)).unwrap_or_default()
    }

    /// Where kernels less precise than f32 are used, or why none is; `None` where they were not allowed.
    pub fn f32_fast(&self) -> Option<&str> {
        self.info().notes.iter().find(|(k, _)| k == F32_FAST).map(|(_, v)| v.as_str())
    }

    /// What was decided for the plan that a session with this cap on the instruction set would run.
    ///
    /// # Errors
    /// When there is no such level, or no plan runs here.
    pub fn report_here(&self, cap: &str) -> Result<BuildReport> {
        Ok(self.report(self.plan_for(allowed_isa(cap)?)?.0))
    }
}

fn report(plan: &Plan, engine: &Engine) -> BuildReport {
    let step = |s: &modelsmith_plan::Step| {
        let (kernel, reference) = match &s.op {
            StepOp::Native(_) => {
                let mut names = s.kernels.clone();
                names.dedup();
                (names.join(" + "), false)
            }
            StepOp::Eval(e) => (format!("reference {}", e.name), true),
            StepOp::Call { .. } | StepOp::Sizes { .. } => ("control".into(), false),
        };
        StepReport { label: s.label.clone(), kernel, reference, chosen: s.chosen.clone(), refused: s.refused.clone() }
    };
    BuildReport {
        level: plan.level.clone(),
        steps: plan.main().steps.iter().map(step).collect(),
        fallbacks: plan.fallbacks(),
        reorders: plan.reorders(),
        weight_bytes: engine.weight_bytes(),
        f32_fast: engine.f32_fast().map(str::to_owned),
    }
}

/// The `cpu` backend: builds an engine in memory and opens a session.
pub struct CpuRunner;

impl Runner for CpuRunner {
    fn name(&self) -> &str {
        "cpu"
    }

    fn load(&self, model: &Model, opts: &Opts) -> std::result::Result<Box<dyn Running>, modelsmith_ops::Error> {
        Ok(Box::new(open(model, opts)?))
    }
}

/// A session on a model, without an engine file between.
///
/// # Errors
/// As [`build`] and [`Engine::session`].
pub fn open(model: &Model, opts: &Opts) -> Result<Session> {
    let options = BuildOptions {
        isa: opts.isa.clone(),
        threads: opts.threads,
        no_fallback: opts.no_fallback,
        watch: opts.watch.clone(),
        ..BuildOptions::default()
    };
    let session = SessionOptions {
        threads: opts.threads,
        isa: opts.isa.clone(),
        no_fallback: opts.no_fallback,
        ..SessionOptions::default()
    };
    build(model, &options)?.engine.session(&session)
}
