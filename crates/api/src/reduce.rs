//! The smallest part of a model that still differs: the nodes between values that agree and the first that does not.

use crate::layers::LayerReport;
use crate::{Error, Model, Result};
use modelsmith_ir::{Def, NodeId, Type, ValueId};
use std::collections::{HashMap, HashSet};

/// The part of `model` that makes `value` from inputs and values that agree. Types of values on the way are those that
/// were seen while comparing.
///
/// # Errors
/// When `value` is not made by a node of the main graph, or the type of a value on the border is not known.
pub fn reduce(model: &Model, value: &str, layers: &[LayerReport]) -> Result<modelsmith_ir::Model> {
    let mut hub = model.hub().clone();
    let missing = || Error::usage(format!("{value} is not made by a node of the main graph")).in_file(model.path());
    let main = hub.main;
    let (target, _) = hub.values.iter().find(|(_, v)| v.name == value).ok_or_else(missing)?;
    hub.producer(target).filter(|n| hub.graph().body.contains(n)).ok_or_else(missing)?;
    let known = layers.iter().filter(|l| l.agrees).map(|l| (l.name.clone(), l.kind.clone())).collect::<HashMap<_, _>>();
    let (kept, border) = part(&hub, target, &known);
    hub.regions[main].body.retain(|n| kept.contains(n));
    for (i, &v) in border.iter().enumerate() {
        let slot = &mut hub.values[v];
        if let Some(Some(ty)) = known.get(&slot.name) {
            slot.ty = ty.clone();
        }
        if slot.ty == Type::Unknown {
            return Err(Error::unsupported(format!("the type of {} is not known", slot.name)).in_file(model.path()));
        }
        slot.def = Def::Param(main, i);
    }
    let region = &mut hub.regions[main];
    region.params = border;
    region.results = vec![target];
    region.exposed.clear();
    let removed = hub.nodes.ids().filter(|n| !hub.nodes_in(main).contains(n)).collect::<Vec<_>>();
    let functions = hub.functions.iter().flat_map(|(_, f)| hub.nodes_in(f.region)).collect::<HashSet<_>>();
    for n in removed.into_iter().filter(|n| !functions.contains(n)) {
        let outputs = hub.nodes.remove(n).map(|node| node.outputs).unwrap_or_default();
        for v in outputs.into_iter().flatten().filter(|v| !hub.regions[main].params.contains(v)).collect::<Vec<_>>() {
            hub.values.remove(v);
        }
    }
    modelsmith_ir::Edit::new(&mut hub).drop_unused_weights();
    Ok(hub)
}

/// Nodes that make `target`, back to values that agree, and those values and inputs.
fn part(
    hub: &modelsmith_ir::Model,
    target: ValueId,
    known: &HashMap<String, Option<Type>>,
) -> (HashSet<NodeId>, Vec<ValueId>) {
    let (mut kept, mut border, mut queue) = (HashSet::new(), Vec::new(), vec![target]);
    while let Some(v) = queue.pop() {
        let node = match hub.values[v].def {
            Def::Node(n, _) => n,
            Def::Param(r, _) if r == hub.main => {
                if !border.contains(&v) {
                    border.push(v);
                }
                continue;
            }
            _ => continue,
        };
        if v != target && known.contains_key(&hub.values[v].name) && hub.op_name(node) != "Constant" {
            if !border.contains(&v) {
                border.push(v);
            }
            continue;
        }
        if kept.insert(node) {
            queue.extend(hub.nodes[node].inputs.iter().flatten());
            queue.extend(hub.nodes[node].regions.iter().flat_map(|(_, r)| hub.captures(*r)));
        }
    }
    border.sort();
    (kept, border)
}
