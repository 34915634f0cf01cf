//! The machine that runs passes and rules over the IR: type guard, tracing, pipelines, inlining, and the automatic
//! check of rules against the reference. None of the rules live here.
#![forbid(unsafe_code)]

pub mod check;
mod error;
mod graph;
pub mod inline;
mod pass;
mod pattern;
mod pipeline;
mod rule;
pub mod sweep;
mod target;
mod trace;

pub use error::{Error, Miss, Result, Try};
pub use graph::Graph;
pub use pass::{Kind, Pass, PassCx, Preserves};
pub use pattern::Match;
pub use pipeline::{Options, Pipeline, Report, Stage, Step, count_nodes, run};
pub use rule::{Body, Rule, apply_rules};
pub use target::Target;
pub use trace::{Choice, Event, Trace};
