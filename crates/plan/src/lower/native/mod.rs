//! Hub nodes for which there are kernels: each becomes a step of its own, or a view.

mod attention;
mod contraction;
mod elementwise;
mod image;
mod integer;
mod movement;
mod norms;
mod quantization;
mod recurrent;
mod volume;

use super::Lowering;
use crate::error::Result;
use crate::plan::{BufferId, Home, Step, StepOp};
use crate::recipe::Recipe;
use modelsmith_ir::{AttrView, Dim, Fact, NodeId, Op, Type, ValueId};
use modelsmith_tensor::{DType, Tensor};

/// A node about to be lowered, with what is known of its operands.
pub(super) struct Site {
    pub id: NodeId,
    pub name: &'static str,
    pub attrs: AttrView<'static>,
    pub inputs: Vec<Option<ValueId>>,
    pub facts: Vec<Option<Fact>>,
    pub outputs: Vec<Option<ValueId>>,
    /// Types of the outputs.
    pub types: Vec<Type>,
}

/// `Some` when the node was lowered; `None` leaves it to the reference.
pub(super) type Lowered = Result<Option<()>>;

impl Site {
    pub fn input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    pub fn fact(&self, i: usize) -> Option<&Fact> {
        self.facts.get(i)?.as_ref()
    }

    pub fn dtype(&self, i: usize) -> Option<DType> {
        self.fact(i)?.ty.dtype()
    }

    pub fn shape(&self, i: usize) -> Option<&[Dim]> {
        self.fact(i)?.ty.shape()
    }

    pub fn rank(&self, i: usize) -> Option<usize> {
        self.shape(i).map(<[Dim]>::len)
    }

    pub fn out_shape(&self) -> Option<&[Dim]> {
        self.types.first()?.shape()
    }

    pub fn out_rank(&self) -> Option<usize> {
        self.out_shape().map(<[Dim]>::len)
    }

    /// True when all given operands with these indices are f32.
    pub fn all_f32(&self) -> bool {
        self.facts.iter().flatten().all(|f| f.ty.dtype() == Some(DType::F32))
    }

    /// Elements of a constant or symbolic integer operand, as numbers.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.fact(i)?.value.as_ref()?.known()
    }

    /// The only output is given.
    pub fn one_output(&self) -> bool {
        self.outputs.iter().flatten().count() == 1 && self.outputs.first().is_some_and(Option::is_some)
    }

    /// `axis` counted from the end when negative.
    pub fn axis(&self, axis: i64, rank: usize) -> Option<usize> {
        modelsmith_tensor::index::axis(axis, rank).ok()
    }
}

impl Lowering<'_> {
    /// Lowers a node to kernels; false when it must run by its reference.
    pub(super) fn native(&mut self, n: NodeId) -> Result<bool> {
        let Some(site) = self.site(n) else { return Ok(false) };
        let done = match site.name {
            "Conv" | "ConvTranspose" => self.conv(&site)?,
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => self.pool(&site)?,
            "Resize" => self.resize(&site)?,
            "MatMul" => self.matmul(&site)?,
            "MatMulInteger" => self.integer_matmul(&site)?,
            "ConvInteger" => self.integer_conv(&site)?,
            "Gemm" => self.gemm(&site)?,
            "Softmax" | "LogSoftmax" => self.softmax(&site)?,
            "LayerNormalization" | "RMSNormalization" | "GroupNormalization" | "InstanceNormalization" => {
                self.norm(&site)?
            }
            "BatchNormalization" => self.batch_norm(&site)?,
            name if name.starts_with("Reduce") => self.reduce(&site)?,
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => self.view(&site)?,
            "Transpose" | "Concat" | "Split" | "Slice" | "Pad" | "Expand" | "Gather" => self.movement(&site)?,
            "LSTM" => self.lstm(&site)?,
            "GRU" => self.gru(&site)?,
            "Attention" => self.attention(&site)?,
            "QuantizeLinear" => self.quantize(&site)?,
            "DequantizeLinear" => self.dequantize(&site)?,
            _ => self.elementwise(&site)?,
        };
        Ok(done.is_some())
    }

    /// The node, if all its operands are tensors of known rank and the sizes of its results follow from those of its
    /// operands.
    fn site(&self, n: NodeId) -> Option<Site> {
        let node = &self.model.nodes[n];
        let Op::Known(def) = node.op else { return None };
        if self.options.reference_only || !def.domain.is_empty() || !node.regions.is_empty() {
            return None;
        }
        let attrs = crate::infer::resolve(&node.attrs, self.scope().call.as_ref());
        let facts = node.inputs.iter().map(|v| v.map(|v| self.fact(v))).collect::<Vec<_>>();
        let known = |f: &Fact| f.ty.dtype().is_some() && f.ty.shape().is_some();
        if !facts.iter().flatten().all(known) {
            return None;
        }
        let types = node.outputs.iter().map(|v| v.map_or(Type::Unknown, |v| self.ty(v))).collect::<Vec<_>>();
        let settled = |t: &Type| match t.shape() {
            Some(shape) => t.dtype().is_some() && shape.iter().all(|d| self.scope().settled(d)),
            None => false,
        };
        let given = node.outputs.iter().zip(&types).filter(|(v, _)| v.is_some());
        if !given.clone().all(|(_, t)| settled(t)) || given.count() == 0 {
            return None;
        }
        Some(Site {
            id: n,
            name: def.name,
            attrs: AttrView::owned(def, attrs),
            inputs: node.inputs.clone(),
            facts,
            outputs: node.outputs.clone(),
            types,
        })
    }

    /// Adds a step for a node: results go to the arena.
    pub(super) fn emit(&mut self, site: &Site, recipe: Recipe, inputs: Vec<BufferId>) -> Lowered {
        if !self.accepted(&recipe, &inputs, &site.types) {
            return Ok(None);
        }
        let outputs = site.outputs.iter().map(|v| v.map(|v| self.new_buffer(Some(v), Home::Arena))).collect();
        let inputs = inputs.into_iter().map(Some).collect();
        let label = self.model.node_label(site.id);
        self.push(Step::new(label, StepOp::Native(recipe), inputs, outputs));
        Ok(Some(()))
    }

    /// Adds a step whose only result is no value of the model; returns its buffer.
    pub(super) fn emit_inner(&mut self, site: &Site, recipe: Recipe, inputs: Vec<BufferId>, ty: Type) -> BufferId {
        let out = self.new_typed(ty, Home::Arena);
        let label = self.model.node_label(site.id);
        let inputs = inputs.into_iter().map(Some).collect();
        self.push(Step::new(label, StepOp::Native(recipe), inputs, vec![Some(out)]));
        out
    }

    /// A buffer that is no value of the model.
    pub(super) fn new_typed(&mut self, ty: Type, home: Home) -> BufferId {
        let id = self.new_buffer(None, home);
        self.current().buffers[id].ty = ty;
        id
    }

    /// A constant made while lowering.
    pub(super) fn literal(&mut self, t: Tensor) -> BufferId {
        let ty = Type::fixed(t.dtype(), t.shape());
        let w = self.weights.literal(String::new(), t);
        self.new_typed(ty, Home::Weight(w))
    }

    /// The bytes of `of` under another type.
    pub(super) fn view_of(&mut self, of: BufferId, ty: Type) -> BufferId {
        self.new_typed(ty, Home::View(of))
    }

    /// The constant behind a value, with its bytes.
    pub(super) fn tensor(&self, v: ValueId) -> Option<Tensor> {
        let expr = self.model.weight(v).cloned();
        match expr {
            Some(w) => modelsmith_tensor::materialize(
                &w,
                &modelsmith_ops::interp::Operators,
                &modelsmith_base::Budget::unlimited(),
            )
            .ok(),
            None => self.fact(v).constant,
        }
    }

    /// The weight behind a buffer that is one.
    pub(super) fn weight_of(&mut self, v: ValueId) -> Result<Option<(BufferId, usize)>> {
        let id = self.buffer(v)?;
        Ok(match self.current().buffers[id].home {
            Home::Weight(w) => Some((id, w)),
            _ => None,
        })
    }
}
