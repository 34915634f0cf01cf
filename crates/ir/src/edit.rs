use crate::{Def, Model, NodeId, RegionId, ValueId};
use std::collections::{HashMap, HashSet};

/// Where a value is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Operand number `.1` of a node.
    Operand(NodeId, usize),
    /// Result number `.1` of a region.
    Result(RegionId, usize),
}

/// Changes a model while keeping the lists of uses right.
pub struct Edit<'a> {
    model: &'a mut Model,
    uses: HashMap<ValueId, Vec<Use>>,
    home: HashMap<NodeId, RegionId>,
}

impl<'a> Edit<'a> {
    /// Reads the uses of all values of the model.
    pub fn new(model: &'a mut Model) -> Edit<'a> {
        let mut e = Edit { model, uses: HashMap::new(), home: HashMap::new() };
        for r in e.model.regions.ids().collect::<Vec<_>>() {
            for (i, &v) in e.model.regions[r].results.iter().enumerate() {
                e.uses.entry(v).or_default().push(Use::Result(r, i));
            }
            for n in e.model.regions[r].body.clone() {
                e.adopt(r, n);
            }
        }
        e
    }

    /// The model.
    pub fn model(&self) -> &Model {
        self.model
    }

    /// The model, for changes that touch no operand, result, body or node list.
    pub fn model_mut(&mut self) -> &mut Model {
        self.model
    }

    /// Takes notice of a node that was inserted into `region` through the model itself.
    pub fn adopt(&mut self, region: RegionId, node: NodeId) {
        self.home.insert(node, region);
        for (i, v) in self.model.nodes[node].inputs.iter().enumerate() {
            if let Some(v) = v {
                self.uses.entry(*v).or_default().push(Use::Operand(node, i));
            }
        }
    }

    /// Where `value` is used.
    pub fn uses(&self, value: ValueId) -> &[Use] {
        self.uses.get(&value).map_or(&[], Vec::as_slice)
    }

    /// The only node that uses `value`, if it is used once and by a node.
    pub fn only_user(&self, value: ValueId) -> Option<NodeId> {
        match self.uses(value) {
            [Use::Operand(n, _)] => Some(*n),
            _ => None,
        }
    }

    /// Region of a node.
    pub fn region_of(&self, node: NodeId) -> Option<RegionId> {
        self.home.get(&node).copied()
    }

    /// Position of a node in its region's body.
    pub fn position(&self, node: NodeId) -> Option<usize> {
        self.model.regions[self.region_of(node)?].body.iter().position(|&n| n == node)
    }

    /// Sets operand `i` of a node.
    pub fn set_input(&mut self, node: NodeId, i: usize, value: Option<ValueId>) {
        if let Some(old) = self.model.nodes[node].input(i) {
            self.forget(old, Use::Operand(node, i));
        }
        let inputs = &mut self.model.nodes[node].inputs;
        if inputs.len() <= i {
            inputs.resize(i + 1, None);
        }
        inputs[i] = value;
        if let Some(v) = value {
            self.uses.entry(v).or_default().push(Use::Operand(node, i));
        }
    }

    /// Sets result `i` of a region.
    pub fn set_result(&mut self, region: RegionId, i: usize, value: ValueId) {
        let old = std::mem::replace(&mut self.model.regions[region].results[i], value);
        self.forget(old, Use::Result(region, i));
        self.uses.entry(value).or_default().push(Use::Result(region, i));
    }

    fn forget(&mut self, value: ValueId, at: Use) {
        if let Some(list) = self.uses.get_mut(&value) {
            list.retain(|u| *u != at);
        }
    }

    /// Every use of `old` becomes one of `new`. Where `old` is a result of the main graph or of a function, `new`
    /// takes over its name, so that signatures stay; `new` must then be a node's output of that region.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        if old == new {
            return;
        }
        for at in self.uses.remove(&old).unwrap_or_default() {
            match at {
                Use::Operand(n, i) => self.model.nodes[n].inputs[i] = Some(new),
                Use::Result(r, i) => self.model.regions[r].results[i] = new,
            }
            if matches!(at, Use::Result(..)) && matches!(self.model.values[new].def, Def::Node(..)) {
                let name = std::mem::take(&mut self.model.values[old].name);
                self.model.values[new].name = name;
            }
            self.uses.entry(new).or_default().push(at);
        }
    }

    /// Removes a node whose outputs are not used any more, with its bodies.
    pub fn remove(&mut self, node: NodeId) {
        let Some(region) = self.home.remove(&node) else { return };
        self.model.regions[region].body.retain(|&n| n != node);
        let Some(gone) = self.model.nodes.remove(node) else { return };
        for (i, v) in gone.inputs.iter().enumerate() {
            if let Some(v) = v {
                self.forget(*v, Use::Operand(node, i));
            }
        }
        for v in gone.outputs.into_iter().flatten() {
            self.model.values.remove(v);
            self.uses.remove(&v);
        }
        for (_, r) in gone.regions {
            self.remove_region(r);
        }
    }

    fn remove_region(&mut self, region: RegionId) {
        for n in self.model.regions[region].body.clone().into_iter().rev() {
            // Results may still name the values; they go with the region.
            self.remove(n);
        }
        let Some(gone) = self.model.regions.remove(region) else { return };
        for (i, v) in gone.results.iter().enumerate() {
            self.forget(*v, Use::Result(region, i));
        }
        for v in gone.params.into_iter().chain(gone.weights) {
            self.model.values.remove(v);
            self.uses.remove(&v);
        }
    }

    /// Removes initializers that nothing uses and that are not exposed as inputs; returns how many.
    pub fn drop_unused_weights(&mut self) -> usize {
        let mut dropped = HashSet::new();
        for r in self.model.regions.ids().collect::<Vec<_>>() {
            let region = &self.model.regions[r];
            let unused = |v: &&ValueId| self.uses(**v).is_empty() && !region.exposed.contains(v);
            dropped.extend(region.weights.iter().filter(unused).copied());
        }
        for r in self.model.regions.ids().collect::<Vec<_>>() {
            self.model.regions[r].weights.retain(|v| !dropped.contains(v));
        }
        for &v in &dropped {
            self.model.values.remove(v);
            self.uses.remove(&v);
        }
        dropped.len()
    }
}
