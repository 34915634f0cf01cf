//! Choosing kernels by measured times.
//!
//! [`tune`] asks the planner which problems a model has, measures on each the kernels that the cost model ranks near the
//! first, and adds the figures to a [`Database`]. A build that is given the database asks [`Tuned`] in the place of the
//! plain backend: what was measured there decides, and nothing is measured on the way, so that the same model, options and
//! database give the same engine.

mod database;

pub use database::{Database, Measured};

use crate::build::BuildOptions;
use crate::cache::processor;
use crate::error::Result;
use crate::session::allowed_isa;
use modelsmith_backend_cpu::{Cpu, Timing, measure, tunable};
use modelsmith_ir::Model;
use modelsmith_kop::{Isa, KOp};
use modelsmith_plan::{Backend, Candidate, LowerOptions, Refusal, WeightDims, prepare, survey};
use modelsmith_pool::Pool;
use modelsmith_tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Rounds in which the kernels of one problem take turns; fewer than the first prove nothing.
const ROUNDS: std::ops::RangeInclusive<usize> = 5..=15;
/// Kernels whose estimate is so many times that of the first are not measured.
const FAR: f64 = 3.0;
/// Share of its time that a kernel must save before it takes the place of the one that the cost model puts first.
const GAIN: f64 = 0.03;

/// What a tuning did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tuning {
    /// Problems of the model that have more than one kernel.
    pub problems: usize,
    /// Of these, with figures in the database before.
    pub known: usize,
    /// Of these, measured now.
    pub measured: usize,
    /// Seconds that it took.
    pub seconds: f64,
}

/// The CPU backend, with candidates in the order of measured times where a database has them.
pub(crate) struct Tuned<'a> {
    cpu: Cpu,
    database: Option<&'a Database>,
    circumstances: Measured,
    /// Problems for which a step was made, in the order of the first, with their number.
    asked: Mutex<Vec<(KOp, usize)>>,
}

impl<'a> Tuned<'a> {
    pub fn new(isa: Isa, threads: usize, fast: bool, database: Option<&'a Database>) -> Tuned<'a> {
        let processor = if database.is_some() { processor() } else { String::new() };
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let circumstances = Measured { problem: String::new(), isa: isa.to_string(), threads, processor, program };
        Tuned { cpu: Cpu::new(isa, threads, fast), database, circumstances, asked: Mutex::default() }
    }

    fn key(&self, op: &KOp) -> Measured {
        // The derived text spells every field by name, so that a problem with another field has another key.
        Measured { problem: format!("{op:?}"), ..self.circumstances.clone() }
    }
}

impl Backend for Tuned<'_> {
    fn level(&self) -> &str {
        self.cpu.level()
    }

    fn candidates(&self, op: &KOp) -> Vec<std::result::Result<Candidate, Refusal>> {
        let all = self.cpu.candidates(op);
        match self.database.filter(|_| tunable(op)).and_then(|db| db.get(&self.key(op))) {
            Some(times) => ranked(all, times),
            None => all,
        }
    }

    fn chosen(&self, op: &KOp) {
        let Ok(mut asked) = self.asked.lock() else { return };
        match asked.iter_mut().find(|a| a.0 == *op) {
            Some(a) => a.1 += 1,
            None => asked.push((op.clone(), 1)),
        }
    }

    fn pack(&self, format: &str, weight: WeightDims, logical: &Tensor) -> std::result::Result<Tensor, String> {
        self.cpu.pack(format, weight, logical)
    }
}

/// Candidates with measured times before those without. The one that the cost model put first stays first among the
/// measured, unless another is faster by more than noise: both at its best and in the median.
fn ranked(
    all: Vec<std::result::Result<Candidate, Refusal>>,
    times: &BTreeMap<String, Timing>,
) -> Vec<std::result::Result<Candidate, Refusal>> {
    let mut measured = Vec::<(Candidate, Timing)>::new();
    let mut rest = Vec::new();
    for c in all {
        match c {
            Ok(c) => match times.get(c.kernel) {
                Some(&t) => measured.push((Candidate { cost: t.min as f64, measured: true, ..c }, t)),
                None => rest.push(Ok(c)),
            },
            refused => rest.push(refused),
        }
    }
    if let Some(&(_, first)) = measured.first() {
        let less = |a: u64, b: u64| (a as f64) < b as f64 * (1.0 - GAIN);
        let faster = |t: &Timing| less(t.min, first.min) && less(t.median, first.median);
        measured[1..].sort_by_key(|(_, t)| (!faster(t), t.min));
        if measured.get(1).is_some_and(|(_, t)| faster(t)) {
            let old = measured.remove(0);
            let at = measured.iter().position(|(_, t)| t.min > old.1.min).unwrap_or(measured.len());
            measured.insert(at, old);
        }
    }
    measured.into_iter().map(|(c, _)| Ok(c)).chain(rest).collect()
}

/// Measures kernels on the problems of `model` that `database` does not know, for `limit` at most; the costliest by the
/// model's estimate come first. `progress` is told before each problem how many of how many are done.
///
/// # Errors
/// When the model cannot be lowered.
pub fn tune(
    model: &Model,
    options: &BuildOptions,
    database: &mut Database,
    limit: Duration,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Tuning> {
    let begun = Instant::now();
    let until = begun + limit;
    let isa = allowed_isa(&options.isa)?;
    let threads = options.threads_or_all();
    let pool = Pool::new(threads);
    let todo = problems(model, options, isa, threads, database)?;
    let mut done = Tuning { problems: todo.total, known: todo.known, ..Tuning::default() };
    for (i, (_, op, key, kernels)) in todo.list.iter().enumerate() {
        progress(i, todo.list.len());
        if Instant::now() >= until {
            break;
        }
        let found = measure(op, kernels, isa, &pool, ROUNDS, until);
        if !found.is_empty() {
            database.add(key.clone(), found);
            done.measured += 1;
        }
    }
    done.seconds = begun.elapsed().as_secs_f64();
    Ok(done)
}

struct Todo {
    total: usize,
    known: usize,
    list: Vec<(f64, KOp, Measured, Vec<&'static str>)>,
}

/// The problems that have several kernels worth measuring and no figures yet, costliest first.
fn problems(model: &Model, options: &BuildOptions, isa: Isa, threads: usize, database: &Database) -> Result<Todo> {
    let prepared = prepare(model, &[])?;
    let lower = LowerOptions { sizes: options.sizes.clone(), ..LowerOptions::default() };
    let backend = Tuned::new(isa, threads, options.f32_fast, Some(database));
    survey(&prepared.model, &backend, &lower)?;
    let mut todo = Todo { total: 0, known: 0, list: vec![] };
    for (op, count) in std::mem::take(&mut *backend.asked.lock().unwrap_or_else(|e| e.into_inner())) {
        let all = backend.cpu.candidates(&op).into_iter().flatten().collect::<Vec<_>>();
        let Some(least) = all.first().map(|c| c.cost).filter(|_| tunable(&op)) else { continue };
        let near = all.iter().filter(|c| c.cost <= least * FAR).map(|c| c.kernel).collect::<Vec<_>>();
        if near.len() < 2 {
            continue;
        }
        todo.total += 1;
        let key = backend.key(&op);
        if database.get(&key).is_some_and(|times| near.iter().all(|k| times.contains_key(*k))) {
            todo.known += 1;
            continue;
        }
        todo.list.push((least * count as f64, op, key, near));
    }
    todo.list.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(kernel: &'static str, cost: f64) -> std::result::Result<Candidate, Refusal> {
        Ok(Candidate { kernel, pack_format: None, workspace: 0, cost, measured: false })
    }

    fn order(times: &[(&str, u64, u64)]) -> Vec<&'static str> {
        let all = vec![
            candidate("a", 1.0),
            candidate("b", 2.0),
            candidate("c", 3.0),
            Err(Refusal { kernel: "d", reason: "no".into() }),
        ];
        let times = times.iter().map(|&(k, min, median)| (k.to_owned(), Timing { min, median })).collect();
        ranked(all, &times).into_iter().map(|c| c.map_or_else(|r| r.kernel, |c| c.kernel)).collect()
    }

    #[test]
    fn only_a_gain_beyond_noise_changes_the_choice() {
        assert_eq!(order(&[("a", 100, 110), ("b", 98, 105), ("c", 120, 130)]), ["a", "b", "c", "d"], "2 %");
        assert_eq!(order(&[("a", 100, 110), ("b", 90, 100), ("c", 120, 130)]), ["b", "a", "c", "d"]);
        assert_eq!(
            order(&[("a", 100, 110), ("b", 90, 112), ("c", 120, 130)]),
            ["a", "b", "c", "d"],
            "by its best only"
        );
        assert_eq!(order(&[("a", 100, 110), ("b", 90, 100), ("c", 80, 90)]), ["c", "b", "a", "d"]);
        assert_eq!(order(&[("c", 80, 90)]), ["c", "a", "b", "d"], "estimates come after figures");
        assert_eq!(order(&[]), ["a", "b", "c", "d"]);
    }
}
