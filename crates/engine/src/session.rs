use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::exec::{BlockState, Machine};
use crate::profile::StepTime;
use crate::weights::HostWeights;
use modelsmith_backend_cpu::Cpu;
use modelsmith_ir::Type;
use modelsmith_kop::Isa;
use modelsmith_ops::run::{Running, Watch};
use modelsmith_plan::{Block, BufferId, Plan, StepOp};
use modelsmith_pool::Pool;
use modelsmith_tensor::Value;
use std::cell::{Cell, RefCell};

/// How a session runs.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Threads; 0 for as many as the process may use.
    pub threads: usize,
    /// Cap on the instruction set, by level name; empty for none.
    pub isa: String,
    /// Refuse an engine with steps that run the reference on data.
    pub no_fallback: bool,
    /// Most bytes of memory for activations and scratch in one block; 0 for no limit.
    pub memory_limit: u64,
    /// Most runs of bodies of control flow in one run of the model; 0 for no limit.
    pub iteration_limit: u64,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Type; sizes may be symbols, solved anew for each run.
    pub ty: Type,
}

/// Memory of the sizes of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryUse {
    /// Bytes of the arena for activations.
    pub planned_peak: u64,
    /// Largest sum of activations alive at once: no plan needs less.
    pub largest_live: u64,
    /// Bytes of scratch memory that kernels use.
    pub scratch: u64,
    /// Bytes of results that lie in tensors of their own, outside the arena.
    pub results: u64,
    /// Bytes alive during each step, in order.
    pub live: Vec<u64>,
    /// Labels of the steps.
    pub steps: Vec<String>,
}

/// A model ready to run. It keeps memory and sizes from one run to the next.
pub struct Session {
    engine: Engine,
    plan: usize,
    note: Option<String>,
    cpu: Cpu,
    pool: Pool,
    states: Vec<RefCell<BlockState>>,
    host_weights: HostWeights,
    memory_limit: usize,
    iteration_limit: u64,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// The instruction sets of this machine under a cap by level name; empty for none.
///
/// # Errors
/// When there is no such level.
pub fn allowed_isa(cap: &str) -> Result<Isa> {
    let found = modelsmith_kernels::detect();
    if cap.is_empty() {
        return Ok(found);
    }
    let names = || Isa::LEVELS.iter().map(|l| l.0).collect::<Vec<_>>().join(", ");
    let limit = Isa::parse_level(cap)
        .ok_or_else(|| Error::Refused(format!("there is no instruction set level {cap}; there are {}", names())))?;
    Ok(found.cap(limit))
}

/// Some buffers of a block as ports.
pub(crate) fn ports(block: &Block, ids: &[BufferId]) -> Vec<Port> {
    ids.iter().map(|&id| Port { name: block.buffers[id].name.clone(), ty: block.buffers[id].ty.clone() }).collect()
}

impl Session {
    pub(crate) fn new(engine: &Engine, options: &SessionOptions) -> Result<Session> {
        let isa = allowed_isa(&options.isa)?;
        let (index, note) = engine.plan_for(isa)?;
        let plan = &engine.shared.plans[index];
        // Where a chosen kernel does not take the sizes of a run another serves, and that too must be one that every machine
        // of the plan's level has: the same plan gives the same bits on all of them.
        let isa = isa.cap(Isa::parse_level(&plan.level).unwrap_or(isa));
        if options.no_fallback {
            let all = plan.fallbacks();
            if !all.is_empty() {
                return Err(Error::Plan(modelsmith_plan::Error::Unsupported(all)));
            }
        }
        let main = plan.main();
        let pool = match options.threads {
            0 => Pool::with_available_parallelism(),
            n => Pool::new(n),
        };
        Ok(Session {
            plan: index,
            note,
            cpu: Cpu::new(isa, plan.threads, engine.f32_fast().is_some()),
            pool,
            states: plan.blocks.iter().enumerate().map(|(i, b)| RefCell::new(BlockState::new(b, i == 0))).collect(),
            host_weights: HostWeights::new(plan.weights.len()),
            memory_limit: match usize::try_from(options.memory_limit) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(n) => n,
            },
            iteration_limit: match options.iteration_limit {
                0 => u64::MAX,
                n => n,
            },
            inputs: ports(main, &main.inputs),
            outputs: ports(main, &main.outputs),
            engine: engine.clone(),
        })
    }

    fn plan(&self) -> &Plan {
        &self.engine.shared.plans[self.plan]
    }

    /// Inputs, in order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Outputs, in order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Level of the plan that runs.
    pub fn level(&self) -> &str {
        &self.plan().level
    }

    /// Why a plan of a higher level was passed by, where one was.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Threads that run, the caller's included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Steps of all blocks, and how many of them run the reference.
    pub fn step_count(&self) -> (usize, usize) {
        let steps = self.plan().blocks.iter().flat_map(|b| &b.steps);
        let reference = steps.clone().filter(|s| matches!(s.op, StepOp::Eval(_))).count();
        (steps.count(), reference)
    }

    fn machine(&self) -> Machine<'_> {
        Machine {
            plan: self.plan(),
            shared: &self.engine.shared,
            host_weights: &self.host_weights,
            pool: &self.pool,
            cpu: &self.cpu,
            memory_limit: self.memory_limit,
            iterations: Cell::new(self.iteration_limit),
            states: &self.states,
            times: None,
            watch: None,
        }
    }

    /// Runs once. Inputs and results in the order of [`Session::inputs`] and [`Session::outputs`].
    ///
    /// # Errors
    /// When an input does not fit (input, axis and bound are named) or a step fails.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>> {
        self.machine().run(0, &inputs.iter().collect::<Vec<_>>())
    }

    /// For each output of the latest run, whether it lies in memory that the session keeps to write it again when no caller
    /// holds it any more, and that it does not read meanwhile: who has the only other clone may change the elements.
    pub fn lent(&self) -> Vec<bool> {
        let (state, block) = (self.states[0].borrow(), self.plan().main());
        let in_own = |&id: &usize| {
            let root = block.root(id);
            state.latest().is_some_and(|b| b.results.binary_search(&root).is_ok())
        };
        block.outputs.iter().map(in_own).collect()
    }

    /// As [`Session::run`], with the time of each step. Steps inside bodies come before the step that holds them.
    ///
    /// # Errors
    /// As there.
    pub fn run_profiled(&mut self, inputs: &[Value]) -> Result<(Vec<Value>, Vec<StepTime>)> {
        let times = RefCell::new(Vec::new());
        let machine = Machine { times: Some(&times), ..self.machine() };
        let out = machine.run(0, &inputs.iter().collect::<Vec<_>>())?;
        Ok((out, times.into_inner()))
    }

    /// Memory of the sizes of the latest run.
    pub fn memory(&self) -> MemoryUse {
        let state = self.states[0].borrow();
        let Some(b) = state.latest() else { return MemoryUse::default() };
        MemoryUse {
            planned_peak: b.arena as u64,
            largest_live: b.largest_live(),
            scratch: b.scratch as u64,
            results: b.result_bytes() as u64,
            live: b.live.clone(),
            steps: self.plan().main().steps.iter().map(|s| s.label.clone()).collect(),
        }
    }

    /// Bytes held for activations of all blocks, sizes known only by running, and scratch memory included.
    pub fn held_bytes(&self) -> usize {
        self.states.iter().map(|s| s.borrow().held().iter().sum::<usize>()).sum()
    }
}

impl Running for Session {
    fn run(&mut self, inputs: &[Value], watch: Watch) -> std::result::Result<Vec<Value>, modelsmith_ops::Error> {
        let mut tell = |id: u32, v: &Value| watch(modelsmith_base::Id::new(id), v);
        let cell: RefCell<&mut dyn FnMut(u32, &Value)> = RefCell::new(&mut tell);
        let machine = Machine { watch: Some(&cell), ..self.machine() };
        Ok(machine.run(0, &inputs.iter().collect::<Vec<_>>())?)
    }
}
