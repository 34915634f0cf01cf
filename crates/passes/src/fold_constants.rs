//! Computes what depends on constants only.
//!
//! Only values that other nodes need become initializers, so what lies between costs nothing. A value is folded when it
//! is within the target's bound for a single constant, or not larger than the initializers that it makes superfluous; so a
//! file does not grow by, say, an Expand or a Range that was cheap to say, and the planner computes it once.
//! Large results are described by lazy expressions. Computed factors of linear operators have a wider bound: fusions and
//! the runtimes' packing want them constant.

use crate::weights;
use modelsmith_base::Budget;
use modelsmith_ir::{AttrView, Def, EvalCx, Model, Node, NodeId, Op, OpDef, Use, ValueId, text::print_op};
use modelsmith_ops::interp::Operators;
use modelsmith_rewrite::{Graph, Pass, Preserves, Try};
use modelsmith_tensor::{Value, WeightExpr, materialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Largest result computed at once on the way to a smaller one.
const WORK: u64 = 64 << 20;

/// See the module.
pub static PASS: Pass = Pass {
    name: "fold-constants",
    doc: "computes what depends on constants only, where the file does not grow by it",
    // The reference rounds once where a runtime may round at each step.
    preserves: Preserves::Float(4),
    after: &["lift-constants"],
    run: |cx| Ok(run(&mut Graph::new(cx.model, cx.target, cx.trace))),
    ..Pass::BASE
};

fn run(g: &mut Graph) -> usize {
    let nodes = g.nodes();
    let constant = constant_nodes(g, &nodes);
    let mut fold = Folder { g, constant, done: HashMap::new(), growth: 0, linear: 0, changes: 0 };
    for &n in nodes.iter().rev() {
        if fold.constant.contains(&n) && !fold.g.trace.choice.spent() {
            fold.node(n);
        }
    }
    fold.changes
}

/// Nodes whose results depend on constants only.
fn constant_nodes(g: &Graph, nodes: &[NodeId]) -> HashSet<NodeId> {
    let mut out = HashSet::new();
    // Bodies come after the nodes that hold them, so one pass in order sees producers first within a region; values
    // captured from outer regions need another.
    loop {
        let before = out.len();
        for &n in nodes {
            let node = &g.model().nodes[n];
            let known = |v: ValueId| match &g.model().values[v].def {
                Def::Weight(..) => !g.model().overridable(v),
                Def::Node(p, _) => out.contains(p) || g.fact(v).constant.is_some(),
                _ => false,
            };
            let all_known = node.inputs.iter().flatten().all(|&v| known(v));
            let follows = node.outputs.iter().flatten().all(|&v| g.fact(v).constant.is_some());
            let pure = node.known().is_some_and(|d| !d.flags.random) && node.regions.is_empty();
            if pure && !node.outputs.is_empty() && (all_known || follows) {
                out.insert(n);
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

struct Folder<'g, 'm> {
    g: &'g mut Graph<'m>,
    constant: HashSet<NodeId>,
    /// Results computed so far.
    done: HashMap<ValueId, Arc<WeightExpr>>,
    growth: u64,
    /// Bytes of factors of linear operators.
    linear: u64,
    changes: usize,
}

impl Folder<'_, '_> {
    /// Folds the results of a constant node that nodes outside of the constant ones use. When that is refused, the
    /// node is no longer constant, and its operands are asked for in turn.
    fn node(&mut self, n: NodeId) {
        let Some(node) = self.g.node(n).cloned() else { return };
        if !self.needed(&node) {
            return;
        }
        if let Err(why) = self.try_fold(n, &node) {
            self.constant.remove(&n);
            let label = self.g.model().node_label(n);
            self.g.trace.note("fold-constants", || label, Some(why.0.into_owned()));
        }
    }

    fn needed(&self, node: &Node) -> bool {
        node.outputs.iter().flatten().any(|&v| self.used_outside(v))
    }

    fn used_outside(&self, v: ValueId) -> bool {
        self.g.uses(v).iter().any(|u| match u {
            Use::Operand(user, _) => !self.constant.contains(user),
            Use::Result(..) => true,
        })
    }

    fn try_fold(&mut self, n: NodeId, node: &Node) -> Try {
        let wanted = node.outputs.iter().flatten().copied().filter(|&v| self.used_outside(v)).collect::<Vec<_>>();
        if wanted.iter().any(|&v| modelsmith_rewrite::sweep::is_result(self.g.uses(v))) {
            return Err("a result of a graph must be made by a node".into());
        }
        let mut made = Vec::new();
        let (mut growth, mut linear) = (0, 0);
        for &v in &wanted {
            let expected = self.g.ty(v).sizes().zip(self.g.ty(v).dtype());
            let bytes = expected.and_then(|(s, d)| d.bytes_for(s.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?));
            let saved = self.saved(v);
            let factor = self.is_factor(v);
            let single = if factor { self.g.target.weights } else { self.g.target.single };
            let allowed = |bytes: u64| bytes <= single || bytes <= saved;
            if bytes.is_some_and(|b| !allowed(b as u64)) {
                return Err("the file would grow".into());
            }
            let w = self.value(v, 0)?;
            if !allowed(w.byte_len()) {
                return Err("the file would grow".into());
            }
            *(if factor { &mut linear } else { &mut growth }) += w.byte_len().saturating_sub(saved);
            made.push((v, w));
        }
        if self.growth + growth > self.g.target.growth || self.linear + linear > self.g.target.weights {
            return Err("the file would grow beyond the bound of all constants together".into());
        }
        self.growth += growth;
        self.linear += linear;
        for (old, w) in made {
            let name = std::mem::take(&mut self.g.model_mut().values[old].name);
            let new = self.g.add_weight(n, w);
            self.g.model_mut().values[new].name = name;
            self.g.replace_same(old, new)?;
            self.changes += 1;
        }
        let label = self.g.model().node_label(n);
        self.g.remove_dead(n);
        self.g.trace.note("fold-constants", || label, None);
        Ok(())
    }

    /// True when `v` is needed only as a factor, bias or statistic of linear operators.
    fn is_factor(&self, v: ValueId) -> bool {
        const LINEAR: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization"];
        let mut outside = self.g.uses(v).iter().filter(|u| match u {
            Use::Operand(user, _) => !self.constant.contains(user),
            Use::Result(..) => true,
        });
        outside.all(|u| match u {
            Use::Operand(user, i) => *i > 0 && LINEAR.iter().any(|op| self.g.model().nodes[*user].is(op)),
            Use::Result(..) => false,
        })
    }

    /// Bytes of the initializers behind `v` that only constant nodes use.
    fn saved(&self, v: ValueId) -> u64 {
        let (mut seen, mut work, mut sum) = (HashSet::new(), vec![v], 0);
        while let Some(v) = work.pop() {
            if !seen.insert(v) {
                continue;
            }
            match &self.g.model().values[v].def {
                Def::Weight(_, w) if !self.used_outside(v) => sum += w.byte_len(),
                Def::Node(n, _) if self.constant.contains(n) => {
                    work.extend(self.g.model().nodes[*n].inputs.iter().flatten());
                }
                _ => {}
            }
        }
        sum
    }

    fn value(&mut self, v: ValueId, depth: usize) -> Try<Arc<WeightExpr>> {
        if let Some(w) = self.done.get(&v) {
            return Ok(w.clone());
        }
        if let Some(t) = self.g.fact(v).constant {
            return Ok(Arc::new(WeightExpr::Literal(t)));
        }
        let n = match &self.g.model().values[v].def {
            Def::Weight(_, w) => return Ok(w.clone()),
            Def::Node(n, _) if depth < 256 => *n,
            _ => return Err("the chain of constants is too long".into()),
        };
        let node = self.g.model().nodes[n].clone();
        let Op::Known(def) = node.op else { return Err("a foreign operator".into()) };
        let inputs =
            node.inputs.iter().map(|v| v.map(|v| self.value(v, depth + 1)).transpose()).collect::<Try<Vec<_>>>()?;
        let results = match lazy(self.g.model(), &node, def, &inputs) {
            Some(w) => vec![w],
            None => compute(&node, def, &inputs)?,
        };
        for (v, w) in node.outputs.iter().zip(results) {
            v.iter().for_each(|&v| drop(self.done.insert(v, w.clone())));
        }
        self.done.get(&v).cloned().ok_or_else(|| "the operator gave too few results".into())
    }
}

/// A large result of known type as an expression.
fn lazy(
    model: &Model,
    node: &Node,
    def: &'static OpDef,
    inputs: &[Option<Arc<WeightExpr>>],
) -> Option<Arc<WeightExpr>> {
    let [Some(out)] = node.outputs[..] else { return None };
    let (dtype, shape) = (model.ty(out).dtype()?, model.ty(out).sizes()?);
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    if count <= weights::EAGER || !def.domain.is_empty() {
        return None;
    }
    let inputs = inputs.iter().cloned().collect::<Option<Vec<_>>>()?;
    let first = inputs.first()?.clone();
    Some(Arc::new(match def.name {
        "Identity" => return Some(first),
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => WeightExpr::Reshape(first, shape),
        "Transpose" => {
            let rank = first.shape().len();
            let perm = AttrView::new(def, &node.attrs).opt_ints("perm").ok()?;
            let perm = perm.map(|p| p.iter().map(|&i| usize::try_from(i).ok()).collect::<Option<Vec<_>>>());
            WeightExpr::Permute(first, perm.unwrap_or_else(|| Some((0..rank).rev().collect()))?)
        }
        "Cast" => WeightExpr::Cast(first, dtype),
        _ => WeightExpr::Eval { op: print_op(def, &node.attrs), inputs, dtype, shape },
    }))
}

fn compute(node: &Node, def: &'static OpDef, inputs: &[Option<Arc<WeightExpr>>]) -> Try<Vec<Arc<WeightExpr>>> {
    let total = inputs.iter().flatten().map(|w| w.byte_len()).sum::<u64>();
    if total > WORK {
        return Err("the operands are too large to compute with here".into());
    }
    let read = |w: &Arc<WeightExpr>| materialize(w, &Operators, &Budget::unlimited()).map(Value::Tensor);
    let values = inputs.iter().map(|w| w.as_ref().map(read).transpose()).collect::<Result<Vec<_>, _>>()?;
    let refs = values.iter().map(Option::as_ref).collect::<Vec<_>>();
    let cx = EvalCx {
        attrs: AttrView::new(def, &node.attrs),
        outputs: node.outputs.len(),
        regions: None,
        evaluator: &Operators,
    };
    let results = (def.eval)(&cx, &refs)?;
    let tensor = |v: Value| match v {
        Value::Tensor(t) => Ok(Arc::new(WeightExpr::Literal(t))),
        other => Err(format!("a {} is no initializer", other.kind()).into()),
    };
    results.into_iter().map(tensor).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        modelsmith_rewrite::check::check_literate(&super::PASS, include_str!("../tests/ir/fold_constants.ir")).unwrap();
    }
}
