//! A model that several threads run at once.

use crate::engine::Tell;
use crate::{Error, Kind, Model, Result};
use modelsmith_engine::{BuildOptions, Engine, Session, SessionOptions, StepTime};
use modelsmith_tensor::Value;
use std::mem::ManuallyDrop;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};

/// A compiled model that any number of threads may run. Weights are shared; each run that goes on at the same time has
/// memory of its own, and there are as many of these as the machine has cores for the threads of one. Others wait.
///
/// A process that was forked from one that holds a session may go on with it: threads do not survive a fork, so that its
/// first run there starts new ones.
pub struct SharedSession {
    engine: Engine,
    options: SessionOptions,
    first: Lanes,
}

/// Sessions of one process.
struct Lanes {
    process: u32,
    state: ManuallyDrop<Mutex<State>>,
    freed: Condvar,
    /// Those of a process that was forked from this one.
    forked: OnceLock<Box<Lanes>>,
}

struct State {
    free: Vec<Session>,
    made: usize,
}

impl Lanes {
    fn new(free: Vec<Session>) -> Lanes {
        let state = State { made: free.len(), free };
        Lanes {
            process: std::process::id(),
            state: ManuallyDrop::new(Mutex::new(state)),
            freed: Condvar::new(),
            forked: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // In a forked process the threads of these sessions are not there to be waited for: their memory is left.
        if self.process == std::process::id() {
            let state = std::mem::replace(&mut *self.lock(), State { free: vec![], made: 0 });
            drop(state);
        }
    }
}

/// A session that is taken; it is free again when this goes.
struct Taken<'a> {
    lanes: &'a Lanes,
    session: Option<Session>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        // One that was lost to a panic may be made again.
        match self.session.take().filter(|_| !std::thread::panicking()) {
            Some(s) => state.free.push(s),
            None => state.made -= 1,
        }
        drop(state);
        self.lanes.freed.notify_one();
    }
}

impl SharedSession {
    /// Loads an engine, or compiles a model in memory; `tell` hears what is being done. With `reference_only` every node of
    /// a model is run by itself by the reference.
    ///
    /// # Errors
    /// When the model holds what is not supported, or the options cannot be met.
    pub fn open(model: &Model, options: &SessionOptions, reference_only: bool, tell: Tell) -> Result<SharedSession> {
        let placed = |e: Error| e.in_file(model.path());
        let engine = match model.engine() {
            Some(engine) => engine.clone(),
            None => {
                model.supported()?;
                tell("compiling");
                let build = BuildOptions {
                    isa: options.isa.clone(),
                    threads: options.threads,
                    no_fallback: options.no_fallback,
                    reference_only,
                    ..BuildOptions::default()
                };
                modelsmith_engine::build(model.hub(), &build).map_err(|e| placed(e.into()))?.engine
            }
        };
        let session = engine.session(options).map_err(|e| placed(e.into()))?;
        Ok(SharedSession { engine, options: options.clone(), first: Lanes::new(vec![session]) })
    }

    /// Most runs at the same time.
    pub fn lanes(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        match self.options.threads {
            0 => 1,
            threads => (cores / threads).max(1),
        }
    }

    fn take(&self) -> Result<Taken<'_>> {
        let process = std::process::id();
        let mut lanes = &self.first;
        while lanes.process != process {
            lanes = lanes.forked.get_or_init(|| Box::new(Lanes::new(vec![])));
        }
        let mut state = lanes.lock();
        loop {
            if let Some(session) = state.free.pop() {
                return Ok(Taken { lanes, session: Some(session) });
            }
            if state.made < self.lanes() {
                state.made += 1;
                drop(state);
                let mut taken = Taken { lanes, session: None };
                taken.session = Some(self.engine.session(&self.options)?);
                return Ok(taken);
            }
            state = lanes.freed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    /// Runs once. Inputs and results in the order of the model.
    ///
    /// # Errors
    /// When an input does not fit (input, axis and bound are named) or a step fails.
    pub fn run(&self, inputs: &[Value]) -> Result<Vec<Value>> {
        self.with(|s| s.run(inputs))
    }

    /// As [`SharedSession::run`]; says of each output whether it is lent: see [`Session::lent`].
    ///
    /// # Errors
    /// As there.
    pub fn run_lent(&self, inputs: &[Value]) -> Result<Vec<(Value, bool)>> {
        self.with(|s| Ok(s.run(inputs)?.into_iter().zip(s.lent()).collect()))
    }

    /// As [`SharedSession::run`], with the time of each step.
    ///
    /// # Errors
    /// As there.
    pub fn run_profiled(&self, inputs: &[Value]) -> Result<(Vec<Value>, Vec<StepTime>)> {
        self.with(|s| s.run_profiled(inputs))
    }

    /// Level of the plan that runs, and the threads of one run.
    ///
    /// # Errors
    /// When no session can be had.
    pub fn level(&self) -> Result<(String, usize)> {
        self.with(|s| Ok((s.level().to_owned(), s.threads())))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Session) -> modelsmith_engine::Result<T>) -> Result<T> {
        let mut taken = self.take()?;
        let session = taken.session.as_mut().ok_or_else(|| Error::new(Kind::Fault, "a session was lost"))?;
        Ok(f(session)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::Tensor;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn many_threads_run_one_session() {
        let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.onnx")).unwrap();
        for threads in [0, 1] {
            let options = SessionOptions { threads, ..SessionOptions::default() };
            let session = SharedSession::open(&model, &options, false, &|_| {}).unwrap();
            let input = |k: usize| {
                let values = (0..64).map(|i| ((i * k) % 16) as f32).collect();
                vec![Value::Tensor(Tensor::new(&[1, 1, 8, 8], values).unwrap())]
            };
            let numbers = |v: &[Value]| v[0].tensor().unwrap().to_f64s().unwrap();
            let wanted = (0..8).map(|k| numbers(&session.run(&input(k)).unwrap())).collect::<Vec<_>>();
            let done = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for k in 0..8 {
                    let (session, wanted, done, input) = (&session, &wanted, &done, &input);
                    scope.spawn(move || {
                        for _ in 0..50 {
                            assert_eq!(numbers(&session.run(&input(k)).unwrap()), wanted[k]);
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            assert_eq!(done.load(Ordering::Relaxed), 400);
            let made = session.first.lock().made;
            assert!((1..=session.lanes()).contains(&made), "{made} sessions");
            assert!(session.run(&[]).is_err());
            assert!(session.run(&input(1)).is_ok());
        }
    }
}
