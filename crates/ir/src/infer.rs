//! Shape and type inference of one node, with symbolic values of small integer tensors.

use crate::{AttrView, Def, Dim, Model, NodeId, Op, OpError, OpResult, Type, ValueId};
use modelsmith_base::DType;
use modelsmith_tensor::Tensor;

/// Constants of up to this many elements are read during inference.
const SMALL: usize = 4096;

/// The elements of a small integer tensor, each a number or an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymTensor {
    /// Shape: rank 0 or 1 in practice.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub dims: Vec<Dim>,
}

impl SymTensor {
    /// A tensor of rank 1.
    pub fn vector(dims: Vec<Dim>) -> SymTensor {
        SymTensor { shape: vec![dims.len()], dims }
    }

    /// A tensor of rank 0.
    pub fn scalar(dim: Dim) -> SymTensor {
        SymTensor { shape: vec![], dims: vec![dim] }
    }

    /// The elements as numbers, when all are.
    pub fn known(&self) -> Option<Vec<i64>> {
        self.dims.iter().map(Dim::known).collect()
    }
}

/// What is known of a value during inference.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// Type.
    pub ty: Type,
    /// Elements of a small integer tensor, as expressions; of a small boolean tensor, as 0 and 1.
    pub value: Option<SymTensor>,
    /// The tensor itself, when it is a small constant.
    pub constant: Option<Tensor>,
}

impl Fact {
    /// A fact of a type alone.
    pub fn of(ty: Type) -> Fact {
        Fact { ty, value: None, constant: None }
    }

    /// The fact of a constant.
    pub fn constant(t: Tensor) -> Fact {
        let value = ((t.dtype().is_int() || t.dtype() == DType::Bool) && t.len() <= 1024)
            .then(|| t.to_i64s().ok())
            .flatten()
            .map(|v| SymTensor { shape: t.shape().to_vec(), dims: v.into_iter().map(Dim::Known).collect() });
        Fact { ty: Type::fixed(t.dtype(), t.shape()), value, constant: Some(t) }
    }
}

/// Infers the bodies of a node.
pub trait InferRegion {
    /// Facts of the results of body `name`, given those of its parameters.
    ///
    /// # Errors
    /// When a node inside breaks its specification.
    fn infer(&self, name: &str, params: &[Fact]) -> OpResult<Vec<Fact>>;
}

/// For nodes without bodies.
pub struct NoRegions;

impl InferRegion for NoRegions {
    fn infer(&self, name: &str, _: &[Fact]) -> OpResult<Vec<Fact>> {
        Err(OpError::invalid(format!("body {name} is missing")))
    }
}

/// What an operator's `infer` reads and writes.
pub struct InferCx<'a> {
    /// Attributes with the schema's defaults.
    pub attrs: AttrView<'a>,
    inputs: &'a [Option<Fact>],
    outputs: Vec<Fact>,
    regions: &'a dyn InferRegion,
}

impl<'a> InferCx<'a> {
    /// A context for a node with these operands and this many outputs.
    pub fn new(attrs: AttrView<'a>, inputs: &'a [Option<Fact>], outputs: usize, regions: &'a dyn InferRegion) -> Self {
        InferCx { attrs, inputs, outputs: vec![Fact::default(); outputs], regions }
    }

    /// What was inferred.
    pub fn finish(self) -> Vec<Fact> {
        self.outputs
    }

    /// Number of operands, absent ones included.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Number of outputs that the node declares.
    pub fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// The fact of operand `i`, if present.
    pub fn fact(&self, i: usize) -> Option<&'a Fact> {
        self.inputs.get(i)?.as_ref()
    }

    /// True when operand `i` is given.
    pub fn has(&self, i: usize) -> bool {
        self.fact(i).is_some()
    }

    /// Type of operand `i`; `Unknown` when absent.
    pub fn ty(&self, i: usize) -> Type {
        self.fact(i).map_or(Type::Unknown, |f| f.ty.clone())
    }

    /// Element type of operand `i`.
    pub fn dtype(&self, i: usize) -> Option<DType> {
        self.fact(i)?.ty.dtype()
    }

    /// Shape of operand `i`.
    pub fn shape(&self, i: usize) -> Option<&'a [Dim]> {
        self.fact(i)?.ty.shape()
    }

    /// Rank of operand `i`.
    pub fn rank(&self, i: usize) -> Option<usize> {
        self.shape(i).map(<[Dim]>::len)
    }

    /// Symbolic elements of operand `i`.
    pub fn value(&self, i: usize) -> Option<&'a SymTensor> {
        self.fact(i)?.value.as_ref()
    }

    /// Elements of operand `i`, when all are numbers.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.value(i)?.known()
    }

    /// Operand `i`, when it is a small constant.
    pub fn constant(&self, i: usize) -> Option<&'a Tensor> {
        self.fact(i)?.constant.as_ref()
    }

    /// Facts of the results of body `name`.
    ///
    /// # Errors
    /// When a node inside breaks its specification.
    pub fn region(&self, name: &str, params: &[Fact]) -> OpResult<Vec<Fact>> {
        self.regions.infer(name, params)
    }

    /// Sets the type of output `i`; nothing when the node does not declare it.
    pub fn set(&mut self, i: usize, ty: Type) {
        if let Some(slot) = self.outputs.get_mut(i) {
            slot.ty = ty;
        }
    }

    /// Sets element type and shape of output `i`, either of which may be unknown.
    pub fn set_tensor(&mut self, i: usize, dtype: Option<DType>, shape: Option<Vec<Dim>>) {
        self.set(i, Type::Tensor(crate::TensorType { dtype, shape }));
    }

    /// Sets the symbolic elements of output `i`.
    pub fn set_value(&mut self, i: usize, value: SymTensor) {
        if let Some(slot) = self.outputs.get_mut(i) {
            slot.value = Some(value);
        }
    }

    /// Sets everything known of output `i`.
    pub fn set_fact(&mut self, i: usize, fact: Fact) {
        if let Some(slot) = self.outputs.get_mut(i) {
            *slot = fact;
        }
    }
}

/// The fact of a value from its declared type, or from the constant behind it.
pub fn fact_of(model: &Model, value: ValueId) -> Fact {
    let v = &model.values[value];
    let small = match &v.def {
        Def::Weight(_, w) => w.len() <= SMALL,
        Def::Node(..) => true,
        _ => false,
    };
    let constant = small.then(|| model.constant(value)).flatten().filter(|t| t.len() <= SMALL);
    match constant {
        Some(t) => Fact::constant(t),
        None => Fact::of(v.ty.clone()),
    }
}

/// Infers one hub node from the declared types of its operands. Nodes that are not of the hub, and bodies, yield
/// nothing: the inference pass handles those.
///
/// # Errors
/// When the node breaks its specification.
pub fn infer_node(model: &Model, node: NodeId) -> OpResult<Vec<Fact>> {
    let n = &model.nodes[node];
    let Op::Known(def) = n.op else { return Ok(vec![Fact::default(); n.outputs.len()]) };
    if !n.regions.is_empty() {
        return Ok(vec![Fact::default(); n.outputs.len()]);
    }
    let facts = n.inputs.iter().map(|v| v.map(|v| fact_of(model, v))).collect::<Vec<_>>();
    let mut cx = InferCx::new(AttrView::new(def, &n.attrs), &facts, n.outputs.len(), &NoRegions);
    (def.infer)(&mut cx)?;
    Ok(cx.finish())
}
