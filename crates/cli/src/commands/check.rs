use super::{Context, options, target};
use crate::args::Check;
use modelsmith::check::{Checked, check};
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

pub fn run(cx: &Context, a: &Check) -> Result<u8> {
    if a.target.as_deref() == Some("help") {
        return target::list(cx);
    }
    let profile = a.target.as_deref().map(find).transpose()?;
    let path = a.model.as_ref().ok_or_else(|| Error::usage("a model is wanted"))?;
    let model = Model::open(path)?.define(&options::definitions(&a.ops)?)?;
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
