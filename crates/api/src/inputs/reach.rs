//! Whether the outputs of a model can depend on the elements of its inputs at all.

use modelsmith_ir::{Def, Model, Node, NodeId, Op, ValueId};
use std::collections::HashSet;

/// True unless no result of the main graph can be reached from the elements of a parameter that `drawn` marks. Sizes
/// are no elements: a shape says the same whatever is in the tensor.
pub fn outputs_depend(model: &Model, drawn: &[bool]) -> bool {
    let params = model.graph().params.iter().zip(drawn).filter(|(_, d)| **d).map(|(&p, _)| p).collect::<HashSet<_>>();
    let mut seen = HashSet::new();
    let mut queue = model.graph().results.clone();
    while let Some(v) = queue.pop() {
        if params.contains(&v) {
            return true;
        }
        match model.values[v].def {
            // An engine shows its outputs without the steps that make them.
            Def::Nothing => return true,
            Def::Node(n, ..) if seen.insert(n) => queue.extend(read_by(model, n)),
            _ => {}
        }
    }
    false
}

/// What a node computes from: its operands, and everything in its bodies.
fn read_by(model: &Model, n: NodeId) -> Vec<ValueId> {
    let node = &model.nodes[n];
    if matches!(model.op_name(n), "Shape" | "Size") {
        return vec![];
    }
    let mut out = operands(node);
    let mut regions = node.regions.iter().map(|(_, r)| *r).collect::<Vec<_>>();
    if let Op::Call(f) = node.op {
        regions.push(model.functions[f].region);
    }
    for r in regions {
        model.nodes_in(r).into_iter().for_each(|inner| out.extend(operands(&model.nodes[inner])));
        out.extend(model.regions[r].results.iter().copied());
    }
    out
}

fn operands(node: &Node) -> Vec<ValueId> {
    node.inputs.iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depends(text: &str) -> bool {
        let model = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        outputs_depend(&model, &[true])
    }

    #[test]
    fn sizes_are_no_elements() {
        assert!(depends("graph(%x: f32[2]) { %y = Relu(%x) return %y }"));
        assert!(!depends("graph(%x: f32[2]) { %s = Shape(%x) %y = ConstantOfShape(%s) return %y }"));
        assert!(depends(
            "graph(%x: f32[2]) { %c = Less(f32[] 1, f32[] 2)
               %y = If(%c) {then_branch = graph() { %a = Neg(%x) return %a }, else_branch = graph() { return %x }}
               return %y }"
        ));
    }
}
