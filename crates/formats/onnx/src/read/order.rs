//! Bringing nodes into an order in which every value is made before it is used.
#![allow(clippy::indexing_slicing, reason = "arenas indexed by ids of this model; no bytes are indexed here")]

use super::Reader;
use modelsmith_base::{Place, Severity};
use modelsmith_ir::{Def, Model, NodeId, RegionId, ValueId};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

impl Reader<'_> {
    /// Sorts the nodes of every region, keeping the file's order where it can; a cycle is reported and left.
    pub(super) fn sort(&mut self) {
        for region in self.model.regions.ids().collect::<Vec<_>>() {
            let old = &self.model.regions[region].body;
            let new = sorted(&self.model, region);
            if new.len() < old.len() {
                let stuck = old.iter().find(|n| !new.contains(n)).map(|&n| self.model.node_label(n));
                let place = Place::node(stuck.unwrap_or_default());
                self.find(Severity::Error, "onnx.order.cycle", "nodes depend on each other in a cycle".into(), place);
            } else if new != *old {
                self.model.regions[region].body = new;
            }
        }
    }
}

/// The nodes of `region` in order; those on a cycle are missing.
fn sorted(model: &Model, region: RegionId) -> Vec<NodeId> {
    let body = &model.regions[region].body;
    let position: HashMap<NodeId, usize> = body.iter().enumerate().map(|(i, &n)| (n, i)).collect();
    let mut waits = vec![0usize; body.len()];
    let mut feeds = vec![Vec::new(); body.len()];
    for (i, &node) in body.iter().enumerate() {
        for value in operands(model, node) {
            let Def::Node(maker, _) = model.values[value].def else { continue };
            let Some(&from) = position.get(&maker) else { continue };
            if let (Some(list), Some(count)) = (feeds.get_mut(from), waits.get_mut(i)) {
                list.push(i);
                *count = count.saturating_add(1);
            }
        }
    }
    let free = waits.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| Reverse(i));
    let mut ready: BinaryHeap<Reverse<usize>> = free.collect();
    let mut out = Vec::with_capacity(body.len());
    while let Some(Reverse(i)) = ready.pop() {
        out.extend(body.get(i));
        for &next in feeds.get(i).into_iter().flatten() {
            if let Some(count) = waits.get_mut(next) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
    }
    out
}

/// What a node uses itself and what its bodies capture.
fn operands(model: &Model, node: NodeId) -> Vec<ValueId> {
    let n = &model.nodes[node];
    let mut out: Vec<ValueId> = n.inputs.iter().flatten().copied().collect();
    out.extend(n.regions.iter().flat_map(|&(_, r)| model.captures(r)));
    out
}
