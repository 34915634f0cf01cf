use super::target::{self, Destination};
use super::{Context, convert, options};
use crate::args::Optimize;
use crate::table::{ms, table};
use modelsmith::compare::Comparison;
use modelsmith::optimize::{PassReport, Passes, Simplified, simplify};
use modelsmith::run::Opts;
use modelsmith::target::Targeted;
use modelsmith::write::{self, Verify};
use modelsmith::{Model, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Report<'a> {
    input: String,
    output: String,
    written: bool,
    bytes: u64,
    #[serde(flatten)]
    passes: &'a Simplified,
    verification: Option<&'a Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Targeted>,
}

pub fn run(cx: &Context, a: &Optimize) -> Result<u8> {
    let format = write::format_for(&a.output, None)?;
    cx.progress.step("reading");
    let model = Model::open_sized(&a.input, &options::sizes(&a.inputs.sizes)?)?;
    options::show_findings(cx, &model);
    cx.progress.step("simplifying");
    let passes = Passes { only: a.passes.clone(), skip: a.skip.clone(), dump_after: a.dump_after.clone() };
    let (hub, done) = simplify(&model, &passes)?;
    let verify = Verify {
        inputs: options::inputs(&a.inputs)?,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
    };
    let wanted = (!a.no_verify).then_some(&verify);
    let (gaps, no_clobber) = (a.target.gaps, a.no_clobber);
    let to = Destination { path: &a.output, format, opset: a.opset, gaps, no_clobber, verify: wanted };
    let (written, target) = match target::profile(&a.target)? {
        Some(p) => {
            let (written, _, target) = target::write_for(cx, &model, &hub, p, &to)?;
            (written, target)
        }
        None => {
            cx.progress.step("writing and verifying");
            let opsets = write::target_opsets(&model, a.opset);
            (Some(write::write(&model, &hub, to.path, format, opsets, no_clobber, wanted)?), None)
        }
    };
    cx.progress.end();
    show(cx, &done);
    let code = match (&target, &written) {
        (Some(t), w) => target::show_written(cx, &to, w.as_ref(), t),
        (None, Some(w)) => convert::show(cx, to.path, w),
        (None, None) => 1,
    };
    let report = Report {
        input: a.input.display().to_string(),
        output: a.output.display().to_string(),
        written: written.as_ref().is_some_and(|w| w.kept),
        bytes: written.as_ref().map_or(0, |w| w.bytes),
        passes: &done,
        verification: written.as_ref().and_then(|w| w.verification.as_ref()),
        target: target.as_ref(),
    };
    cx.screen.document("optimize", &report)?;
    Ok(code)
}

fn show(cx: &Context, done: &Simplified) {
    if let Some(dump) = &done.dump {
        cx.screen.say(dump);
    }
    let row = |p: &PassReport| vec![p.pass.clone(), p.changes.to_string(), p.removed.to_string(), ms(p.ms)];
    let rows = done.passes.iter().filter(|p| p.changes > 0).map(row).collect::<Vec<_>>();
    cx.screen.note(&table(&["pass", "changes", "nodes removed", "time"], &[1, 2, 3], &rows));
    cx.screen.say(&format!("{} nodes became {}", done.nodes_before, done.nodes_after));
}
