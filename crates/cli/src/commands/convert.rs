use super::{Context, compare, options};
use crate::args::Convert;
use crate::table::bytes;
use modelsmith::checkpoint::{self, Checkpoint, File};
use modelsmith::compare::{Comparison, Verdict};
use modelsmith::inspect::Finding;
use modelsmith::run::Opts;
use modelsmith::write::{self, Verify, Written};
use modelsmith::{Error, Result};
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
    verification: &'a Option<Comparison>,
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
        match checkpoint::open_sized(input, &options::sizes(&a.inputs.sizes)?)? {
            File::Checkpoint(c) => return super::checkpoint::convert(cx, a, &c, output),
            File::Model(m) if !graphs => {
                return super::checkpoint::convert(cx, a, &Checkpoint::of_model(&m)?, output);
            }
            File::Model(_) => {}
        }
    }
    let format = write::format_for(output, a.to.as_deref())?;
    let model = super::checkpoint::bound(cx, input, &a.inputs.sizes, &a.graph, &a.tensors)?;
    options::show_findings(cx, &model);
    let inputs = options::inputs(&a.inputs)?;
    let mut hub = model.hub().clone();
    // A shape of nothing but `?` says of how many dimensions an input is; it fixes none.
    let sized = inputs.sizes.shapes.iter().any(|(_, s)| s.is_empty() || s.iter().any(Option::is_some));
    if a.fixed || sized || !inputs.sizes.dims.is_empty() {
        write::specialise(&mut hub, &inputs.sizes.bind(model.hub())?);
    }
    let opsets = write::target_opsets(&model, a.opset);
    let verify = Verify {
        inputs,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
    };
    cx.progress.step("writing and verifying");
    let wanted = (a.verify != "no").then_some(&verify);
    let done = write::write(&model, &hub, output, format, opsets.clone(), a.no_clobber, wanted)?;
    cx.progress.end();
    let code = show(cx, output, &done);
    let opsets = opsets.into_iter().map(|o| (o.domain, o.version)).collect();
    cx.screen.document(
        "convert",
        &Report {
            input: model.path().display().to_string(),
            output: output.display().to_string(),
            format: format.name,
            opsets,
            written: done.kept,
            bytes: done.bytes,
            findings: &done.findings,
            verification: &done.verification,
        },
    )?;
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
