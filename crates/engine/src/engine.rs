//! An engine: plans for instruction set levels, and the weights that they share.

use crate::error::{Error, Result};
use crate::session::{Port, Session, SessionOptions, allowed_isa, ports};
use crate::weights::Blob;
use modelsmith_kop::Isa;
use modelsmith_plan::Plan;
use std::sync::Arc;

/// What all sessions of an engine share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Best level first; the last is portable where the engine was built for all levels.
    pub plans: Vec<Plan>,
    pub blobs: Vec<Blob>,
    /// What each blob was made of.
    pub origins: Vec<String>,
    /// What the model is called, where it came from, and the machine that built it.
    pub info: Info,
}

/// What an engine says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Name of the main graph.
    pub model: String,
    /// Version of the program that built it.
    pub builder: String,
    /// Instruction sets of the machine that built it.
    pub machine: String,
    /// What its builder wants kept with it, by key; the engine itself reads none of it.
    pub notes: Vec<(String, String)>,
}

/// A compiled model, in memory or mapped from a file. Clones share everything.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// Levels for which it holds a plan, best first.
    pub fn levels(&self) -> Vec<String> {
        self.shared.plans.iter().map(|p| p.level.clone()).collect()
    }

    /// What it says about itself.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// Bytes of all weights.
    pub fn weight_bytes(&self) -> u64 {
        self.shared.blobs.iter().map(|b| b.bytes().len() as u64).sum()
    }

    /// The plan for `isa`: that of the highest level inside it. The second value says why a better one was passed by.
    ///
    /// # Errors
    /// When no plan runs on this machine.
    pub(crate) fn plan_for(&self, isa: Isa) -> Result<(usize, Option<String>)> {
        let mut missed = Vec::new();
        for (i, plan) in self.shared.plans.iter().enumerate() {
            let needs = Isa::parse_level(&plan.level).unwrap_or_default();
            let base = Isa::LEVELS.iter().find(|l| l.0 == plan.level).map(|l| base_of(l.0)).unwrap_or(needs);
            if isa.contains(base) {
                return Ok((i, (!missed.is_empty()).then(|| missed.join("; "))));
            }
            let refused = modelsmith_kernels::host::amx_refusal().filter(|_| base == Isa::AMX);
            let why = refused.map_or(String::new(), |why| format!(": {why}"));
            missed.push(format!("the {} plan needs {base}, allowed here is {isa}{why}", plan.level));
        }
        Err(Error::Refused(format!("no plan of this engine runs here: {}", missed.join("; "))))
    }

    /// Inputs and outputs of the plan that runs on this machine, in order. Starts nothing.
    ///
    /// # Errors
    /// When no plan runs here.
    pub fn ports(&self) -> Result<(Vec<Port>, Vec<Port>)> {
        let plan = &self.shared.plans[self.plan_for(allowed_isa("")?)?.0];
        Ok((ports(plan.main(), &plan.main().inputs), ports(plan.main(), &plan.main().outputs)))
    }

    /// A session on this machine.
    ///
    /// # Errors
    /// When no plan fits, or the options cannot be met.
    pub fn session(&self, options: &SessionOptions) -> Result<Session> {
        Session::new(self, options)
    }
}

/// What a level needs at least.
fn base_of(level: &str) -> Isa {
    match level {
        "avx2" => Isa::AVX2,
        "avx512" => Isa::AVX512,
        "amx" => Isa::AMX,
        "neon" => Isa::NEON,
        _ => Isa::PORTABLE,
    }
}
