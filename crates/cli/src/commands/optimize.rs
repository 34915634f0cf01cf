use super::target::{self, Destination};
use super::{Context, compare, convert, options};
use crate::args::Optimize;
use crate::table::{ms, table};
use modelsmith::bisect::bisect;
use modelsmith::compare::Comparison;
use modelsmith::optimize::{PassReport, Passes, Simplified, simplify};
use modelsmith::run::Opts;
use modelsmith::target::Targeted;
use modelsmith::write::{self, Placing, Verify};
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
    let placed = a.output.as_deref().map(|p| write::format_for(p, None).map(|format| (p, format)));
    let placed = placed.transpose()?;
    cx.progress.step("reading");
    let model =
        Model::open_sized(&a.input, &options::sizes(&a.inputs.sizes)?)?.define(&options::definitions(&a.ops)?)?;
    options::show_findings(cx, &model);
    let passes = Passes {
        only: a.passes.clone(),
        skip: a.skip.clone(),
        also: a.also.clone(),
        dump_after: a.dump_after.clone(),
        stop_after: a.stop_after.clone(),
    };
    let verify = Verify {
        inputs: options::inputs(&a.inputs)?,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
    };
    let Some((output, format)) = placed else { return find(cx, a, &model, &passes, &verify) };
    cx.progress.step("simplifying");
    let (hub, done) = simplify(&model, &passes)?;
    let wanted = (!a.no_verify).then_some(&verify);
    let (gaps, no_clobber) = (a.target.gaps, a.no_clobber);
    let placing = Placing { no_clobber, ..Placing::default() };
    let to = Destination { path: output, format, opset: a.opset, gaps, placing, verify: wanted };
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
    if written.as_ref().is_some_and(|w| !w.kept) {
        cx.screen.note("--bisect in the place of the output finds the rewrite");
    }
    let report = Report {
        input: a.input.display().to_string(),
        output: output.display().to_string(),
        written: written.as_ref().is_some_and(|w| w.kept),
        bytes: written.as_ref().map_or(0, |w| w.bytes),
        passes: &done,
        verification: written.as_ref().and_then(|w| w.verification.as_ref()),
        target: target.as_ref(),
    };
    cx.screen.document("optimize", &report)?;
    Ok(code)
}

/// The first pass and rewrite after which results differ.
fn find(cx: &Context, a: &Optimize, model: &Model, passes: &Passes, verify: &Verify) -> Result<u8> {
    cx.progress.step("bisecting");
    let found = bisect(model, passes, verify)?;
    cx.progress.end();
    let say = |text: &str| cx.screen.say(text);
    match &found {
        None => say("the results agree after all passes: there is nothing to find"),
        Some(b) => {
            compare::show_outputs(cx, &b.comparison.outputs);
            say(&format!("{} models compared: {}", b.tried, b.comparison.reason));
            say(&format!("first after pass {} of {}: {}", b.step, b.steps, b.pass));
            match &b.rewrite {
                Some(r) => say(&format!("rewrite {} of {} in it: {} at {}", r.number, b.rewrites, r.rule, r.node)),
                None => say("the pass changes the model as a whole"),
            }
            let name = b.rewrite.as_ref().map_or(&b.pass, |r| &r.rule);
            cx.screen.note(&format!("--skip {name} leaves it out"));
        }
    }
    let input = a.input.display().to_string();
    cx.screen.document("bisect", &serde_json::json!({ "input": input, "found": found }))?;
    Ok(u8::from(found.is_some()))
}

fn show(cx: &Context, done: &Simplified) {
    done.notes.iter().for_each(|n| cx.screen.note(n));
    if let Some(dump) = &done.dump {
        cx.screen.say(dump);
    }
    let row = |p: &PassReport| vec![p.pass.clone(), p.changes.to_string(), p.removed.to_string(), ms(p.ms)];
    let rows = done.passes.iter().filter(|p| p.changes > 0).map(row).collect::<Vec<_>>();
    cx.screen.note(&table(&["pass", "changes", "nodes removed", "time"], &[1, 2, 3], &rows));
    cx.screen.say(&format!("{} nodes became {}", done.nodes_before, done.nodes_after));
}
