use crate::{Target, Trace, Try};
use modelsmith_base::Budget;
use modelsmith_ir::{
    Attr, AttrView, Builder, Def, Dim, Edit, Fact, Model, Node, NodeId, OpResult, Origin, RegionId, SymTensor, Type,
    Use, ValueId, verify_node,
};
use modelsmith_ops::infer::{Facts, infer, is_invented};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Tensor, WeightExpr, materialize};
use std::collections::HashSet;
use std::sync::Arc;

/// A model under change: uses, types and symbolic values are kept up to date, and every replacement of a value goes
/// through the type guard.
pub struct Graph<'m> {
    edit: Edit<'m>,
    facts: Facts,
    /// Names of sizes in the types of the main graph's inputs.
    input_sizes: HashSet<Arc<str>>,
    /// What the result may say.
    pub target: &'m Target,
    /// Where rules tell what they did.
    pub trace: &'m mut Trace,
    changes: usize,
}

impl<'m> Graph<'m> {
    /// Infers the model and reads its uses.
    pub fn new(model: &'m mut Model, target: &'m Target, trace: &'m mut Trace) -> Graph<'m> {
        let (facts, _) = infer(model);
        let params = model.graph().params.iter().filter_map(|&p| model.ty(p).shape());
        let input_sizes = params.flatten().flat_map(Dim::symbols).collect();
        Graph { edit: Edit::new(model), facts, input_sizes, target, trace, changes: 0 }
    }

    /// True when a size depends on those of the inputs only. Others, such as the number of elements that are not zero,
    /// may be 0 in ordinary runs.
    pub fn follows_from_inputs(&self, size: &Dim) -> bool {
        *size != Dim::Unknown && size.symbols().iter().all(|s| self.input_sizes.contains(s))
    }

    /// The model.
    pub fn model(&self) -> &Model {
        self.edit.model()
    }

    /// The model, for changes that touch no operand, result, body or node list.
    pub fn model_mut(&mut self) -> &mut Model {
        self.edit.model_mut()
    }

    /// Number of changes made.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// Counts a change made through [`Graph::model_mut`].
    pub fn changed(&mut self) {
        self.changes += 1;
    }

    /// All nodes of the main graph, of functions and of the bodies in them, in order of their regions.
    pub fn nodes(&self) -> Vec<NodeId> {
        let roots = std::iter::once(self.model().main).chain(self.model().functions.iter().map(|(_, f)| f.region));
        roots.flat_map(|r| self.model().nodes_in(r)).collect()
    }

    /// The node, if it was not removed.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.model().nodes.get(id)
    }

    /// The node that makes `value`, when it is the hub operator `name`.
    pub fn made_by(&self, value: ValueId, name: &str) -> Option<NodeId> {
        let n = self.model().producer(value)?;
        self.model().nodes[n].is(name).then_some(n)
    }

    /// Operand `i` of a node.
    ///
    /// # Errors
    /// When it is absent.
    pub fn input(&self, node: NodeId, i: usize) -> Try<ValueId> {
        self.model().nodes[node].input(i).ok_or_else(|| format!("operand {i} is absent").into())
    }

    /// Result 0 of a node.
    ///
    /// # Errors
    /// When it has no name.
    pub fn output(&self, node: NodeId) -> Try<ValueId> {
        self.model().nodes[node].output(0).ok_or_else(|| "the node has no result".into())
    }

    /// Attributes of a hub node with the schema's defaults.
    ///
    /// # Errors
    /// When the node is not of the hub.
    pub fn attrs(&self, node: NodeId) -> Try<AttrView<'_>> {
        let n = &self.model().nodes[node];
        match n.known() {
            Some(def) => Ok(AttrView::new(def, &n.attrs)),
            None => Err("the node is not of the hub".into()),
        }
    }

    /// Where `value` is used.
    pub fn uses(&self, value: ValueId) -> &[Use] {
        self.edit.uses(value)
    }

    /// The only node that uses `value`, if nothing else does.
    pub fn only_user(&self, value: ValueId) -> Option<NodeId> {
        self.edit.only_user(value)
    }

    /// True when `value` is used exactly once.
    pub fn used_once(&self, value: ValueId) -> bool {
        self.uses(value).len() == 1
    }

    /// Region of a node.
    pub fn region_of(&self, node: NodeId) -> Option<RegionId> {
        self.edit.region_of(node)
    }

    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        self.model().ty(value)
    }

    /// Shape of a tensor of known rank.
    ///
    /// # Errors
    /// When the rank is not known.
    pub fn shape(&self, value: ValueId) -> Try<&[Dim]> {
        self.ty(value).shape().ok_or_else(|| "the rank is not known".into())
    }

    /// Sizes of a tensor.
    ///
    /// # Errors
    /// When one is not a number.
    pub fn sizes(&self, value: ValueId) -> Try<Vec<usize>> {
        self.ty(value).sizes().ok_or_else(|| "the sizes are not known".into())
    }

    /// What is known of a value.
    pub fn fact(&self, value: ValueId) -> Fact {
        self.facts.get(self.model(), value)
    }

    /// Elements of a small integer tensor as expressions.
    pub fn value(&self, value: ValueId) -> Option<&SymTensor> {
        self.facts.value(value)
    }

    /// Elements of a small integer tensor as numbers.
    ///
    /// # Errors
    /// When they are not known.
    pub fn ints(&self, value: ValueId) -> Try<Vec<i64>> {
        match self.value(value).and_then(SymTensor::known) {
            Some(v) => Ok(v),
            None => {
                let t = self.constant(value)?;
                Ok(t.to_i64s()?)
            }
        }
    }

    /// The tensor behind a constant: an initializer, a Constant node, or a value that inference knows.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn constant(&self, value: ValueId) -> Try<Tensor> {
        if let Ok(w) = self.weight(value) {
            return Ok(materialize(&w, &Operators, &Budget::unlimited())?);
        }
        let known = self.model().constant(value).or_else(|| self.facts.constant(value).cloned());
        known.ok_or_else(|| "the operand is no constant".into())
    }

    /// The weight behind a value that no caller overrides.
    ///
    /// # Errors
    /// When it is none.
    pub fn weight(&self, value: ValueId) -> Try<Arc<WeightExpr>> {
        match self.model().weight(value) {
            Some(w) if !self.model().overridable(value) => Ok(w.clone()),
            _ => Err("the operand is no initializer".into()),
        }
    }

    /// The number behind a constant of one element.
    ///
    /// # Errors
    /// When it is none.
    pub fn scalar(&self, value: ValueId) -> Try<f64> {
        let one = self.ty(value).sizes().is_some_and(|s| s.iter().product::<usize>() == 1);
        if !one {
            return Err("the operand is no constant of one element".into());
        }
        let t = self.constant(value)?;
        t.to_f64s()?.first().copied().ok_or_else(|| "the constant is empty".into())
    }

    /// The number that every element of a constant is.
    ///
    /// # Errors
    /// When it is no constant at hand, or the elements differ.
    pub fn uniform(&self, value: ValueId) -> Try<f64> {
        let Ok(w) = self.weight(value) else { return self.scalar(value) };
        let differ = || "the elements of the constant differ".into();
        let width = w.dtype().bits() / 8;
        if w.len() == 1 || width == 0 {
            return self.scalar(value);
        }
        let bytes = w.mapped().ok_or("the constant is not at hand")?;
        let first = bytes.get(..width).ok_or("the constant is empty")?;
        if bytes.chunks_exact(width).any(|b| b != first) {
            return Err(differ());
        }
        let one = Tensor::from_bytes(w.dtype(), &[], first)?;
        one.to_f64s()?.first().copied().ok_or_else(differ)
    }

    /// Adds an initializer to the region of `near`.
    pub fn add_weight(&mut self, near: NodeId, weight: Arc<WeightExpr>) -> ValueId {
        let region = self.region_of(near).unwrap_or(self.model().main);
        self.model_mut().add_weight(region, "", weight)
    }

    /// Adds a constant to the region of `near`.
    pub fn add_constant(&mut self, near: NodeId, tensor: Tensor) -> ValueId {
        self.add_weight(near, Arc::new(WeightExpr::Literal(tensor)))
    }

    /// Builds nodes before `at`, standing for the nodes `sources`. What `build` returns is usually handed to
    /// [`Graph::replace`].
    ///
    /// # Errors
    /// Those of `build`, a node that breaks its specification, or an operator that the target cannot say; then
    /// nothing is left of it.
    pub fn build<T>(
        &mut self,
        at: NodeId,
        sources: &[NodeId],
        build: impl FnOnce(&mut Builder) -> OpResult<T>,
    ) -> Try<T> {
        let (Some(region), Some(position)) = (self.region_of(at), self.edit.position(at)) else {
            return Err("the node is in no region".into());
        };
        let origin = self.origin_of(sources);
        let mut b = Builder::new(self.edit.model_mut(), modelsmith_ops::all(), region, position).with_origin(origin);
        let made = build(&mut b);
        let end = b.position();
        let new = self.model().regions[region].body[position..end].to_vec();
        let mut fault = None;
        for &n in &new {
            self.edit.adopt(region, n);
            let refused = self.facts.add_node(self.edit.model_mut(), n).err().map(|e| e.to_string());
            let refused = refused.or_else(|| verify_node(self.model(), n).first().map(|d| d.message.clone()));
            let node = &self.model().nodes[n];
            let unsaid = node.known().filter(|d| !self.target.allows(d, &node.attrs));
            fault = fault.or(refused).or(unsaid.map(|d| format!("the target has no {}", d.name)));
        }
        match (made, fault) {
            (Ok(v), None) => Ok(v),
            (made, fault) => {
                for n in new.into_iter().rev() {
                    self.edit.remove(n);
                }
                Err(fault.unwrap_or_else(|| made.err().map_or_else(String::new, |e| e.to_string())).into())
            }
        }
    }

    /// Nodes that now stand for the nodes of the file that `sources` stood for.
    fn origin_of(&self, sources: &[NodeId]) -> Origin {
        let mut names = Vec::new();
        for &n in sources {
            let Some(node) = self.node(n) else { continue };
            match node.origin.sources.is_empty() {
                true if !node.name.is_empty() => names.push(node.name.clone()),
                true => {}
                false => names.extend(node.origin.sources.iter().cloned()),
            }
        }
        names.dedup();
        Origin { sources: names, ..Origin::default() }
    }

    /// The type guard: whether `new` may stand for `old`.
    ///
    /// # Errors
    /// When the type of `new` does not refine that of `old`, when too little is known of `old` to tell, or when
    /// `old` is a result of a graph and `new` cannot take its name.
    pub fn guard(&self, old: ValueId, new: ValueId) -> Try {
        self.may_be_result(old, new)?;
        let (own, other) = (self.ty(old), self.ty(new));
        match own {
            Type::Unknown => return Err("nothing is known of the type that is replaced".into()),
            Type::Tensor(t) if t.dtype.is_none() || t.shape.is_none() => {
                return Err("too little is known of the type that is replaced".into());
            }
            _ => {}
        }
        match other.refines(&unnamed(own, old)) {
            true => Ok(()),
            false => Err(format!("{other} does not refine {own}").into()),
        }
    }

    /// A result of a graph must be made by a node of that graph, and be one result only.
    fn may_be_result(&self, old: ValueId, new: ValueId) -> Try {
        for at in self.uses(old) {
            let Use::Result(region, _) = at else { continue };
            let home = self.model().producer(new).and_then(|n| self.region_of(n));
            if home != Some(*region) {
                return Err("a result of a graph must be made by a node of it".into());
            }
            let taken = self.uses(new).iter().any(|u| matches!(u, Use::Result(..)));
            let twice = self.uses(old).iter().filter(|u| matches!(u, Use::Result(..))).count() > 1;
            if taken || twice {
                return Err("two results of a graph must be two values".into());
            }
        }
        Ok(())
    }

    /// Every use of `old` becomes one of `new`, if the type guard allows it.
    ///
    /// # Errors
    /// Those of [`Graph::guard`]; then nothing has changed.
    pub fn replace_value(&mut self, old: ValueId, new: ValueId) -> Try {
        self.guard(old, new)?;
        self.alias(old, new);
        Ok(())
    }

    /// As [`Graph::replace_value`] where `new` is the same tensor by definition, as behind Identity: types need not be known.
    ///
    /// # Errors
    /// When `old` is a result of a graph and `new` cannot take its name.
    pub fn replace_same(&mut self, old: ValueId, new: ValueId) -> Try {
        self.may_be_result(old, new)?;
        let ty = self.ty(new).meet(self.ty(old));
        self.alias(old, new);
        if !matches!(self.model().values[new].def, Def::Weight(..)) {
            self.model_mut().values[new].ty = ty;
        }
        Ok(())
    }

    fn alias(&mut self, old: ValueId, new: ValueId) {
        let result = self.uses(old).iter().any(|u| matches!(u, Use::Result(..)));
        let old_name = self.model().values[old].name.clone();
        self.edit.replace_uses(old, new);
        let made = matches!(self.model().values[new].def, Def::Node(..));
        if !result && made && self.model().values[new].name.is_empty() {
            self.model_mut().values[old].name = String::new();
            self.model_mut().values[new].name = old_name;
        }
        self.changes += 1;
    }

    /// Replaces result 0 of `node` by `new` and removes what nothing needs any more. When the guard refuses, what was built for
    /// `new` is removed again.
    ///
    /// # Errors
    /// Those of [`Graph::guard`].
    pub fn replace(&mut self, node: NodeId, new: ValueId) -> Try {
        let old = self.output(node)?;
        let done = self.replace_value(old, new);
        match (&done, self.model().producer(new)) {
            (Ok(()), _) => self.remove_dead(node),
            (Err(_), Some(made)) => self.remove_dead(made),
            (Err(_), None) => {}
        }
        done
    }

    /// Sets operand `i` of a node.
    pub fn set_input(&mut self, node: NodeId, i: usize, value: Option<ValueId>) {
        self.edit.set_input(node, i, value);
        self.changes += 1;
    }

    /// Sets an attribute of a node.
    pub fn set_attr(&mut self, node: NodeId, name: &str, value: impl Into<Attr>) {
        self.model_mut().nodes[node].attrs.set(name, value);
        self.changes += 1;
    }

    /// Infers a node again after a change of its operands or attributes.
    ///
    /// # Errors
    /// When it breaks its specification.
    pub fn refresh(&mut self, node: NodeId) -> Try {
        Ok(self.facts.add_node(self.edit.model_mut(), node)?)
    }

    /// Removes `node` if nothing uses its results, and then what only it used.
    pub fn remove_dead(&mut self, node: NodeId) {
        let mut work = vec![node];
        while let Some(n) = work.pop() {
            let Some(dead) = self.node(n) else { continue };
            if dead.outputs.iter().flatten().any(|&v| !self.uses(v).is_empty()) {
                continue;
            }
            let captured = dead.regions.iter().flat_map(|(_, r)| self.model().captures(*r)).collect::<Vec<_>>();
            let used = dead.inputs.iter().flatten().copied().chain(captured).collect::<Vec<_>>();
            self.edit.remove(n);
            work.extend(used.into_iter().filter_map(|v| self.model().producer(v)));
        }
    }
}

/// The type with names taken out that inference gave to this very value: they say only that nothing is known.
fn unnamed(ty: &Type, value: ValueId) -> Type {
    let own = format!("_d{}_", value.index());
    let Type::Tensor(t) = ty else { return ty.clone() };
    let hide = |d: &Dim| match d.as_symbol() {
        Some(s) if is_invented(s) && s.starts_with(&own) => Dim::Unknown,
        _ => d.clone(),
    };
    let shape = t.shape.as_ref().map(|s| s.iter().map(hide).collect());
    Type::Tensor(modelsmith_ir::TensorType { dtype: t.dtype, shape })
}
