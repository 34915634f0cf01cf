//! Which buffer stands for a value, inside nested regions.

use super::Lowering;
use crate::error::{Error, Result};
use crate::infer::Facts;
use crate::plan::{Buffer, BufferId, Home, StepOp};
use modelsmith_ir::{Attrs, Def, Dim, ValueId};
use modelsmith_kop::Layout;
use std::collections::{HashMap, HashSet};

/// What is known inside one block while it is lowered.
pub(super) struct Scope {
    /// Index of the block.
    pub block: usize,
    /// Facts of all values in reach.
    pub facts: Facts,
    /// Buffers of the block by value.
    pub buffers: HashMap<ValueId, BufferId>,
    /// Outer buffers that the block takes after its parameters.
    pub captures: Vec<BufferId>,
    /// Attributes of the function call that the block belongs to, and their defaults.
    pub call: Option<(Attrs, Attrs)>,
    /// Symbols that have a value by now.
    pub settled: HashSet<String>,
}

impl Scope {
    pub fn new(block: usize, facts: Facts, call: Option<(Attrs, Attrs)>, settled: HashSet<String>) -> Scope {
        Scope { block, facts, buffers: HashMap::new(), captures: vec![], call, settled }
    }

    /// True when the size has a value by the time that the present step runs.
    pub fn settled(&self, d: &Dim) -> bool {
        *d != Dim::Unknown && d.symbols().iter().all(|s| self.settled.contains(s.as_ref()))
    }
}

impl Lowering<'_> {
    /// The buffer of a value in the current block: its own, a weight, or a capture made now.
    pub(super) fn buffer(&mut self, v: ValueId) -> Result<BufferId> {
        self.buffer_at(self.scopes.len() - 1, v)
    }

    fn buffer_at(&mut self, level: usize, v: ValueId) -> Result<BufferId> {
        if let Some(&id) = self.scopes[level].buffers.get(&v) {
            return Ok(id);
        }
        let name = self.model.values[v].name.clone();
        if let Def::Weight(_, expr) = &self.model.values[v].def {
            let weight = self.weights.expr(name.clone(), expr);
            let ty = modelsmith_ir::Type::fixed(expr.dtype(), &expr.shape());
            let id =
                self.add_at(level, Buffer { name, ty, home: Home::Weight(weight), layout: Layout::Plain, value: None });
            self.scopes[level].buffers.insert(v, id);
            return Ok(id);
        }
        if level == 0 {
            return Err(Error::Model(format!("value {name:?} is used before it is made")));
        }
        let outer = self.buffer_at(level - 1, v)?;
        let outer_block = self.scopes[level - 1].block;
        let (outer_home, outer_ty) = {
            let b = &self.blocks[outer_block].buffers[outer];
            (b.home, b.ty.clone())
        };
        let ty = self.scopes[level].facts.get(&v).map_or(outer_ty, |f| f.ty.clone());
        let home = if let Home::Weight(w) = outer_home { Home::Weight(w) } else { Home::Input };
        let id = self.add_at(level, Buffer { name, ty, home, layout: Layout::Plain, value: None });
        self.scopes[level].buffers.insert(v, id);
        if home == Home::Input {
            let block = self.scopes[level].block;
            self.blocks[block].inputs.push(id);
            self.scopes[level].captures.push(outer);
        }
        Ok(id)
    }

    /// Captures values around a body whose sizes its steps name though none of them reads the values: the sizes of a run
    /// are found from what a block is given.
    pub(super) fn capture_sizes(&mut self) -> Result<()> {
        let level = self.scopes.len() - 1;
        let Some(outer) = level.checked_sub(1) else { return Ok(()) };
        let block = &self.blocks[self.scopes[level].block];
        let told = |b: &&Buffer| matches!(b.home, Home::Input | Home::Host);
        let sizes = |b: &Buffer| b.ty.shape().unwrap_or_default().to_vec();
        let given = block.buffers.iter().filter(told).flat_map(sizes);
        let given: HashSet<String> = given.filter_map(|d| d.as_symbol().map(str::to_owned)).collect();
        let computed = block.steps.iter().flat_map(|s| match &s.op {
            StepOp::Sizes { dims } => dims.as_slice(),
            _ => &[],
        });
        let named = block.buffers.iter().flat_map(sizes).chain(computed.cloned());
        let mut missing: HashSet<String> = named.flat_map(|d| d.symbols()).map(|s| s.to_string()).collect();
        missing.retain(|s| !given.contains(s));
        if missing.is_empty() {
            return Ok(());
        }
        let mut found: Vec<ValueId> = Vec::new();
        for (&v, fact) in &self.scopes[level].facts {
            let tells = |d: &Dim| d.as_symbol().is_some_and(|s| missing.contains(s));
            let around = self.scopes[outer].facts.contains_key(&v);
            if around && fact.ty.shape().unwrap_or_default().iter().any(tells) {
                found.push(v);
            }
        }
        // The order of a map is not that of the model, and plans are compared.
        found.sort_unstable();
        for v in found {
            self.buffer_at(level, v)?;
        }
        Ok(())
    }

    fn add_at(&mut self, level: usize, buffer: Buffer) -> BufferId {
        let block = &mut self.blocks[self.scopes[level].block];
        block.buffers.push(buffer);
        block.buffers.len() - 1
    }
}
