use super::target::{self, Destination};
use super::{Context, compare, options};
use crate::args::Convert;
use crate::table::bytes;
use modelsmith::checkpoint::{self, Checkpoint, File};
use modelsmith::compare::{Comparison, Verdict};
use modelsmith::inspect::Finding;
use modelsmith::run::Opts;
use modelsmith::target::{Graph, Target, Targeted};
use modelsmith::write::{self, Placing, Verify, Written};
use modelsmith::{Error, Model, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Report<'a> {
    input: String,
    output: String,
    format: &'a str,
    opsets: Vec<(String, u32)>,
    written: bool,
    bytes: u64,
    findings: &'a [Finding],
    verification: Option<&'a Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Targeted>,
}

pub fn run(cx: &Context, a: &Convert) -> Result<u8> {
    if !matches!(a.verify.as_str(), "no" | "yes" | "full") {
        return Err(Error::usage(format!("--verify {}: no, yes or full is wanted", a.verify)));
    }
    cx.progress.step("reading");
    let (input, output) = match a.output.as_ref().or(a.to_file.as_ref()) {
        Some(output) => (Some(a.input.as_path()), output.as_path()),
        None => (None, a.input.as_path()),
    };
    if let (Some(input), None, None) = (input, &a.graph.graph, &a.graph.weights) {
        // A name without a format is wrong before the input is looked at.
        let graphs = match super::checkpoint::is_folder(output) {
            true => true,
            false => write::format_for(output, a.to.as_deref())?.graphs,
        };
        let weights_alone = || match a.external_data {
            true => Err(Error::usage("--external-data: weights without a graph lie in no file beside one")),
            false => Ok(()),
        };
        match checkpoint::open_sized(input, &options::sizes(&a.inputs.sizes)?)? {
            File::Checkpoint(c) => {
                weights_alone()?;
                return super::checkpoint::convert(cx, a, &c, output);
            }
            File::Model(m) if !graphs => {
                weights_alone()?;
                return super::checkpoint::convert(cx, a, &Checkpoint::of_model(&m)?, output);
            }
            File::Model(_) => {}
        }
    }
    let format = write::format_for(output, a.to.as_deref())?;
    let model = super::checkpoint::bound(cx, input, &a.inputs.sizes, &a.graph, &a.tensors)?;
    let model = model.define(&options::definitions(&a.ops)?)?;
    options::show_findings(cx, &model);
    let inputs = options::inputs(&a.inputs)?;
    // A shape of nothing but `?` says of how many dimensions an input is; it fixes none.
    let sized = inputs.sizes.shapes.iter().any(|(_, s)| s.is_empty() || s.iter().any(Option::is_some));
    let specialised = a.fixed || sized || !inputs.sizes.dims.is_empty();
    // Where nothing is to change but the notation, the graph stays as the file has it.
    let as_it_is = write::same_operators(&model, format, a.opset) && !specialised && a.target.target.is_none();
    let mut hub = if as_it_is { model.file().clone() } else { model.hub().clone() };
    if specialised {
        write::specialise(&mut hub, &inputs.sizes.bind(model.hub())?);
    }
    let verify = Verify {
        inputs,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
    };
    let wanted = (a.verify != "no").then_some(&verify);
    let (opset, gaps) = (a.opset, a.target.gaps);
    let placing = Placing { no_clobber: a.no_clobber, external_data: a.external_data };
    let to = Destination { path: output, format, opset, gaps, placing, verify: wanted };
    write_model(cx, &model, &hub, &to, target::profile(&a.target)?)
}

/// Writes a model, for a target where one is given, and reports.
fn write_model(
    cx: &Context,
    model: &Model,
    hub: &Graph,
    to: &Destination,
    profile: Option<&'static Target>,
) -> Result<u8> {
    let (done, opsets, target) = match profile {
        Some(p) => target::write_for(cx, model, hub, p, to)?,
        None => {
            cx.progress.step("writing and verifying");
            let opsets = write::target_opsets(model, to.opset);
            let done = write::write_placed(model, hub, to.path, to.format, opsets.clone(), to.placing, to.verify)?;
            cx.progress.end();
            (Some(done), opsets, None)
        }
    };
    let code = match (&target, &done) {
        (Some(t), done) => target::show_written(cx, to, done.as_ref(), t),
        (None, Some(done)) => show(cx, to.path, done),
        (None, None) => 1,
    };
    let report = Report {
        input: model.path().display().to_string(),
        output: to.path.display().to_string(),
        format: to.format.name,
        opsets: opsets.into_iter().map(|o| (o.domain, o.version)).collect(),
        written: done.as_ref().is_some_and(|d| d.kept),
        bytes: done.as_ref().map_or(0, |d| d.bytes),
        findings: done.as_ref().map_or(&[], |d| &d.findings),
        verification: done.as_ref().and_then(|d| d.verification.as_ref()),
        target: target.as_ref(),
    };
    cx.screen.document("convert", &report)?;
    Ok(code)
}

/// Says what was written and what the verification found; returns the exit code.
pub fn show(cx: &Context, output: &std::path::Path, done: &Written) -> u8 {
    let s = cx.screen;
    for f in &done.findings {
        let place = if f.place.is_empty() { String::new() } else { format!(" ({})", f.place) };
        s.note(&format!("{}[{}]: {}{place}", f.severity, f.code, f.message));
    }
    match &done.verification {
        Some(v) => {
            options::show_inputs(cx, &v.inputs, &v.assumed);
            compare::show_outputs(cx, &v.outputs);
            let word = match v.verdict {
                Verdict::Agree => "verified",
                Verdict::Differ => "refused",
                Verdict::Inconclusive => "inconclusive",
            };
            s.say(&format!("{}: {}", s.verdict(done.kept, word), v.reason));
        }
        None => s.note("not verified"),
    }
    match done.kept {
        true => s.say(&format!("{}  {}", output.display(), bytes(done.bytes))),
        false => s.note("nothing was written"),
    }
    u8::from(!done.kept)
}
