//! The compiled engine behind `cpu`.

use modelsmith_ops::run::{Opts, Runner, Running};

/// Loads models for the `cpu` backend.
pub struct CpuRunner;

impl Runner for CpuRunner {
    fn name(&self) -> &str {
        "cpu"
    }

    fn load(&self, _: &modelsmith_ir::Model, _: &Opts) -> Result<Box<dyn Running>, modelsmith_ops::Error> {
        let message = "the cpu backend is not part of this version; use --backend reference";
        Err(modelsmith_ops::Error::Unsupported(vec![message.into()]))
    }
}
