//! Bodies of control flow and calls of functions.

use super::Lowering;
use crate::error::{Error, Result};
use crate::infer::{Facts, resolve};
use crate::plan::{Body, Home, Step, StepOp};
use modelsmith_ir::{Fact, FunctionId, NodeId};
use std::collections::HashSet;

/// Calls nested deeper than this are refused: a function may call itself only by mistake.
const MAX_DEPTH: usize = 64;

impl Lowering<'_> {
    /// Lowers the bodies of a node.
    pub(super) fn bodies(&mut self, n: NodeId) -> Result<Vec<Body>> {
        let mut out = Vec::new();
        let model = self.model;
        for (name, region) in &model.nodes[n].regions {
            let mut facts = Facts::new();
            let mut known = HashSet::new();
            for &p in &model.regions[*region].params {
                // What a loop carries may change its sizes from one iteration to the next.
                let ty = self.namer.rename(model.ty(p), true);
                known.extend(ty.shape().unwrap_or_default().iter().flat_map(|d| d.symbols()).map(|s| s.to_string()));
                facts.insert(p, Fact::of(ty));
            }
            let outer = self.outer_facts();
            for (v, f) in outer {
                known.extend(f.ty.shape().unwrap_or_default().iter().flat_map(|d| d.symbols()).map(|s| s.to_string()));
                facts.entry(v).or_insert(f);
            }
            let label = format!("{} of {}", name, model.node_label(n));
            let call = self.scope().call.clone();
            self.enter(n)?;
            let (block, captures) = self.block(*region, facts, known, call, &label)?;
            self.depth -= 1;
            out.push(Body { name: name.clone(), block, captures });
        }
        Ok(out)
    }

    fn enter(&mut self, n: NodeId) -> Result<()> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(Error::Model(format!(
                "{}: bodies and calls are nested more than 64 deep",
                self.model.node_label(n)
            ))),
            false => Ok(()),
        }
    }

    /// A call of a function that was not inlined: a block run once.
    pub(super) fn call(&mut self, n: NodeId, f: FunctionId) -> Result<()> {
        self.enter(n)?;
        let model = self.model;
        let node = &model.nodes[n];
        let function = &model.functions[f];
        let attrs = resolve(&node.attrs, self.scope().call.as_ref());
        let params = &model.regions[function.region].params;
        let label = model.node_label(n);
        let mut inputs = Vec::new();
        let (mut facts, mut known) = (Facts::new(), HashSet::new());
        for (i, &p) in params.iter().enumerate() {
            let Some(v) = node.input(i) else {
                self.problems.push(format!("{label}: a function called with an absent input"));
                self.depth -= 1;
                return Ok(());
            };
            inputs.push(Some(self.buffer(v)?));
            let ty = self.namer.rename(&self.ty(v), false);
            known.extend(ty.shape().unwrap_or_default().iter().flat_map(|d| d.symbols()).map(|s| s.to_string()));
            facts.insert(p, Fact::of(ty));
        }
        let call = Some((attrs, function.defaults.clone()));
        // Values around the call are out of reach inside it.
        let scopes = std::mem::take(&mut self.scopes);
        let block = self.block(function.region, facts, known, call, &label);
        self.scopes = scopes;
        self.depth -= 1;
        let (block, _) = block?;
        let outputs = node.outputs.iter().map(|v| v.map(|v| self.new_buffer(Some(v), Home::Host))).collect();
        self.push(Step::new(label, StepOp::Call { block }, inputs, outputs));
        Ok(())
    }
}
