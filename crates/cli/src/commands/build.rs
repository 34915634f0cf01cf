use super::checkpoint::bound;
use super::{Context, compare, options};
use crate::args::{Build, TensorArgs};
use crate::table::bytes;
use modelsmith::compare::Verdict;
use modelsmith::engine::{BuildRequest, BuiltEngine, build};
use modelsmith::run::Opts;
use modelsmith::write::Verify;
use modelsmith::{Error, Result};
use serde::Serialize;

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
    cx.progress.step("reading");
    let tensors = TensorArgs { key: a.key.clone(), map: a.map.clone(), ..TensorArgs::default() };
    let model = bound(cx, a.model.as_deref(), &a.graph, &tensors)?;
    options::show_findings(cx, &model);
    let verify = Verify {
        inputs: options::inputs(&a.inputs)?,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
    };
    let request = BuildRequest { threads: cx.threads, strict: a.strict, isa: cx.isa.clone(), no_clobber: a.no_clobber };
    cx.progress.step("building and verifying");
    let built = build(&model, &a.output, &request, (!a.no_verify).then_some(&verify))?;
    cx.progress.end();
    show(cx, a, &built);
    let (model, engine) = (model.path().display().to_string(), a.output.display().to_string());
    cx.screen.document("build", &Report { model, engine, built: &built })?;
    Ok(u8::from(!built.kept))
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
    match &b.verification {
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
