//! Looking for inputs on which a result changes, before the reference is asked about them.
//!
//! A comparison of models whose outputs stay as they are proves little, and goes on to further samples. On the reference each
//! of them takes as long as the samples that were asked for, and most such models (untrained ones, those with weights of one
//! value) never move. So the original is run by the engine first: it proves nothing, and only says which sample is worth a run.

use crate::compare::CompareOptions;
use crate::judge::{Backend, Judge, Runs};
use crate::model::Model;
use modelsmith_ir::Def;
use modelsmith_tensor::Value;

/// Bytes of weights of the largest model that is compiled for this: verification runs in bounded memory.
const LARGEST: u64 = 256 << 20;

/// The original, compiled when it is first asked.
pub enum Scout {
    /// Not asked yet.
    Idle,
    /// Ready.
    Ready(Box<dyn Runs>),
    /// There is none for this comparison: every sample is worth a run.
    Absent,
}

impl Scout {
    /// What the original makes of inputs; `None` where it cannot be said without the first side of the comparison.
    pub fn run(&mut self, original: &Model, options: &CompareOptions, inputs: &[Value]) -> Option<Vec<Value>> {
        if let Scout::Idle = self {
            *self = load(original, options).map_or(Scout::Absent, Scout::Ready);
        }
        match self {
            Scout::Ready(engine) => engine.run(inputs).ok(),
            _ => None,
        }
    }
}

fn load(original: &Model, options: &CompareOptions) -> Option<Box<dyn Runs>> {
    let reference = Judge::Backend(Backend::Reference);
    let held = original.hub().values.iter().map(|(_, v)| match &v.def {
        Def::Weight(_, w) => w.byte_len(),
        _ => 0,
    });
    if options.a != reference || options.b != reference || options.layers || held.sum::<u64>() > LARGEST {
        return None;
    }
    Judge::Backend(Backend::Cpu).load(original, &options.opts).ok()
}
