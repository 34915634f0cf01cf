use super::{Context, options, target};
use crate::args::Check;
use modelsmith::check::{Checked, check};
use modelsmith::run::Opts;
use modelsmith::target::{Targeted, find};
use modelsmith::{Error, Model, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    checked: &'a Checked,
    #[serde(flatten)]
    target: Option<&'a Targeted>,
}

#[derive(Serialize)]
struct Repaired<'a> {
    output: String,
    written: bool,
    freed: &'a [String],
    left: &'a [String],
    sizes: &'a [(String, usize)],
    verification: Option<&'a modelsmith::compare::Comparison>,
}

/// Writes the model with its shapes freed.
fn fix(cx: &Context, a: &Check, model: &Model, out: &std::path::Path) -> Result<u8> {
    cx.progress.step("freeing shapes");
    let opts = Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() };
    let (fixed, written) = modelsmith::check::fix(model, out, a.no_clobber, &opts)?;
    cx.progress.end();
    fixed.done.iter().for_each(|d| cx.screen.say(&format!("freed {d}")));
    fixed.left.iter().for_each(|l| cx.screen.say(&format!("left {l}")));
    cx.screen
        .say(&format!("compared where the shapes were written down: {}; run at larger sizes too", fixed.sizes_text()));
    let code = super::convert::show(cx, out, &written);
    let (freed, left, sizes) = (&fixed.done[..], &fixed.left[..], &fixed.sizes[..]);
    let (output, verification) = (out.display().to_string(), written.verification.as_ref());
    cx.screen.document("fix", &Repaired { output, written: written.kept, freed, left, sizes, verification })?;
    Ok(if fixed.left.is_empty() { code } else { 1 })
}

pub fn run(cx: &Context, a: &Check) -> Result<u8> {
    if a.target.as_deref() == Some("help") {
        return target::list(cx);
    }
    let profile = a.target.as_deref().map(find).transpose()?;
    let path = a.model.as_ref().ok_or_else(|| Error::usage("a model is wanted"))?;
    let model = Model::open(path)?.define(&options::definitions(&a.ops)?)?;
    if let Some(out) = &a.fix {
        return fix(cx, a, &model, out);
    }
    let found: Checked = check(&model);
    let target = profile.map(|p| modelsmith::target::check(&model, p)).transpose()?;
    for f in &found.findings {
        // What this program does not know, another runtime may.
        if target.is_some() && f.severity != "error" {
            continue;
        }
        let place = if f.place.is_empty() { String::new() } else { format!(" ({})", f.place) };
        cx.screen.say(&format!("{}[{}]: {}{place}", f.severity, f.code, f.message));
        if let Some(help) = &f.help {
            cx.screen.say(&format!("  help: {help}"));
        }
    }
    cx.screen.say(&cx.screen.verdict(found.valid, if found.valid { "valid" } else { "not valid" }));
    if let Some(t) = &target {
        target::show(cx, t);
    }
    cx.screen.document("check", &Report { checked: &found, target: target.as_ref() })?;
    if found.valid && target.is_none() {
        model.supported()?;
    }
    Ok(u8::from(!found.valid || target.is_some_and(|t| !t.loads)))
}
