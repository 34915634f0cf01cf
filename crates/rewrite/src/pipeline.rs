use crate::{Choice, Error, Kind, Pass, PassCx, Preserves, Result, Target, Trace};
use modelsmith_ir::{Model, text, verify};
use std::time::{Duration, Instant};

/// Passes that run one after the other, once or until nothing changes.
#[derive(Clone, Copy)]
pub struct Stage {
    /// The passes, in order.
    pub passes: &'static [&'static Pass],
    /// Most rounds; 1 runs each pass once.
    pub rounds: usize,
}

/// A named sequence of stages.
pub struct Pipeline {
    /// Name.
    pub name: &'static str,
    /// Stages, in order.
    pub stages: &'static [Stage],
}

impl Pipeline {
    /// Every pass, in order, each once.
    pub fn passes(&self) -> Vec<&'static Pass> {
        let mut out = Vec::<&Pass>::new();
        for p in self.stages.iter().flat_map(|s| s.passes) {
            if out.iter().all(|q| q.name != p.name) {
                out.push(p);
            }
        }
        out
    }
}

/// What a user may ask of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Run these `May` passes and rules only; empty for all.
    pub only: Vec<String>,
    /// Leave these `May` passes and rules out.
    pub skip: Vec<String>,
    /// Run these passes too, which do not preserve results or what a caller can give.
    pub also: Vec<String>,
    /// Stop after this pass has run once.
    pub stop_after: Option<String>,
    /// Stop after so many runs of passes.
    pub max_steps: Option<usize>,
    /// In the last of these, stop after so many rewrites.
    pub max_rewrites: Option<usize>,
    /// Keep the text of the model after these passes; `all` for every one.
    pub dump_after: Vec<String>,
    /// Run the verifier after each pass.
    pub verify: bool,
    /// Allow passes that do not preserve results.
    pub lossy: bool,
    /// Keep every event of the trace.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            only: vec![],
            skip: vec![],
            also: vec![],
            stop_after: None,
            max_steps: None,
            max_rewrites: None,
            dump_after: vec![],
            verify: cfg!(debug_assertions),
            lossy: false,
            trace: false,
        }
    }
}

/// One pass as it ran.
#[derive(Clone, Debug)]
pub struct Step {
    /// The pass.
    pub pass: &'static str,
    /// Nodes before, bodies and functions included.
    pub before: usize,
    /// Nodes after.
    pub after: usize,
    /// Changes made.
    pub changes: usize,
    /// Rewrites that can be counted one by one.
    pub rewrites: usize,
    /// How long it took.
    pub time: Duration,
    /// The model afterwards, where asked for.
    pub dump: Option<String>,
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Passes in the order in which they ran; those of a repeated stage occur more than once.
    pub steps: Vec<Step>,
    /// What rules did.
    pub trace: Trace,
}

/// Number of nodes of all graphs, bodies and functions.
pub fn count_nodes(model: &Model) -> usize {
    model.nodes.len()
}

/// Runs a pipeline.
///
/// # Errors
/// When the options name an unknown pass, or a pass fails or leaves a broken model.
pub fn run(model: &mut Model, pipeline: &Pipeline, target: &Target, options: &Options) -> Result<Report> {
    check_names(pipeline, options)?;
    let mut report = Report { trace: Trace { verbose: options.trace, ..Trace::default() }, ..Report::default() };
    // A model that was broken before tells nothing about a pass.
    let verify_each = options.verify && verify(model).is_empty();
    for stage in pipeline.stages {
        for _ in 0..stage.rounds {
            let mut changes = 0;
            for pass in stage.passes.iter().filter(|p| wanted(p, options)) {
                let number = report.steps.len() + 1;
                if options.max_steps.is_some_and(|most| number > most) {
                    return Ok(report);
                }
                let left = options.max_rewrites.filter(|_| options.max_steps == Some(number));
                report.trace.choice = choice(pass, options, left);
                let step = one(model, pass, target, options, &mut report.trace, verify_each)?;
                changes += step.changes;
                report.steps.push(step);
                if options.stop_after.as_deref() == Some(pass.name) {
                    return Ok(report);
                }
            }
            if changes == 0 {
                break;
            }
        }
    }
    Ok(report)
}

fn check_names(pipeline: &Pipeline, options: &Options) -> Result<()> {
    let passes = pipeline.passes();
    let known = passes.iter().map(|p| p.name).collect::<Vec<_>>();
    let is_pass = |n: &String| known.contains(&n.as_str());
    let is_rule = |n: &String| passes.iter().flat_map(|p| p.all_rules()).any(|r| r.name == n);
    let dumps = options.dump_after.iter().filter(|d| *d != "all");
    let mut whole = options.stop_after.iter().chain(&options.also).chain(dumps);
    let mut either = options.only.iter().chain(&options.skip);
    match whole.find(|n| !is_pass(n)).or_else(|| either.find(|n| !is_pass(n) && !is_rule(n))) {
        Some(name) => Err(Error::UnknownPass { name: name.clone(), known }),
        None => Ok(()),
    }
}

fn wanted(pass: &Pass, options: &Options) -> bool {
    if pass.kind == Kind::Must {
        return true;
    }
    let named = |list: &[String]| list.iter().any(|n| n == pass.name);
    let by_rule = || pass.all_rules().any(|r| options.only.iter().any(|n| n == r.name));
    let asked = named(&options.only) || named(&options.also);
    let chosen = options.only.is_empty() || asked || by_rule();
    let lossy = matches!(pass.preserves, Preserves::Lossy(_)) && !options.lossy && !asked;
    chosen && !named(&options.skip) && !lossy
}

/// The rules that act in `pass`: all of a pass that is named itself, else those that are named.
fn choice(pass: &Pass, options: &Options, left: Option<usize>) -> Choice {
    let whole = options.only.is_empty() || pass.kind == Kind::Must || options.only.iter().any(|n| n == pass.name);
    Choice {
        only: (!whole).then(|| options.only.iter().cloned().collect()),
        skip: options.skip.iter().cloned().collect(),
        left,
    }
}

fn one(
    model: &mut Model,
    pass: &Pass,
    target: &Target,
    options: &Options,
    trace: &mut Trace,
    verify_each: bool,
) -> Result<Step> {
    let before = count_nodes(model);
    let fired = |trace: &Trace| trace.fired.values().sum::<usize>();
    let fired_before = fired(trace);
    let start = Instant::now();
    let changes = (pass.run)(&mut PassCx { model, target, trace });
    let time = start.elapsed();
    let changes = changes.map_err(|message| Error::Pass { pass: pass.name, message })?;
    if verify_each {
        let found = verify(model);
        if !found.is_empty() {
            return Err(Error::Broken { pass: pass.name, found });
        }
    }
    let rewrites = fired(trace) - fired_before;
    let dump = options.dump_after.iter().any(|d| d == "all" || d == pass.name).then(|| text::print(model));
    Ok(Step { pass: pass.name, before, after: count_nodes(model), changes, rewrites, time, dump })
}
