//! The whole way from a model to an engine that is known to be right, with a report of it.

mod stages;

use crate::agreement::Agreement;
use crate::bench::{Measured, Profile};
use crate::compare::Comparison;
use crate::engine::StepInfo;
use crate::evaluate::Accuracy;
use crate::inputs::Inputs;
use crate::inspect::Inspection;
use crate::machine::Machine;
use crate::optimize::Simplified;
use crate::run::Opts;
use crate::{Definitions, Error, Result, files};
use serde::Serialize;
use std::path::{Path, PathBuf};

pub use stages::deploy;

/// What `deploy` is asked for.
#[derive(Clone, Debug, Default)]
pub struct DeployOptions {
    /// Where inputs come from.
    pub inputs: Inputs,
    /// What counts as agreement.
    pub agreement: Agreement,
    /// How the backends run.
    pub opts: Opts,
    /// Inputs with labels, and the labels.
    pub eval: Option<(PathBuf, PathBuf)>,
    /// Largest loss of accuracy.
    pub max_drop: f64,
    /// Limits that an engine must keep.
    pub limits: Limits,
    /// Runs to measure.
    pub iterations: usize,
    /// Operators of foreign domains.
    pub definitions: Definitions,
}

/// Limits of size, memory and latency.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Limits {
    /// Bytes of the engine file.
    pub size: Option<u64>,
    /// Bytes of memory planned for a run: activations, scratch and weights.
    pub memory: Option<u64>,
    /// Median latency in milliseconds.
    pub latency_ms: Option<f64>,
}

/// How a stage or precision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was done, and holds.
    Passed,
    /// It was done, and does not hold.
    Failed,
    /// It was done, and proves nothing either way.
    Inconclusive,
    /// This version does not have it.
    NotAvailable,
    /// It could not be done because an earlier stage failed, or was not asked for.
    Skipped,
}

/// One stage.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    /// Name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What came of it, in a sentence.
    pub detail: String,
    /// Seconds.
    pub seconds: f64,
}

/// The simplified model.
#[derive(Clone, Debug, Serialize)]
pub struct OptimizedModel {
    /// File, relative to the report; `None` when it was not kept.
    pub file: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// What the passes did.
    #[serde(flatten)]
    pub passes: Simplified,
    /// The written file against the original.
    pub verification: Option<Comparison>,
}

/// The engine of one precision.
#[derive(Clone, Debug, Serialize)]
pub struct Precision {
    /// `f32`, `bf16`, `fp16` or `int8`.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Engine file, relative to the report.
    pub file: Option<String>,
    /// Bytes of the engine file.
    pub bytes: u64,
    /// Bytes of its weights.
    pub weight_bytes: u64,
    /// Instruction set levels for which it holds a plan.
    pub levels: Vec<String>,
    /// Steps of its best plan.
    pub steps: Vec<StepInfo>,
    /// Steps that run the reference on data.
    pub fallbacks: Vec<String>,
    /// The engine against the reference on the original.
    pub verification: Option<Comparison>,
    /// Latency, throughput and memory.
    pub bench: Option<Measured>,
    /// Time of each step.
    pub profile: Option<Profile>,
    /// Accuracy on labels.
    pub accuracy: Option<Accuracy>,
}

/// All that `deploy` found. It is `report.json`, and the page shows nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this program.
    pub version: String,
    /// The original.
    pub model: Inspection,
    /// The machine.
    pub machine: Machine,
    /// Stages in order.
    pub stages: Vec<StageReport>,
    /// The simplified model.
    pub optimized: Option<OptimizedModel>,
    /// Precisions in the order in which they were tried.
    pub precisions: Vec<Precision>,
    /// The precision that is recommended: the fastest of those that passed.
    pub chosen: Option<String>,
    /// Limits that were asked for.
    pub limits: Limits,
    /// True when at least one engine passed.
    pub ok: bool,
    /// What the plots show.
    pub plots: crate::report::Plots,
}

/// Writes `report.json` and `report.html` into `dir`.
///
/// # Errors
/// When a file cannot be written.
pub fn write_report(dir: &Path, report: &Report) -> Result<()> {
    let fault = |e: serde_json::Error| Error::new(crate::Kind::Fault, format!("the report has no JSON form: {e}"));
    let mut value = serde_json::Map::new();
    value.insert("schema".into(), "modelsmith.deploy.v1".into());
    if let serde_json::Value::Object(fields) = serde_json::to_value(report).map_err(fault)? {
        value.extend(fields);
    }
    let value = serde_json::Value::Object(value);
    let json = serde_json::to_string_pretty(&value).map_err(fault)?;
    files::write(&dir.join("report.json"), json.as_bytes(), false)?;
    files::write(&dir.join("report.html"), crate::report::html(&value).as_bytes(), false)
}
