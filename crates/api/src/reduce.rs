//! The smallest part of a model that still differs: the nodes between values that agree and the first that does not.

use crate::compare::{CompareOptions, compare};
use crate::inputs::Inputs;
use crate::layers::LayerReport;
use crate::{Error, Model, Result};
use modelsmith_ir::{Def, NodeId, Type, ValueId};
use std::collections::{HashMap, HashSet};

/// A part of the second model that differs from its counterpart in the first.
pub struct Reduced {
    /// The part.
    pub part: modelsmith_ir::Model,
    /// Samples on which both were run, drawn anew for the part, and those of them in which they differ. `None` where the sides
    /// cannot run a part.
    pub seen: Option<(usize, usize)>,
}

/// Samples on which a part is run again.
const SAMPLES: usize = 6;

/// The smallest part of `b` that makes `value`, and differs from what `a` makes from the same values. Where the part between
/// values that agree does not differ on inputs drawn for it (the difference was in the making before, within the tolerance),
/// twice as many values that agree are taken inside, until it does or all of the model is in it.
///
/// # Errors
/// As [`reduce`].
pub fn differing(
    (a, b): (&Model, &Model),
    value: &str,
    layers: &[LayerReport],
    options: &CompareOptions,
) -> Result<Reduced> {
    let smallest = reduce(b, value, layers)?;
    if options.a.independent() || options.b.independent() || options.golden.is_some() {
        return Ok(Reduced { part: smallest, seen: None });
    }
    let options = CompareOptions {
        inputs: Inputs { seed: options.inputs.seed, ..Inputs::default() },
        samples: SAMPLES,
        map_outputs: vec![],
        layers: false,
        save_inputs: None,
        ..options.clone()
    };
    let end = layers.iter().position(|l| l.name == value).unwrap_or(layers.len());
    let mut inside = 0;
    loop {
        let held = |(i, _): &(usize, &LayerReport)| *i >= end || *i + inside < end;
        let known = layers.iter().enumerate().filter(held).map(|(_, l)| l.clone()).collect::<Vec<_>>();
        let (left, part) = (reduce(a, value, &known)?, reduce(b, value, &known)?);
        // A part that does not run on values drawn for it shows nothing; a wider one may.
        let samples = compare(&a.with_hub(left), &b.with_hub(part.clone()), &options).map(|found| found.samples);
        let samples = samples.unwrap_or_default();
        let differ = samples.iter().filter(|s| !s.agrees).count();
        if differ > 0 {
            return Ok(Reduced { part, seen: Some((samples.len(), differ)) });
        }
        if inside >= end {
            return Ok(Reduced { part: smallest, seen: Some((samples.len(), 0)) });
        }
        inside = (2 * inside).max(1);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> Model {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.onnx");
        Model::open(path).unwrap().with_hub(modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap())
    }

    fn reduced(a: &str, b: &str, value: &str) -> (Vec<String>, Option<(usize, usize)>) {
        let (a, b) = (model(a), model(b));
        let options = CompareOptions { layers: true, samples: 4, ..CompareOptions::default() };
        let found = compare(&a, &b, &options).unwrap();
        assert_eq!(found.first_diverging.as_deref(), Some(value));
        let got = differing((&a, &b), value, &found.layers.unwrap(), &options).unwrap();
        let names = got.part.graph().body.iter().map(|&n| got.part.op_name(n).to_owned());
        (names.collect(), got.seen)
    }

    #[test]
    fn the_node_that_differs_is_left() {
        let text = |op: &str| {
            format!("graph(%x: f32[4, 3]) {{\n  %y = Relu(%x)\n  %z = {op}(%y)\n  %w = Neg(%z)\n  return %w\n}}")
        };
        let (left, seen) = reduced(&text("Erf"), &text("Tanh"), "z");
        assert_eq!(left, ["Tanh"]);
        let (samples, differ) = seen.unwrap();
        assert!(samples >= SAMPLES && differ > 0 && differ <= samples);
    }

    #[test]
    fn a_difference_that_was_in_the_making_takes_more_nodes() {
        // The shift is within the tolerance of y, and the exponential is the same on both sides.
        let text = |shift: &str| {
            format!(
                "graph(%x: f32[4, 3]) {{\n  %a = Abs(%x)\n  %y = Add(%a, f32[] {shift})\n  %z = Sub(%y, f32[] 100)\n  return %z\n}}"
            )
        };
        let (left, seen) = reduced(&text("100"), &text("100.01"), "z");
        assert_eq!(left, ["Add", "Sub"]);
        assert!(seen.unwrap().1 > 0);
    }
}
