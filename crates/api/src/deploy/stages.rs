use super::{DeployOptions, OptimizedModel, Precision, Report, StageReport, Status};
use crate::bench::{self, Amount, Measure, Subject};
use crate::compare::{Comparison, Verdict};
use crate::engine::{BuildRequest, BuiltEngine, build};
use crate::evaluate::{Accuracy, Labelled};
use crate::judge::{Backend, Judge};
use crate::machine::Machine;
use crate::optimize::{Passes, simplify};
use crate::report::Plots;
use crate::write::{self, Verify};
use crate::{Error, Model, Result, files, inspect};
use std::path::Path;
use std::time::Instant;

/// Runs that a profile averages.
const PROFILE_RUNS: usize = 10;

/// Takes a model the whole way and writes everything into `dir`; `step` is told what begins.
///
/// # Errors
/// When the model cannot be read, holds what is not supported, or a file cannot be written. An engine that does not
/// pass is no error: the report says so.
pub fn deploy(path: &Path, dir: &Path, options: &DeployOptions, step: &dyn Fn(&str)) -> Result<Report> {
    let mut way = Way { dir, options, step, stages: vec![] };
    way.skip("scan", Status::NotAvailable, "security scanning is not built yet");
    let model = way.stage("inspect", || {
        let model = Model::open(path)?.define(&options.definitions)?;
        if model.engine().is_some() {
            return Err(Error::usage("this is an engine already; deploy wants a model").in_file(path));
        }
        let detail = format!("{}, {} nodes", model.format_title(), model.file().nodes.len());
        Ok((model, Status::Passed, detail))
    })?;
    model.supported()?;
    files::folder(dir)?;
    let optimized = way.optimize(&model)?;
    let labelled = match &options.eval {
        Some((data, labels)) => Some(Labelled::read(data, labels, &model)?),
        None => None,
    };
    let mut precisions = vec![way.precision_f32(&model, labelled.as_ref())?];
    for name in ["bf16", "fp16", "int8"] {
        precisions.push(not_available(name));
        way.skip(&format!("build {name}"), Status::NotAvailable, "this precision is not built yet");
    }
    let passed = |p: &&Precision| matches!(p.status, Status::Passed | Status::Inconclusive);
    let median = |p: &&Precision| p.bench.as_ref().map_or(f64::INFINITY, |b| b.latency.median());
    let chosen =
        precisions.iter().filter(passed).min_by(|a, b| median(a).total_cmp(&median(b))).map(|p| p.name.clone());
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION").into(),
        model: inspect::inspect(&model),
        machine: Machine::here(),
        stages: way.stages,
        optimized,
        ok: chosen.is_some(),
        chosen,
        precisions,
        limits: options.limits,
        plots: Plots::default(),
    };
    report.plots = Plots::of(&report);
    super::write_report(dir, &report)?;
    Ok(report)
}

fn not_available(name: &str) -> Precision {
    Precision {
        name: name.into(),
        status: Status::NotAvailable,
        reason: "this precision is not built yet".into(),
        file: None,
        bytes: 0,
        weight_bytes: 0,
        levels: vec![],
        steps: vec![],
        fallbacks: vec![],
        verification: None,
        bench: None,
        profile: None,
        accuracy: None,
    }
}

fn status_of(found: &Comparison) -> Status {
    match found.verdict {
        Verdict::Agree => Status::Passed,
        Verdict::Differ => Status::Failed,
        Verdict::Inconclusive => Status::Inconclusive,
    }
}

struct Way<'a> {
    dir: &'a Path,
    options: &'a DeployOptions,
    step: &'a dyn Fn(&str),
    stages: Vec<StageReport>,
}

impl Way<'_> {
    fn stage<T>(&mut self, name: &str, run: impl FnOnce() -> Result<(T, Status, String)>) -> Result<T> {
        (self.step)(name);
        let begun = Instant::now();
        let (value, status, detail) = run()?;
        let seconds = begun.elapsed().as_secs_f64();
        self.stages.push(StageReport { name: name.into(), status, detail, seconds });
        Ok(value)
    }

    fn skip(&mut self, name: &str, status: Status, why: &str) {
        self.stages.push(StageReport { name: name.into(), status, detail: why.into(), seconds: 0.0 });
    }

    fn verify(&self) -> Verify {
        let o = self.options;
        Verify { inputs: o.inputs.clone(), agreement: o.agreement.clone(), opts: o.opts.clone() }
    }

    /// A model that cannot be written or does not verify is reported, and the original is built instead.
    fn optimize(&mut self, model: &Model) -> Result<Option<OptimizedModel>> {
        let (hub, passes) = simplify(model, &Passes::default())?;
        let name = model.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_else(|| "model".into());
        let file = format!("{name}.simplified.onnx");
        let path = self.dir.join(&file);
        let verify = self.verify();
        self.stage("optimize", || {
            let format = write::format_for(&path, None)?;
            let opsets = write::target_opsets(model, None);
            let done = write::write(model, &hub, &path, format, opsets, false, Some(&verify));
            let detail = format!("{} nodes became {}", passes.nodes_before, passes.nodes_after);
            Ok(match done {
                Ok(w) => {
                    let status = w.verification.as_ref().map_or(Status::Passed, status_of);
                    let why = w.verification.as_ref().map_or(String::new(), |v| format!("; {}", v.reason));
                    let file = w.kept.then_some(file);
                    let made = OptimizedModel { file, bytes: w.bytes, passes, verification: w.verification };
                    (Some(made), status, format!("{detail}{why}"))
                }
                Err(e) => {
                    let made = OptimizedModel { file: None, bytes: 0, passes, verification: None };
                    (Some(made), Status::Failed, format!("{detail}; the file was not kept: {e}"))
                }
            })
        })
    }

    fn precision_f32(&mut self, model: &Model, labelled: Option<&Labelled>) -> Result<Precision> {
        let name = model.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_else(|| "model".into());
        let file = format!("{name}.f32.engine");
        let path = self.dir.join(&file);
        let request = BuildRequest {
            threads: self.options.opts.threads,
            isa: self.options.opts.isa.clone(),
            sizes: self.options.inputs.sizes.clone(),
            ..BuildRequest::default()
        };
        let built: BuiltEngine = self.stage("build f32", || {
            let b = build(model, &path, &request, None)?;
            let detail = format!("{} steps, {} of them by the reference", b.steps.len(), b.fallbacks.len());
            Ok((b, Status::Passed, detail))
        })?;
        let verify = self.verify();
        let found = self.stage("verify f32", || {
            let found = crate::engine::verify_engine(model, &path, &verify)?;
            let (status, detail) = (status_of(&found), found.reason.clone());
            Ok((found, status, detail))
        })?;
        let mut out = Precision {
            name: "f32".into(),
            status: status_of(&found),
            reason: found.reason.clone(),
            file: Some(file),
            bytes: built.bytes,
            weight_bytes: built.weight_bytes,
            levels: built.levels,
            steps: built.steps,
            fallbacks: built.fallbacks,
            verification: Some(found),
            bench: None,
            profile: None,
            accuracy: None,
        };
        if out.status == Status::Failed {
            self.skip("bench f32", Status::Skipped, "the engine does not compute what the model does");
            return Ok(refuse(out, &path));
        }
        let engine = Model::open(&path)?;
        out.accuracy = self.evaluate(model, &engine, labelled)?;
        self.bench(&engine, &mut out)?;
        Ok(self.judge(out, &path))
    }

    fn evaluate(&mut self, model: &Model, engine: &Model, labelled: Option<&Labelled>) -> Result<Option<Accuracy>> {
        let Some(labelled) = labelled else {
            self.skip("evaluate f32", Status::Skipped, "no labelled data: --eval and --labels");
            return Ok(None);
        };
        let (opts, most) = (self.options.opts.clone(), self.options.max_drop);
        self.stage("evaluate f32", || {
            let mut original = Judge::Backend(Backend::Reference).load(model, &opts)?;
            let mut made = Judge::Backend(Backend::Cpu).load(engine, &opts)?;
            let a = labelled.accuracy(model, &mut *original, &mut *made)?;
            let status = if a.drop <= most { Status::Passed } else { Status::Failed };
            let (m, e) = (100.0 * a.model, 100.0 * a.engine);
            let detail = format!("model {m:.2} %, engine {e:.2} % of {} samples", a.samples);
            Ok((Some(a), status, detail))
        })
    }

    fn bench(&mut self, engine: &Model, out: &mut Precision) -> Result<()> {
        let o = self.options;
        let measured = self.stage("bench f32", || {
            let judge = Judge::Backend(Backend::Cpu);
            let mut subject = Subject::load(engine, &judge, &o.opts, &o.inputs)?;
            let measure = Measure::Iterations(o.iterations.max(1));
            let m = subject.measure(Amount { warmup: 10.min(o.iterations), measure })?;
            let p = bench::profile(&mut subject, PROFILE_RUNS, &o.opts.isa)?;
            let detail = format!("median {:.3} ms over {} runs", m.latency.median(), m.latency.count);
            Ok(((m, p), Status::Passed, detail))
        })?;
        (out.bench, out.profile) = (Some(measured.0), measured.1);
        Ok(())
    }

    /// Holds an engine that is right against the limits.
    fn judge(&self, mut p: Precision, path: &Path) -> Precision {
        let l = &self.options.limits;
        let bench = p.bench.as_ref();
        let memory = bench.and_then(|b| b.memory.as_ref()).map_or(0, |m| m.planned_peak + m.scratch) + p.weight_bytes;
        let median = bench.map_or(0.0, |b| b.latency.median());
        let mut broken = Vec::new();
        if let Some(most) = l.size.filter(|&most| p.bytes > most) {
            broken.push(format!("the file has {} bytes, {most} are allowed", p.bytes));
        }
        if let Some(most) = l.memory.filter(|&most| memory > most) {
            broken.push(format!("a run takes {memory} bytes, {most} are allowed"));
        }
        if let Some(most) = l.latency_ms.filter(|&most| median > most) {
            broken.push(format!("the median latency is {median:.3} ms, {most} ms are allowed"));
        }
        if let Some(a) = p.accuracy.as_ref().filter(|a| a.drop > self.options.max_drop) {
            broken.push(format!("accuracy drops by {:.4}, {} is allowed", a.drop, self.options.max_drop));
        }
        if broken.is_empty() {
            return p;
        }
        p.status = Status::Failed;
        p.reason = broken.join("; ");
        refuse(p, path)
    }
}

/// What does not pass is not kept.
fn refuse(mut p: Precision, path: &Path) -> Precision {
    // A file that cannot be removed stays; the report says that it did not pass.
    let _ = std::fs::remove_file(path);
    p.file = None;
    p
}
