use crate::{Attr, Attrs, Builder, Model, NodeId, OpDef, OpError, OpResult, RegionId, ValueId};
use modelsmith_tensor::{Tensor, WeightExpr};
use std::collections::HashMap;
use std::sync::Arc;

/// A set of operators by domain and name.
#[derive(Clone, Default)]
pub struct OpSet {
    by_name: HashMap<&'static str, HashMap<&'static str, &'static OpDef>>,
    all: Vec<&'static OpDef>,
}

impl OpSet {
    /// The set of `defs`.
    pub fn new(defs: &[&'static OpDef]) -> OpSet {
        let mut by_name = HashMap::<_, HashMap<_, _>>::new();
        for &d in defs {
            by_name.entry(d.domain).or_default().insert(d.name, d);
        }
        OpSet { by_name, all: defs.to_vec() }
    }

    /// The operator `name` of `domain` (`ai.onnx` and the empty domain are one).
    pub fn get(&self, domain: &str, name: &str) -> Option<&'static OpDef> {
        let domain = if domain == "ai.onnx" { "" } else { domain };
        self.by_name.get(domain)?.get(name).copied()
    }

    /// All operators, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &'static OpDef> + '_ {
        self.all.iter().copied()
    }

    /// Number of operators.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// What an adapter between two versions may do to its node. Nodes that it inserts are hub operators; going down,
/// they are taken down in turn.
pub struct AdaptCx<'a> {
    /// The model.
    pub model: &'a mut Model,
    /// The operator set.
    pub ops: &'a OpSet,
    /// Region of the node.
    pub region: RegionId,
    /// The node.
    pub node: NodeId,
}

impl AdaptCx<'_> {
    /// The node's attributes.
    pub fn attrs(&mut self) -> &mut Attrs {
        &mut self.model.nodes[self.node].attrs
    }

    /// Operand `i`, if present.
    pub fn input(&self, i: usize) -> Option<ValueId> {
        self.model.nodes[self.node].input(i)
    }

    /// Sets operand `i`, filling with absent ones.
    pub fn set_input(&mut self, i: usize, value: Option<ValueId>) {
        let inputs = &mut self.model.nodes[self.node].inputs;
        if inputs.len() <= i {
            inputs.resize(i + 1, None);
        }
        inputs[i] = value;
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
    }

    /// Rank of operand `i`, when known.
    pub fn rank(&self, i: usize) -> Option<usize> {
        self.input(i).and_then(|v| self.model.ty(v).rank())
    }

    /// A builder that inserts before the node.
    pub fn before(&mut self) -> Builder<'_> {
        let at = self.position();
        Builder::new(self.model, self.ops, self.region, at)
    }

    /// A builder that inserts after the node.
    pub fn after(&mut self) -> Builder<'_> {
        let at = self.position() + 1;
        Builder::new(self.model, self.ops, self.region, at)
    }

    fn position(&self) -> usize {
        self.model.regions[self.region].body.iter().position(|&n| n == self.node).unwrap_or(0)
    }

    /// A constant value.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.model.add_weight(self.region, "", Arc::new(WeightExpr::Literal(tensor)))
    }

    /// Moves an attribute of integers to operand `i`, an `i64` tensor of rank 1; nothing when it is absent.
    ///
    /// # Errors
    /// When the attribute is of another kind.
    pub fn ints_to_input(&mut self, attr: &str, i: usize) -> OpResult<()> {
        match self.attrs().remove(attr) {
            None => Ok(()),
            Some(Attr::Ints(x)) => {
                let v = self.constant(Tensor::vector(&x));
                self.set_input(i, Some(v));
                Ok(())
            }
            Some(Attr::Int(x)) => {
                let v = self.constant(Tensor::vector(&[x]));
                self.set_input(i, Some(v));
                Ok(())
            }
            Some(other) => Err(OpError::invalid(format!("attribute {attr} is of kind {:?}", other.kind()))),
        }
    }

    /// Moves operand `i`, which must be constant integers, to an attribute; nothing when it is absent.
    ///
    /// # Errors
    /// When the operand is computed at run time.
    pub fn input_to_ints(&mut self, i: usize, attr: &str) -> OpResult<()> {
        let Some(v) = self.input(i) else { return Ok(()) };
        let values = self.constant_of(v).ok_or_else(|| {
            OpError::unsupported(format!("{attr} is computed at run time, the target version wants an attribute"))
        })?;
        let values = values.to_i64s()?;
        self.attrs().set(attr, values);
        self.set_input(i, None);
        Ok(())
    }

    /// The tensor behind a value, when it is a constant that lies in memory or is mapped.
    pub fn constant_of(&self, value: ValueId) -> Option<Tensor> {
        self.model.constant(value)
    }
}
