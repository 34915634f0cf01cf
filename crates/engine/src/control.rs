//! Bodies of control flow, run as often as their operator says.

use crate::error::Result;
use crate::exec::{BlockState, Run};
use modelsmith_ir::{OpError, OpResult, RunRegion, Type};
use modelsmith_plan::Body;
use modelsmith_tensor::Value;
use std::borrow::Cow;
use std::cell::OnceCell;

/// Runs the bodies of a control-flow step. Values that a body captures are taken when it first runs, and only those of
/// bodies that do.
pub(crate) struct Bodies<'a, 'm> {
    run: &'a Run<'a, 'm>,
    state: &'a BlockState,
    bodies: &'a [Body],
    captured: Vec<OnceCell<Vec<Cow<'a, Value>>>>,
}

impl<'a, 'm> Bodies<'a, 'm> {
    /// The bodies of a step of the block that `run` runs.
    pub fn new(run: &'a Run<'a, 'm>, state: &'a BlockState, bodies: &'a [Body]) -> Bodies<'a, 'm> {
        Bodies { run, state, bodies, captured: bodies.iter().map(|_| OnceCell::new()).collect() }
    }

    fn captured(&self, at: usize) -> Result<&[Cow<'a, Value>]> {
        let cell = &self.captured[at];
        if let Some(values) = cell.get() {
            return Ok(values);
        }
        let captures = self.bodies[at].captures.iter();
        let values = captures.map(|&c| self.run.value(self.state, c)).collect::<Result<Vec<_>>>()?;
        Ok(cell.get_or_init(|| values))
    }
}

impl RunRegion for Bodies<'_, '_> {
    fn result_types(&self, name: &str) -> Vec<Type> {
        let body = self.bodies.iter().find(|b| b.name == name);
        body.map(|b| self.run.result_types(self.state, b.block)).unwrap_or_default()
    }

    fn run(&self, name: &str, args: &[Value]) -> OpResult<Vec<Value>> {
        let at = self.bodies.iter().position(|b| b.name == name);
        let at = at.ok_or_else(|| OpError::invalid(format!("body {name} is missing")))?;
        let machine = self.run.machine;
        let left = &machine.iterations;
        left.set(left.get().checked_sub(1).ok_or_else(|| OpError::invalid("bodies ran more often than is allowed"))?);
        let ran = self.captured(at).and_then(|captured| {
            let inputs = args.iter().chain(captured.iter().map(|v| &**v)).collect::<Vec<_>>();
            machine.run(self.bodies[at].block, &inputs)
        });
        ran.map_err(|e| OpError::invalid(format!("in body {name}: {e}")))
    }
}
