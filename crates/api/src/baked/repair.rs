//! Shapes that an exporter wrote down, freed.

use super::{Baked, find};
use modelsmith_ir::{Def, Model, NodeId, Type, ValueId};
use modelsmith_tensor::{DType, Tensor, WeightExpr};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Freeing a shape shows the types behind it, in which others are found: so often at most.
const ROUNDS: usize = 32;

/// A model whose shapes were freed.
pub struct Fixed {
    /// The graph at the hub.
    pub hub: Model,
    /// What was changed, in words.
    pub done: Vec<String>,
    /// What was found and could not be changed.
    pub left: Vec<String>,
    /// Free dimensions and the sizes for which shapes were written down: there the model computes what it did.
    pub sizes: Vec<(String, usize)>,
}

/// Frees the shapes of `hub` that hold for one size of a free dimension only, as far as it can be told how.
pub fn fix(hub: &Model) -> Fixed {
    let mut model = hub.clone();
    let (mut done, mut sizes) = (Vec::new(), BTreeMap::new());
    for _ in 0..ROUNDS {
        let mut typed = model.clone();
        modelsmith_ops::infer::infer(&mut typed);
        let mut changed = false;
        for b in find(&typed) {
            let Some(r) = b.repair else { continue };
            done.push(format!("{}: {}", typed.node_label(r.node), b.help));
            for (symbol, size) in r.sizes {
                sizes.entry(symbol).or_insert(size);
            }
            set_ints(&mut model, r.node, r.operand, &r.ints);
            forget_shapes(&mut model, r.node);
            changed = true;
        }
        if !changed {
            break;
        }
    }
    modelsmith_ops::infer::infer(&mut model);
    let left = find(&model).iter().map(|b: &Baked| format!("{}: {}", model.node_label(b.node), b.message)).collect();
    let sizes = sizes.into_iter().filter_map(|(s, n)| Some((s, usize::try_from(n).ok()?))).collect();
    Fixed { hub: model, done, left, sizes }
}

/// Gives a node another constant; the old one may have other users.
fn set_ints(model: &mut Model, node: NodeId, operand: usize, ints: &[i64]) {
    let Ok(tensor) = Tensor::from_i64s(DType::I64, &[ints.len()], ints) else { return };
    let home = model.regions.iter().find(|(_, r)| r.body.contains(&node)).map(|(id, _)| id);
    let old = model.nodes[node].input(operand).map(|v| model.values[v].name.clone()).unwrap_or_default();
    let taken = |name: &str| model.values.iter().any(|(_, v)| v.name == name);
    let mut name = format!("{old}_free");
    while taken(&name) {
        name.push('_');
    }
    if let Some(home) = home {
        let value = model.add_weight(home, &name, Arc::new(WeightExpr::Literal(tensor)));
        let slot = model.nodes[node].inputs.get_mut(operand);
        if let Some(old) = slot.and_then(|slot| slot.replace(value)) {
            drop_unused(model, old);
        }
    }
}

/// Removes an initializer that nothing uses any more.
fn drop_unused(model: &mut Model, value: ValueId) {
    let Def::Weight(home, _) = model.values[value].def else { return };
    let by_node = model.nodes.iter().any(|(_, n)| n.inputs.contains(&Some(value)));
    let shown = model.regions.iter().any(|(_, r)| r.results.contains(&value) || r.exposed.contains(&value));
    if !by_node && !shown {
        model.regions[home].weights.retain(|&w| w != value);
        model.values.remove(value);
    }
}

/// Shapes that the file declares behind `node` are those of the size that was written down.
fn forget_shapes(model: &mut Model, node: NodeId) {
    let mut reached: HashSet<ValueId> = model.nodes[node].outputs.iter().flatten().copied().collect();
    loop {
        let before = reached.len();
        for (_, n) in model.nodes.iter() {
            let captured = n.regions.iter().flat_map(|(_, r)| model.captures(*r));
            if n.inputs.iter().flatten().copied().chain(captured).any(|v| reached.contains(&v)) {
                reached.extend(n.outputs.iter().flatten());
            }
        }
        if reached.len() == before {
            break;
        }
    }
    for v in reached {
        let value = &mut model.values[v];
        if let (Type::Tensor(t), Def::Node(..)) = (&mut value.ty, &value.def) {
            t.shape = None;
        }
    }
}

impl Fixed {
    /// The sizes at which original and result agree, as text.
    pub fn sizes_text(&self) -> String {
        self.sizes.iter().map(|(s, n)| format!("{s} = {n}")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_behind_a_freed_one_are_freed_too() {
        let text = "graph(%x: f32[N, S, 12]) {
  %r: f32[2, 7, 3, 4] = Reshape(%x, i64[4] [2, 7, 3, 4])
  %t: f32[2, 3, 7, 4] = Transpose(%r) {perm = [0, 2, 1, 3]}
  %b: f32[2, 7, 3, 4] = Transpose(%t) {perm = [0, 2, 1, 3]}
  %y: f32[2, 7, 12] = Reshape(%b, i64[3] [2, 7, 12])
  return %y
}";
        let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let fixed = fix(&model);
        assert_eq!(fixed.sizes, [("N".to_owned(), 2), ("S".to_owned(), 7)]);
        assert_eq!((fixed.done.len(), fixed.left.len()), (2, 0), "{:?} {:?}", fixed.done, fixed.left);
        assert_eq!(fixed.hub.ty(fixed.hub.graph().results[0]).to_string(), "f32[N, S, 12]");
        assert!(modelsmith_ir::verify(&fixed.hub).is_empty());
        assert_eq!(fixed.sizes_text(), "N = 2, S = 7");
    }

    #[test]
    fn a_shape_that_is_used_twice_is_left() {
        let text = "graph(%x: f32[N, 3]) {
  %e = ConstantOfShape(i64[2] [8, 3])
  %a = Add(%x, %e)
  %y = Mul(%a, %e)
  return %y
}";
        let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let fixed = fix(&model);
        assert!(fixed.done.is_empty() && !fixed.left.is_empty());
    }
}
