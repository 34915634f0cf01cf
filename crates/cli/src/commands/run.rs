use super::{Context, options};
use crate::args::Run;
use crate::table::{ms, number, table};
use modelsmith::Result;
use modelsmith::agreement::Agreement;
use modelsmith::judge::{Backend, Judge};
use modelsmith::run::{self, OutputCheck, OutputSummary};
use serde::Serialize;

#[derive(Serialize)]
struct Checked<'a> {
    model: String,
    test_data: String,
    backend: &'a str,
    passed: bool,
    outputs: &'a [OutputCheck],
}

#[derive(Serialize)]
struct Ran<'a> {
    model: String,
    backend: &'a str,
    milliseconds: f64,
    inputs: &'a [modelsmith::inputs::InputInfo],
    outputs: &'a [OutputSummary],
}

pub fn run(cx: &Context, a: &Run) -> Result<u8> {
    let backend = Backend::parse(&a.backend)?;
    let opts =
        run::Opts { threads: cx.threads, isa: cx.isa.clone(), no_fallback: a.no_fallback, ..run::Opts::default() };
    let model = options::model(cx, &a.model, a.cache.as_deref(), backend, &a.inputs.sizes, &a.ops)?;
    options::show_findings(cx, &model);
    match &a.test_data {
        Some(dir) => {
            let agreement = test_data_agreement(a)?;
            let outputs = run::check_test_data(&model, dir, &Judge::Backend(backend), &opts, &agreement)?;
            let passed = outputs.iter().all(|o| o.agrees);
            show_check(cx, &outputs, passed);
            let (model, test_data) = (a.model.display().to_string(), dir.display().to_string());
            cx.screen
                .document("run", &Checked { model, test_data, backend: backend.name(), passed, outputs: &outputs })?;
            Ok(u8::from(!passed))
        }
        None => {
            let done = run::once(&model, &options::inputs(&a.inputs)?, &Judge::Backend(backend), &opts)?;
            options::show_inputs(cx, &done.inputs, &done.assumed);
            if let Some(dir) = &a.inputs.save_inputs {
                run::save(dir, &model.input_names(), &done.fed)?;
            }
            if let Some(dir) = &a.output_dir {
                run::save(dir, &model.output_names(), &done.outputs)?;
            }
            let outputs = run::summarise(&model.output_names(), &done.outputs);
            show_outputs(cx, &outputs, done.milliseconds);
            let model = a.model.display().to_string();
            let (inputs, milliseconds) = (&done.inputs[..], done.milliseconds);
            cx.screen
                .document("run", &Ran { model, backend: backend.name(), milliseconds, inputs, outputs: &outputs })?;
            Ok(0)
        }
    }
}

/// Test data is held to rtol 1e-3 and atol 1e-7 unless told otherwise.
fn test_data_agreement(a: &Run) -> Result<Agreement> {
    let mut out = options::agreement(&a.agreement)?;
    if a.agreement.atol.iter().all(|t| t.contains('=')) {
        out.tolerance.atol = modelsmith::agreement::Atol::Absolute(1e-7);
    }
    Ok(out)
}

fn show_check(cx: &Context, outputs: &[OutputCheck], passed: bool) {
    let row = |o: &OutputCheck| {
        let verdict = match (&o.mismatch, o.agrees) {
            (Some(why), _) => why.clone(),
            (None, true) => "agrees".into(),
            (None, false) => format!("{} of {} outside", o.outside, o.count),
        };
        vec![o.name.clone(), o.ty.clone(), number(o.max_abs), number(o.largest), verdict]
    };
    let rows = outputs.iter().map(row).collect::<Vec<_>>();
    cx.screen.say(&table(&["output", "type", "max diff", "largest", "verdict"], &[2, 3], &rows));
    cx.screen.say(&cx.screen.verdict(passed, if passed { "passed" } else { "failed" }));
}

fn show_outputs(cx: &Context, outputs: &[OutputSummary], milliseconds: f64) {
    let row = |o: &OutputSummary| vec![o.name.clone(), o.ty.clone(), o.range.clone(), o.first.clone()];
    let rows = outputs.iter().map(row).collect::<Vec<_>>();
    cx.screen.say(&table(&["output", "type", "range", "first values"], &[], &rows));
    cx.screen.note(&format!("one run, first of its kind: {}", ms(milliseconds)));
}
