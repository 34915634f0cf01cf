//! Measuring: latency, throughput, memory, time per step, and two models in turns.

mod profile;
mod stats;
mod turns;

pub use profile::{Layer, Profile, profile};
pub use stats::{Latency, latency};
pub use turns::{Turns, in_turns};

use crate::inputs::Inputs;
use crate::judge::{Judge, Runs};
use crate::machine::{self, Machine};
use crate::{Error, Kind, Model, Result};
use modelsmith_ops::run::Opts;
use modelsmith_tensor::Value;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Runs before measuring.
    pub warmup: usize,
    /// Runs to measure, or a time to measure for.
    pub measure: Measure,
}

/// When measuring ends.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// After this many runs.
    Iterations(usize),
    /// After this time, and at least one run.
    For(Duration),
}

impl Default for Amount {
    fn default() -> Self {
        Amount { warmup: 10, measure: Measure::Iterations(100) }
    }
}

/// Reads `3s`, `500ms` or `2m`.
///
/// # Errors
/// When the text is not a positive time.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = || Error::usage(format!("{text}: a time such as 3s, 500ms or 2m is wanted"));
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err(bad()),
    };
    let seconds = number.trim().parse::<f64>().map_err(|_| bad())? * scale;
    if seconds > 0.0 && seconds < 1e6 { Ok(Duration::from_secs_f64(seconds)) } else { Err(bad()) }
}

/// A measured model.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// File.
    pub model: String,
    /// Who ran it.
    pub runner: String,
    /// Threads that ran; 0 where the runner does not say.
    pub threads: usize,
    /// Instruction set level of the plan.
    pub level: Option<String>,
    /// Why a plan of a higher level was passed by.
    pub level_note: Option<String>,
    /// Time to load, in milliseconds.
    pub load_ms: f64,
    /// Time of the first run, in milliseconds.
    pub first_ms: f64,
    /// Latency.
    pub latency: Latency,
    /// Most memory that the process held so far, in bytes.
    pub peak_memory: u64,
    /// Memory planned for the sizes that ran.
    pub memory: Option<Memory>,
    /// The machine while it was measured.
    pub machine: Machine,
    /// What may have disturbed the measurement.
    pub remarks: Vec<String>,
}

/// Memory planned for one run.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Bytes of the arena for activations.
    pub planned_peak: u64,
    /// Largest sum of activations alive at once: no plan needs less.
    pub largest_live: u64,
    /// Bytes of scratch memory of kernels.
    pub scratch: u64,
    /// Bytes of results, outside the arena.
    pub results: u64,
    /// Bytes alive during each step.
    pub live: Vec<u64>,
    /// Labels of the steps.
    pub steps: Vec<String>,
}

/// A model that is loaded, with inputs to run it on.
pub struct Subject {
    name: String,
    runner: String,
    side: Box<dyn Runs>,
    inputs: Vec<Value>,
    load_ms: f64,
    first_ms: f64,
    disturbed: Vec<String>,
}

impl Subject {
    /// Loads a model or engine and runs it once, on inputs that are drawn again while it fails on them.
    ///
    /// # Errors
    /// When it cannot be loaded, or fails on every draw.
    pub fn load(model: &Model, judge: &Judge, opts: &Opts, inputs: &Inputs) -> Result<Subject> {
        let disturbed = Machine::here().remarks();
        let begun = Instant::now();
        let mut side = judge.load(model, opts)?;
        let load_ms = begun.elapsed().as_secs_f64() * 1e3;
        let maker = inputs.maker(model.hub())?;
        let mut last = None;
        for attempt in 0..maker.attempts() {
            let inputs = maker.sample(0, attempt)?;
            let begun = Instant::now();
            match side.run(&inputs) {
                Ok(_) => {
                    let first_ms = begun.elapsed().as_secs_f64() * 1e3;
                    let (name, runner) = (model.path().display().to_string(), judge.name());
                    return Ok(Subject { name, runner, side, inputs, load_ms, first_ms, disturbed });
                }
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Fault, "no draw was made")))
    }

    /// Milliseconds of one run.
    ///
    /// # Errors
    /// When the run fails.
    pub fn time(&mut self) -> Result<f64> {
        let begun = Instant::now();
        let outputs = self.side.run(&self.inputs)?;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        drop(std::hint::black_box(outputs));
        Ok(ms)
    }

    /// Runs as often as `amount` says.
    ///
    /// # Errors
    /// When a run fails.
    pub fn measure(&mut self, amount: Amount) -> Result<Measured> {
        for _ in 0..amount.warmup {
            self.time()?;
        }
        let begun = Instant::now();
        let mut times = Vec::new();
        loop {
            times.push(self.time()?);
            let done = match amount.measure {
                Measure::Iterations(n) => times.len() >= n,
                Measure::For(d) => begun.elapsed() >= d,
            };
            if done {
                break;
            }
        }
        Ok(self.measured(&times))
    }

    fn measured(&self, times: &[f64]) -> Measured {
        let (level, level_note) = self.side.level().map_or((None, None), |(l, n)| (Some(l), n));
        Measured {
            model: self.name.clone(),
            runner: self.runner.clone(),
            threads: self.side.threads(),
            level,
            level_note,
            load_ms: self.load_ms,
            first_ms: self.first_ms,
            latency: latency(times),
            peak_memory: machine::peak_memory(),
            memory: self.side.memory().map(|m| Memory {
                planned_peak: m.planned_peak,
                largest_live: m.largest_live,
                scratch: m.scratch,
                results: m.results,
                live: m.live,
                steps: m.steps,
            }),
            machine: Machine::here(),
            remarks: self.disturbed.clone(),
        }
    }
}
