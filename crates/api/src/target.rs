//! Whether another runtime loads a model, and the same model in what that runtime has.

use crate::{Error, Model, Result};
use modelsmith_ir::{OpSetImport, Type};
use modelsmith_targets::{Legal, PROFILES, Profile, Report};
use serde::Serialize;
use std::path::Path;

pub use modelsmith_ir::Model as Graph;
pub use modelsmith_targets::{Gap, Profile as Target};

/// A runtime in one version, for the list of them.
#[derive(Clone, Debug, Serialize)]
pub struct TargetInfo {
    /// Name that `--target` takes.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Newest opset of the default domain; `None` where there is no limit.
    pub opset: Option<u32>,
    /// Operators that it has.
    pub operators: usize,
    /// Day on which the sources were read.
    pub read: String,
    /// Where the facts come from.
    pub sources: Vec<String>,
    /// What the profile does not know.
    pub unknown: Vec<String>,
}

/// Whether a model loads.
#[derive(Clone, Debug, Serialize)]
pub struct Targeted {
    /// Name of the profile.
    pub target: String,
    /// The runtime, for people.
    pub title: String,
    /// No gap is known.
    pub loads: bool,
    /// Nodes that were looked at, bodies and functions included.
    pub nodes: usize,
    /// Nodes that the runtime has.
    pub loaded: usize,
    /// Every gap.
    pub gaps: Vec<Gap>,
    /// What loads, but not as it says.
    pub remarks: Vec<String>,
    /// What the profile does not know.
    pub unknown: Vec<String>,
    /// What was changed, where the model was changed.
    pub changes: Vec<String>,
    /// The vendor's command.
    pub command: String,
}

/// A model in what a runtime has.
pub struct Prepared {
    /// The hub model to write.
    pub hub: modelsmith_ir::Model,
    /// Operator sets to write it at.
    pub opsets: Vec<OpSetImport>,
    /// What is left.
    pub report: Targeted,
    /// The largest part that loads, where something is left.
    pub part: Option<modelsmith_ir::Model>,
}

/// Every runtime, by name and version.
pub fn targets() -> Vec<TargetInfo> {
    let one = |p: &Profile| TargetInfo {
        name: p.name.clone(),
        title: p.title.clone(),
        opset: p.newest(""),
        operators: p.operators(),
        read: p.read.clone(),
        sources: p.sources.clone(),
        unknown: p.unknown.clone(),
    };
    PROFILES.iter().map(one).collect()
}

/// The profile called `name`; the newest of a runtime without a version.
///
/// # Errors
/// When there is none: all are listed.
pub fn find(name: &str) -> Result<&'static Target> {
    modelsmith_targets::find(name).ok_or_else(|| {
        let list = PROFILES.iter().map(|p| format!("{}: {}", p.name, p.title)).collect();
        Error::usage(format!("--target {name}: there is no such profile")).list(list)
    })
}

/// Every gap between the ONNX model `model` and `target`.
///
/// # Errors
/// When the model is not of ONNX.
pub fn check(model: &Model, target: &Target) -> Result<Targeted> {
    if model.format().is_none_or(|f| f.name != "onnx") {
        let help = format!(
            "convert it first: modelsmith convert {} OUT.onnx --target {}",
            model.path().display(),
            target.name
        );
        let what = format!("--target looks at ONNX models, this is a {}", model.format_title());
        return Err(Error::unsupported(what).in_file(model.path()).help(help));
    }
    let typed = modelsmith_targets::typed(model.file());
    let mut report = modelsmith_targets::check(&typed, target);
    sizes(model, target, &mut report);
    Ok(targeted(target, report, vec![], model.path(), model.hub()))
}

fn sizes(model: &Model, target: &Target, report: &mut Report) {
    let mut add = |reason: String, help: &str| {
        let (node, operator) = (String::new(), String::new());
        report.gaps.push(Gap { code: "target.size", node, operator, reason, help: help.into(), id: None });
    };
    if target.limits.message_bytes.is_some_and(|most| model.bytes() > most) {
        add(
            format!("the file has {} bytes, protobuf ends at 2 GiB", model.bytes()),
            "convert it: weights go to OUT.data",
        );
    }
    if model.files().len() > 1 && !target.limits.external_data {
        let names = model.files()[1..].iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
        add(
            format!("weights lie in other files, which are not read: {names}"),
            "convert it: up to 2 GiB everything is written into one file",
        );
    }
}

fn targeted(
    target: &Target,
    report: Report,
    changes: Vec<String>,
    path: &Path,
    hub: &modelsmith_ir::Model,
) -> Targeted {
    Targeted {
        target: target.name.clone(),
        title: target.title.clone(),
        loads: report.gaps.is_empty(),
        nodes: report.nodes,
        loaded: report.loaded,
        gaps: report.gaps,
        remarks: report.remarks,
        unknown: target.unknown.clone(),
        changes,
        command: target.command(&path.display().to_string(), free_shapes(hub).as_deref()),
    }
}

/// The shapes of all inputs as `x:1x3,y:1` with 1 for free dimensions, where there are such.
fn free_shapes(hub: &modelsmith_ir::Model) -> Option<String> {
    let params = &hub.graph().params;
    params.iter().any(|&p| matches!(hub.ty(p), Type::Tensor(_)) && hub.ty(p).sizes().is_none()).then(|| {
        let dims = |p| hub.ty(p).shape().unwrap_or_default().iter().map(|d| d.size().unwrap_or(1).to_string());
        let one =
            |&p: &modelsmith_ir::ValueId| format!("{}:{}", hub.values[p].name, dims(p).collect::<Vec<_>>().join("x"));
        params.iter().map(one).collect::<Vec<_>>().join(",")
    })
}

/// Says `hub`, made from `model`, in what `target` has; `opset` fixes the opset. `out` is the name that the command names.
pub fn prepare(model: &Model, hub: &modelsmith_ir::Model, target: &Target, opset: Option<u32>, out: &Path) -> Prepared {
    let from = if model.file().meta.opsets.is_empty() { &hub.meta.opsets } else { &model.file().meta.opsets };
    let Legal { model: made, opsets, report, changes, part } = modelsmith_targets::legalise(hub, from, target, opset);
    let report = targeted(target, report, changes, out, part.as_ref().unwrap_or(&made));
    Prepared { hub: made, opsets, report, part }
}
