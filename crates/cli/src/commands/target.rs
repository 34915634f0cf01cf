//! `--target` of check, convert and optimize: what another runtime lacks, and what is written in that case.

use super::{Context, convert};
use crate::args::{Gaps, TargetArgs};
use crate::table::table;
use modelsmith::target::{self, Graph, Prepared, Target, Targeted};
use modelsmith::write::{self, Format, Opsets, Placing, Verify, Written};
use modelsmith::{Error, Model, Result};
use std::path::Path;

/// The list of profiles.
pub fn list(cx: &Context) -> Result<u8> {
    let all = target::targets();
    let row = |t: &target::TargetInfo| {
        let opset = t.opset.map_or("no limit".into(), |o| o.to_string());
        vec![t.name.clone(), t.title.clone(), opset, t.operators.to_string(), t.read.clone()]
    };
    let head = ["name", "runtime", "newest opset", "operators", "read"];
    cx.screen.say(&table(&head, &[3], &all.iter().map(row).collect::<Vec<_>>()));
    cx.screen.document("targets", &serde_json::json!({ "targets": all }))?;
    Ok(0)
}

/// Prints every gap, what to do about them, and the vendor's command.
pub fn show(cx: &Context, t: &Targeted) {
    let s = cx.screen;
    t.changes.iter().for_each(|c| s.say(&format!("changed: {c}")));
    for g in &t.gaps {
        let place = if g.node.is_empty() { String::new() } else { format!("node {}: ", g.node) };
        let operator = if g.operator.is_empty() { String::new() } else { format!("{}: ", g.operator) };
        s.say(&format!("gap[{}]: {place}{operator}{}", g.code, g.reason));
    }
    let mut advice = t.gaps.iter().map(|g| g.help.as_str()).filter(|h| !h.is_empty()).collect::<Vec<_>>();
    advice.sort_unstable();
    advice.dedup();
    advice.iter().for_each(|h| s.note(&format!("help: {h}")));
    t.remarks.iter().for_each(|r| s.note(&format!("note: {r}")));
    s.note(&format!("not known of {}: {}", t.title, t.unknown.join("; ")));
    let word = if t.loads { "loads" } else { "does not load" };
    let counts = format!("{} of {} nodes are there, {} gaps", t.loaded, t.nodes, t.gaps.len());
    s.say(&format!("{}: {} ({counts})", s.verdict(t.loads, word), t.title));
    s.say(&format!("command: {}", t.command));
}

/// Writes a model in what `profile` has, or the part of it that `--gaps` wants; the exit code is 1 where gaps are left.
pub fn write_for(
    cx: &Context,
    model: &Model,
    hub: &Graph,
    profile: &Target,
    to: &Destination,
) -> Result<(Option<Written>, Vec<Opsets>, Option<Targeted>)> {
    cx.progress.step("fitting the model to the target");
    let Prepared { hub, opsets, report, part } = target::prepare(model, hub, profile, to.opset, to.path);
    let whole = |original: &Model, hub: &Graph, verify| {
        cx.progress.step("writing and verifying");
        let done = write::write_placed(original, hub, to.path, to.format, opsets.clone(), to.placing, verify);
        cx.progress.end();
        done
    };
    if report.loads || to.gaps == Gaps::Whole {
        return Ok((Some(whole(model, &hub, to.verify)?), opsets.clone(), Some(report)));
    }
    let Some(part) = part.filter(|_| to.gaps == Gaps::Part) else {
        cx.progress.end();
        return Ok((None, opsets, Some(report)));
    };
    if same_file(model.path(), to.path) {
        let help = "give another OUT, or --gaps whole";
        return Err(Error::usage("a part of the model would take the place of the model").in_file(to.path).help(help));
    }
    // The part is judged against itself before it was written: the model has other inputs and outputs.
    let original = model.with_hub(part.clone());
    Ok((Some(whole(&original, &part, to.verify)?), opsets.clone(), Some(report)))
}

/// Where and how to write.
pub struct Destination<'a> {
    pub path: &'a Path,
    pub format: &'static Format,
    pub opset: Option<u32>,
    pub gaps: Gaps,
    pub placing: Placing,
    pub verify: Option<&'a Verify>,
}

fn same_file(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| p.canonicalize().ok();
    real(a).is_some_and(|a| Some(a) == real(b))
}

/// Says what was written and what is left; the exit code.
pub fn show_written(cx: &Context, to: &Destination, done: Option<&Written>, t: &Targeted) -> u8 {
    show(cx, t);
    let code = match done {
        Some(done) => convert::show(cx, to.path, done),
        None => {
            cx.screen.note("nothing was written");
            1
        }
    };
    if let (Some(_), false, Gaps::Part) = (done, t.loads, to.gaps) {
        cx.screen
            .say("OUT is a part of the model: the largest without the nodes above; its inputs and outputs are others");
    }
    code.max(u8::from(!t.loads))
}

/// The profile that was asked for.
pub fn profile(a: &TargetArgs) -> Result<Option<&'static Target>> {
    a.target.as_deref().map(target::find).transpose()
}
