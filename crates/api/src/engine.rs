//! Building engines: from a model to a file that is known to compute what the model does.

use crate::compare::{CompareOptions, Comparison, Verdict, compare};
use crate::inputs::ranges;
use crate::judge::{Backend, Judge};
use crate::shapes::Sizes;
use crate::write::{VERIFY_SAMPLES, Verify};
use crate::{Definitions, Error, Model, Result, files};
use modelsmith_engine::tuning::Database;
use modelsmith_engine::{BuildOptions, BuildReport, Built};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An engine that was built.
#[derive(Debug, Serialize)]
pub struct BuiltEngine {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the weights in it.
    pub weight_bytes: u64,
    /// Instruction set levels for which it holds a plan, best first.
    pub levels: Vec<String>,
    /// Level for which the steps below are.
    pub level: String,
    /// Steps of the plan.
    pub steps: Vec<StepInfo>,
    /// Nodes that run the reference on data, each with the reason.
    pub fallbacks: Vec<String>,
    /// Copies that only change the order of axes in memory.
    pub reorders: usize,
    /// Time to build, in seconds.
    pub build_s: f64,
    /// What the verification found; `None` when it was not asked for.
    pub verification: Option<Comparison>,
    /// False when the verification says no: then nothing was written.
    pub kept: bool,
    /// What the cache had to do with it; `None` where none was given.
    pub cache: Option<String>,
    /// Where kernels less precise than f32 are used, or why none is; `None` where they were not allowed.
    pub f32_fast: Option<String>,
    /// What was measured; `None` where measured times were not asked for.
    pub tuning: Option<TuningInfo>,
}

/// What measured times had to do with an engine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TuningInfo {
    /// Problems of the model for which there are several kernels.
    pub problems: usize,
    /// Of these, found in the database.
    pub known: usize,
    /// Of these, measured now.
    pub measured: usize,
    /// Seconds that measuring took.
    pub seconds: f64,
}

/// Hears what is being done.
pub type Tell<'a> = &'a dyn Fn(&str);

/// One step of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct StepInfo {
    /// The nodes that it stands for.
    pub label: String,
    /// Kernels, or the operator whose reference runs.
    pub kernel: String,
    /// True where the reference runs.
    pub reference: bool,
    /// Why each of the kernels was chosen.
    pub chosen: Vec<String>,
    /// Kernels that were passed by, each with the reason.
    pub refused: Vec<(String, String)>,
}

/// The steps of a build report.
pub fn steps(report: &BuildReport) -> Vec<StepInfo> {
    let one = |s: &modelsmith_engine::StepReport| StepInfo {
        label: s.label.clone(),
        kernel: s.kernel.clone(),
        reference: s.reference,
        chosen: s.chosen.clone(),
        refused: s.refused.clone(),
    };
    report.steps.iter().map(one).collect()
}

/// What a build is for.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// Threads for which kernels are chosen; 0 for as many as the process may use.
    pub threads: usize,
    /// Chooses as for one thread, whatever `threads` says. No kernel's result depends on the threads that run it, so that an
    /// engine of this kind gives the same bits with any number of them, on every machine that runs the same level.
    pub strict: bool,
    /// Also kernels that are less precise than f32: on AMX two bf16 parts and three products in the place of three and six.
    /// Each sum of products is then at most 2^-15 of the sum of their magnitudes off, and mostly a tenth of that.
    pub f32_fast: bool,
    /// Cap on the instruction set, by level name.
    pub isa: String,
    /// Refuse to replace a file.
    pub no_clobber: bool,
    /// Sizes of free dimensions for which kernels are chosen; 1 for those that are not given.
    pub sizes: Sizes,
    /// Measure kernels for so long before they are chosen.
    pub tune: Option<Duration>,
    /// File of measured times: read where it is there, and, with `tune`, added to.
    pub tuning_db: Option<PathBuf>,
    /// Operators of foreign domains, where the model is read on the way.
    pub definitions: Definitions,
}

/// Lowers `model` and writes the engine to `path`. With `verify`, the written file is loaded again and run beside the
/// reference on the original first, and takes its name only when both agree.
///
/// # Errors
/// When the model holds what is not supported, a file cannot be written, or a side fails.
pub fn build(model: &Model, path: &Path, request: &BuildRequest, verify: Option<&Verify>) -> Result<BuiltEngine> {
    build_and_tell(model, path, request, verify, &|_| {})
}

/// As [`build`]; `tell` hears what is being done.
///
/// # Errors
/// As there.
pub fn build_and_tell(
    model: &Model,
    path: &Path,
    request: &BuildRequest,
    verify: Option<&Verify>,
    tell: Tell,
) -> Result<BuiltEngine> {
    files::check_clobber(path, request.no_clobber)?;
    if model.engine().is_some() {
        return Err(Error::usage("this is an engine already").in_file(model.path()));
    }
    model.supported()?;
    let begun = Instant::now();
    let (built, tuning) = compile(model, request, tell)?;
    tell("writing");
    let tmp = Temporary(files::temporary(path));
    modelsmith_engine::save(&built.engine, &tmp.0)?;
    let build_s = begun.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(&tmp.0).map_err(|e| Error::io(path, &e))?.len();
    let mut out = BuiltEngine { build_s, tuning, ..described(bytes, built.engine.levels(), &built.report) };
    drop(built);
    if let Some(v) = verify {
        tell("verifying");
        let found = verify_engine(model, &tmp.0, v)?;
        // What proves nothing is written all the same, and said: an untrained model has outputs that hardly change. What
        // differs is not.
        out.kept = found.verdict != Verdict::Differ;
        out.verification = Some(found);
    }
    if out.kept {
        modelsmith_base::publish(&tmp.0, path).map_err(|e| Error::io(path, &e))?;
    }
    Ok(out)
}

/// Lowers `model`, in memory.
///
/// # Errors
/// When the model holds what is not supported, or the options cannot be met.
pub(crate) fn compile(model: &Model, request: &BuildRequest, tell: Tell) -> Result<(Built, Option<TuningInfo>)> {
    let mut options = BuildOptions {
        isa: request.isa.clone(),
        all_levels: request.isa.is_empty(),
        threads: if request.strict { 1 } else { request.threads },
        sizes: sizes(model, &request.sizes)?,
        notes: ranges::notes(model.hub()),
        f32_fast: request.f32_fast,
        ..BuildOptions::default()
    };
    let tuning = tuned(model, request, &mut options, tell)?;
    tell("building");
    let built = modelsmith_engine::build(model.hub(), &options).map_err(|e| Error::from(e).in_file(model.path()))?;
    Ok((built, tuning))
}

/// Gives `options` the measured times that `request` asks for.
fn tuned(model: &Model, request: &BuildRequest, options: &mut BuildOptions, tell: Tell) -> Result<Option<TuningInfo>> {
    if request.tune.is_none() && request.tuning_db.is_none() {
        return Ok(None);
    }
    if request.strict {
        let why = "measured times differ from machine to machine, and a strict engine does not";
        return Err(Error::usage(format!("--strict goes with neither --tune nor --tuning-db: {why}")));
    }
    let mut database = match &request.tuning_db {
        Some(path) if path.exists() => Database::read(path)?,
        Some(path) if request.tune.is_none() => {
            let help = "--tune SECONDS measures, and makes the file";
            return Err(Error::damaged("there is no such file").in_file(path).help(help));
        }
        _ => Database::default(),
    };
    let limit = request.tune.unwrap_or_default();
    let mut progress = |done: usize, all: usize| tell(&format!("measuring kernels, problem {} of {all}", done + 1));
    let done = modelsmith_engine::tuning::tune(model.hub(), options, &mut database, limit, &mut progress)
        .map_err(|e| Error::from(e).in_file(model.path()))?;
    if let Some(path) = request.tuning_db.as_ref().filter(|_| done.measured > 0) {
        database.save(path)?;
    }
    options.tuning = Some(Arc::new(database));
    let modelsmith_engine::tuning::Tuning { problems, known, measured, seconds } = done;
    Ok(Some(TuningInfo { problems, known, measured, seconds }))
}

/// An engine of `bytes` bytes as its build report describes it.
pub(crate) fn described(bytes: u64, levels: Vec<String>, report: &BuildReport) -> BuiltEngine {
    BuiltEngine {
        bytes,
        weight_bytes: report.weight_bytes,
        levels,
        level: report.level.clone(),
        steps: steps(report),
        fallbacks: report.fallbacks.clone(),
        reorders: report.reorders,
        build_s: 0.0,
        verification: None,
        kept: true,
        cache: None,
        f32_fast: report.f32_fast.clone(),
        tuning: None,
    }
}

/// Runs the engine file beside the reference on the model.
///
/// # Errors
/// When a side cannot be loaded, or the model fails on every draw.
pub fn verify_engine(model: &Model, engine: &Path, v: &Verify) -> Result<Comparison> {
    let options = CompareOptions {
        inputs: v.inputs.clone(),
        samples: VERIFY_SAMPLES,
        agreement: v.agreement.clone(),
        a: Judge::Backend(Backend::Reference),
        b: Judge::Backend(Backend::Cpu),
        opts: v.opts.clone(),
        ..CompareOptions::default()
    };
    compare(model, &Model::open(engine)?, &options)
}

/// Sizes of symbols for which kernels are chosen: those given, and 1 for the others.
fn sizes(model: &Model, given: &Sizes) -> Result<BTreeMap<String, i64>> {
    let bound = given.bind(model.hub())?;
    Ok(bound.symbols.into_iter().filter_map(|(s, n)| Some((s, i64::try_from(n).ok()?))).collect())
}

/// Steps of the plan that this machine would run, with the kernels of each, why they were chosen, and those passed by. An
/// engine tells what its builder wrote down; for a model the choice is made now.
///
/// # Errors
/// When no plan of the engine runs here; when the model holds what is not supported.
pub fn explain(model: &Model, threads: usize, isa: &str) -> Result<Vec<StepInfo>> {
    if let Some(engine) = model.engine() {
        return Ok(steps(&engine.report_here(isa).map_err(|e| Error::from(e).in_file(model.path()))?));
    }
    model.supported()?;
    let options =
        BuildOptions { isa: isa.into(), threads, sizes: sizes(model, &Sizes::default())?, ..BuildOptions::default() };
    let built = modelsmith_engine::build(model.hub(), &options).map_err(|e| Error::from(e).in_file(model.path()))?;
    Ok(steps(&built.report))
}

/// A file that goes unless it was renamed.
pub(crate) struct Temporary(pub std::path::PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
