use crate::{
    Attr, AttrView, Attrs, Def, Model, Node, NodeId, Op, OpError, OpResult, OpSet, Origin, RegionId, Type, ValueId,
    infer_node,
};
use modelsmith_tensor::{Tensor, WeightExpr};
use std::sync::Arc;

/// Inserts hub nodes into a region, one after the other, and infers their types.
pub struct Builder<'a> {
    /// The model.
    pub model: &'a mut Model,
    /// The operator set.
    pub ops: &'a OpSet,
    region: RegionId,
    at: usize,
    origin: Origin,
}

impl<'a> Builder<'a> {
    /// A builder that inserts before position `at` of `region`.
    pub fn new(model: &'a mut Model, ops: &'a OpSet, region: RegionId, at: usize) -> Builder<'a> {
        Builder { model, ops, region, at, origin: Origin::default() }
    }

    /// Nodes built from here on carry this origin.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Position before which the next node goes.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Attributes of a node of the model, with the schema's defaults.
    ///
    /// # Errors
    /// When the node is not of the hub.
    pub fn attrs(&self, node: NodeId) -> OpResult<AttrView<'static>> {
        let n = &self.model.nodes[node];
        let def = n.known().ok_or_else(|| OpError::invalid("the node is not of the hub"))?;
        Ok(AttrView::owned(def, n.attrs.clone()))
    }

    /// Operand `i` of a node.
    ///
    /// # Errors
    /// When it is absent.
    pub fn input(&self, node: NodeId, i: usize) -> OpResult<ValueId> {
        self.opt_input(node, i).ok_or_else(|| OpError::invalid(format!("input {i} is required")))
    }

    /// Operand `i` of a node, if present.
    pub fn opt_input(&self, node: NodeId, i: usize) -> Option<ValueId> {
        self.model.nodes[node].input(i)
    }

    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        self.model.ty(value)
    }

    /// A constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.model.add_weight(self.region, "", Arc::new(WeightExpr::Literal(tensor)))
    }

    /// A constant of rank 1 of `i64`.
    pub fn ints(&mut self, values: &[i64]) -> ValueId {
        self.constant(Tensor::vector(values))
    }

    /// A constant scalar with the element type of `like`.
    ///
    /// # Errors
    /// When that type is not known.
    pub fn scalar_like(&mut self, like: ValueId, value: f64) -> OpResult<ValueId> {
        let dtype = self.ty(like).dtype().ok_or_else(|| OpError::unsupported("the element type is not known"))?;
        Ok(self.constant(Tensor::from_f64s(dtype, &[], &[value])?))
    }

    /// A node of the default domain with one output.
    ///
    /// # Errors
    /// When the operator is unknown.
    pub fn op(&mut self, name: &str, inputs: &[ValueId]) -> OpResult<ValueId> {
        self.op_with(name, inputs, Attrs::new())
    }

    /// As [`Builder::op`], with attributes.
    ///
    /// # Errors
    /// When the operator is unknown.
    pub fn op_with(&mut self, name: &str, inputs: &[ValueId], attrs: Attrs) -> OpResult<ValueId> {
        let inputs = inputs.iter().map(|&v| Some(v)).collect::<Vec<_>>();
        Ok(self.node("", name, &inputs, attrs, 1)?[0])
    }

    /// A node of any domain with `outputs` outputs; absent operands are `None`.
    ///
    /// # Errors
    /// When the operator is unknown.
    pub fn node(
        &mut self,
        domain: &str,
        name: &str,
        inputs: &[Option<ValueId>],
        attrs: Attrs,
        outputs: usize,
    ) -> OpResult<Vec<ValueId>> {
        let def =
            self.ops.get(domain, name).ok_or_else(|| OpError::unsupported(format!("operator {domain} {name}")))?;
        let node = Node {
            op: Op::Known(def),
            inputs: inputs.to_vec(),
            outputs: vec![],
            attrs,
            regions: vec![],
            name: String::new(),
            origin: self.origin.clone(),
        };
        let id = self.model.add_node(self.region, self.at, node, &vec![Some(""); outputs]);
        self.at += 1;
        // A node that breaks its specification keeps unknown types; the verifier names it.
        if let Ok(facts) = infer_node(self.model, id) {
            for (v, fact) in self.model.nodes[id].outputs.clone().into_iter().zip(facts) {
                if let Some(v) = v {
                    self.model.values[v].ty = fact.ty;
                }
            }
        }
        Ok(self.model.nodes[id].outputs.iter().flatten().copied().collect())
    }

    /// Moves the nodes of a body here, where its parameters are `args`; the body is left empty. The values that
    /// replace its results. To be called when nothing else can fail, for a node that is replaced.
    ///
    /// # Errors
    /// When there are not as many arguments as parameters; nothing was moved then.
    pub fn splice(&mut self, body: RegionId, args: &[ValueId]) -> OpResult<Vec<ValueId>> {
        let params = self.model.regions[body].params.clone();
        if params.len() != args.len() {
            let (wanted, given) = (params.len(), args.len());
            return Err(OpError::invalid(format!("the body takes {wanted} inputs, {given} given")));
        }
        let bound = |v: ValueId| params.iter().position(|&p| p == v).map_or(v, |i| args[i]);
        for node in self.model.nodes_in(body) {
            self.model.nodes[node].inputs.iter_mut().flatten().for_each(|v| *v = bound(*v));
        }
        for region in self.model.regions_in(body) {
            self.model.regions[region].results.iter_mut().for_each(|v| *v = bound(*v));
        }
        let from = &mut self.model.regions[body];
        let (nodes, weights) = (std::mem::take(&mut from.body), std::mem::take(&mut from.weights));
        let results = std::mem::take(&mut from.results);
        for &w in &weights {
            let value = &mut self.model.values[w];
            value.name.clear();
            if let Def::Weight(region, _) = &mut value.def {
                *region = self.region;
            }
        }
        self.model.regions[self.region].weights.extend(weights);
        for &n in &nodes {
            // Two bodies may use one name.
            for v in self.model.nodes[n].outputs.clone().into_iter().flatten() {
                self.model.values[v].name.clear();
            }
        }
        let count = nodes.len();
        self.model.regions[self.region].body.splice(self.at..self.at, nodes);
        self.at += count;
        Ok(results)
    }

    /// Sets an attribute of a node built before.
    pub fn set_attr(&mut self, node: NodeId, name: &str, value: impl Into<Attr>) {
        self.model.nodes[node].attrs.set(name, value);
    }
}
