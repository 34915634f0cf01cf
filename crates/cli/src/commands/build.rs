use super::checkpoint::bound;
use super::{Context, compare, options};
use crate::args::{Build, TensorArgs};
use crate::table::bytes;
use modelsmith::cache;
use modelsmith::compare::Verdict;
use modelsmith::engine::{BuildRequest, BuiltEngine, build_and_tell};
use modelsmith::run::Opts;
use modelsmith::write::Verify;
use modelsmith::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Serialize)]
struct Report<'a> {
    model: String,
    engine: String,
    #[serde(flatten)]
    built: &'a BuiltEngine,
}

pub fn run(cx: &Context, a: &Build) -> Result<u8> {
    for (asked, name) in [(a.bf16, "--bf16"), (a.fp16, "--fp16"), (a.int8, "--int8"), (a.best, "--best")] {
        if asked {
            return Err(Error::unsupported(format!(
                "{name}: engines compute in f32 only; this precision is not built yet"
            ))
            .help("leave it out to build an f32 engine"));
        }
    }
    let verify = Verify {
        inputs: options::inputs(&a.inputs)?,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
    };
    let request = BuildRequest {
        threads: cx.threads,
        strict: a.strict,
        f32_fast: a.f32_fast,
        isa: cx.isa.clone(),
        no_clobber: a.no_clobber,
        sizes: options::sizes(&a.inputs.sizes)?,
        tune: a.tune.map(seconds).transpose()?,
        tuning_db: a.tuning_db.clone(),
        definitions: options::definitions(&a.ops)?,
    };
    let verify = (!a.no_verify).then_some(&verify);
    let (model, built) = match &a.cache {
        Some(dir) => through_cache(cx, a, dir, &request, verify)?,
        None => {
            cx.progress.step("reading");
            let tensors = TensorArgs { key: a.key.clone(), map: a.map.clone(), ..TensorArgs::default() };
            let model =
                bound(cx, a.model.as_deref(), &a.inputs.sizes, &a.graph, &tensors)?.define(&request.definitions)?;
            options::show_findings(cx, &model);
            let built = build_and_tell(&model, &a.output, &request, verify, &|s| cx.progress.step(s))?;
            (model.path().to_owned(), built)
        }
    };
    cx.progress.end();
    show(cx, a, &built);
    let (model, engine) = (model.display().to_string(), a.output.display().to_string());
    cx.screen.document("build", &Report { model, engine, built: &built })?;
    Ok(u8::from(!built.kept))
}

fn through_cache(
    cx: &Context,
    a: &Build,
    dir: &Path,
    request: &BuildRequest,
    verify: Option<&Verify>,
) -> Result<(PathBuf, BuiltEngine)> {
    let (Some(model), None, None) = (&a.model, &a.graph.graph, &a.graph.weights) else {
        return Err(Error::unsupported("--cache: a graph bound to a checkpoint is not kept in a cache")
            .help("leave --cache out, or write the bound model with `convert` first"));
    };
    cx.progress.step("looking into the cache");
    let seen = |m: &modelsmith::Model| options::show_findings(cx, m);
    let built = cache::build(dir, model, &a.output, request, verify, &seen, &|s| cx.progress.step(s))?;
    Ok((model.clone(), built))
}

fn seconds(s: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(s) {
        Ok(d) if s > 0.0 => Ok(d),
        _ => Err(Error::usage(format!("--tune {s}: a positive number of seconds is wanted"))),
    }
}

fn show(cx: &Context, a: &Build, b: &BuiltEngine) {
    let s = cx.screen;
    if cx.screen.verbose {
        b.fallbacks.iter().for_each(|f| s.note(f));
    }
    let by_reference = b.steps.iter().filter(|s| s.reference).count();
    s.say(&format!(
        "{} steps, {by_reference} by the reference, {} of them on data; {} reorders; plans for {}; {:.2} s",
        b.steps.len(),
        b.fallbacks.len(),
        b.reorders,
        b.levels.join(", "),
        b.build_s
    ));
    if let Some(f) = &b.f32_fast {
        s.say(&format!("f32-fast: {f}"));
    }
    if let Some(t) = &b.tuning {
        let left = t.problems - t.known - t.measured;
        s.say(&format!(
            "tuning: {} problems with several kernels; {} known, {} measured in {:.1} s, {left} left to the cost model",
            t.problems, t.known, t.measured, t.seconds
        ));
    }
    if let Some(said) = &b.cache {
        s.say(&format!("cache: {said}"));
    }
    match &b.verification {
        _ if b.cache.as_ref().is_some_and(|c| c.starts_with("found")) => {}
        Some(v) => {
            options::show_inputs(cx, &v.inputs, &v.assumed);
            compare::show_outputs(cx, &v.outputs);
            let word = match v.verdict {
                Verdict::Agree => "verified",
                Verdict::Differ => "refused",
                Verdict::Inconclusive => "inconclusive",
            };
            s.say(&format!("{}: {}", s.verdict(b.kept, word), v.reason));
        }
        None => s.note("not verified"),
    }
    match b.kept {
        true => s.say(&format!("{}  {} ({} weights)", a.output.display(), bytes(b.bytes), bytes(b.weight_bytes))),
        false => s.note("nothing was written"),
    }
}
