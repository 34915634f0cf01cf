//! What a row sees of its node: operands as texts, attributes, types; and where it puts lines.

use super::code::Line;
use super::modules::Attributes;
use super::names::Names;
use super::number::{self, code, list};
use super::table::Said;
use modelsmith_base::DType;
use modelsmith_ir::{AttrView, Dim, Model, Node, NodeId, OpResult, Type, ValueId};
use modelsmith_ops::infer::Facts;
use modelsmith_tensor::{Tensor, WeightExpr};
use std::collections::HashMap;
use std::sync::Arc;

/// Constants of up to this many integers are written into the code.
const INLINE: usize = 16;

/// What is known at a place of the code.
#[derive(Clone, Default)]
pub(super) struct Scope {
    /// Variables, or expressions as short as one, of values.
    pub(super) texts: HashMap<ValueId, String>,
    /// Of which value and dimension a size is.
    pub(super) dims: HashMap<Dim, (ValueId, usize)>,
    /// Integers that are numbers of TorchScript too.
    pub(super) numbers: HashMap<ValueId, String>,
    /// Variables of sizes.
    pub(super) sizes: HashMap<Dim, String>,
}

/// The place where code is made.
pub(super) struct Cx<'m> {
    pub(super) model: &'m Model,
    pub(super) facts: &'m Facts,
    pub(super) names: Names,
    pub(super) lines: Vec<Line>,
    pub(super) scope: Scope,
    pub(super) attributes: Attributes,
    /// How often each value is an operand or a result.
    pub(super) uses: HashMap<ValueId, usize>,
    /// Nodes that could not be said, and why.
    pub(super) refused: Vec<(NodeId, String)>,
    pub(super) node: &'m Node,
}

impl<'m> Cx<'m> {
    /// The attributes, with the defaults of the operator.
    pub(super) fn attrs(&self) -> Said<AttrView<'m>> {
        let def = self.node.known().ok_or("the operator is not known")?;
        Ok(AttrView::new(def, &self.node.attrs))
    }

    pub(super) fn attr_int(&self, name: &str) -> Said<i64> {
        let found = said(self.attrs()?.opt_int(name))?;
        found.ok_or_else(|| format!("the attribute {name} is missing"))
    }

    pub(super) fn attr_float(&self, name: &str) -> Said<f32> {
        said(self.attrs()?.float(name))
    }

    pub(super) fn attr_text(&self, name: &str) -> Said<String> {
        Ok(said(self.attrs()?.opt_string(name))?.unwrap_or_default().to_owned())
    }

    pub(super) fn attr_ints(&self, name: &str) -> Said<Option<Vec<i64>>> {
        said(self.attrs()?.opt_ints(name))
    }

    pub(super) fn has(&self, i: usize) -> bool {
        self.node.input(i).is_some()
    }

    pub(super) fn operand_id(&self, i: usize) -> Said<ValueId> {
        self.node.input(i).ok_or_else(|| format!("operand {i} is missing"))
    }

    pub(super) fn ty(&self, v: ValueId) -> Type {
        self.facts.get(self.model, v).ty
    }

    pub(super) fn dtype(&self, i: usize) -> Said<DType> {
        let found = self.ty(self.operand_id(i)?).dtype();
        found.ok_or_else(|| format!("the element type of operand {i} is not known"))
    }

    pub(super) fn shape(&self, i: usize) -> Said<Vec<Dim>> {
        let ty = self.ty(self.operand_id(i)?);
        ty.shape().map(<[Dim]>::to_vec).ok_or_else(|| format!("the rank of operand {i} is not known"))
    }

    pub(super) fn rank(&self, i: usize) -> Said<usize> {
        Ok(self.shape(i)?.len())
    }

    pub(super) fn out_type(&self, i: usize) -> Type {
        self.node.output(i).map_or(Type::Unknown, |v| self.ty(v))
    }

    pub(super) fn out_shape(&self) -> Option<Vec<Dim>> {
        self.out_type(0).shape().map(<[Dim]>::to_vec)
    }

    /// The element type of result 0, as PyTorch numbers it.
    pub(super) fn out_code(&self) -> Said<i64> {
        self.out_type(0).dtype().and_then(code).ok_or_else(|| "the element type of the result is not known".to_owned())
    }

    /// Counts an axis from the front.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Said<usize> {
        let wide = i64::try_from(rank).unwrap_or(i64::MAX);
        let from = if axis < 0 { axis.saturating_add(wide) } else { axis };
        let found = usize::try_from(from).ok().filter(|&a| a < rank);
        found.ok_or_else(|| format!("the axis {axis} is outside of {rank} dimensions"))
    }

    /// The tensor of a constant whose elements are known and few.
    pub(super) fn constant(&self, i: usize) -> Option<Tensor> {
        self.constant_of(self.node.input(i)?)
    }

    pub(super) fn constant_of(&self, v: ValueId) -> Option<Tensor> {
        self.facts.constant(v).cloned().or_else(|| self.facts.get(self.model, v).constant)
    }

    /// The integers of an operand, where they are known.
    pub(super) fn known(&self, i: usize) -> Option<Vec<i64>> {
        let v = self.node.input(i)?;
        match self.facts.value(v).and_then(|s| s.known()) {
            Some(found) => Some(found),
            None => self.constant(i)?.to_i64s().ok(),
        }
    }

    /// A new variable with the value of `expr`.
    pub(super) fn set(&mut self, hint: &str, expr: String) -> String {
        let name = self.names.fresh(hint);
        self.lines.push(Line::Set(vec![name.clone()], expr));
        name
    }

    /// New variables for the parts of `expr`.
    pub(super) fn unpack(&mut self, hints: &[&str], expr: String) -> Vec<String> {
        let names = hints.iter().map(|h| self.names.fresh(h)).collect::<Vec<_>>();
        self.lines.push(Line::Set(names.clone(), expr));
        names
    }

    /// Operand `i` as a tensor, or a list of tensors.
    pub(super) fn tensor(&mut self, i: usize) -> Said<String> {
        let v = self.operand_id(i)?;
        self.value(v)
    }

    /// As [`Cx::tensor`], `None` for an operand that is not there.
    pub(super) fn opt(&mut self, i: usize) -> Said<String> {
        if self.has(i) { self.tensor(i) } else { Ok("None".to_owned()) }
    }

    /// Every operand, as a list.
    pub(super) fn all(&mut self) -> Said<Vec<String>> {
        (0..self.node.inputs.len()).map(|i| self.tensor(i)).collect()
    }

    /// A value as a tensor, or a list of tensors.
    pub(super) fn value(&mut self, v: ValueId) -> Said<String> {
        if let Some(text) = self.scope.texts.get(&v) {
            return Ok(text.clone());
        }
        if let Some(weight) = self.model.weight(v) {
            let dtype = weight.dtype();
            code(dtype).ok_or_else(|| format!("PyTorch does not compute with {dtype}"))?;
            let text = self.attributes.add(&self.label(v), weight);
            self.scope.texts.insert(v, text.clone());
            return Ok(text);
        }
        let text = match self.sizes_of(v) {
            Some(text) => text,
            None => {
                let t = self.constant_of(v).ok_or("an operand is not at hand")?;
                self.literal_tensor(&t, v)?
            }
        };
        let label = self.label(v);
        let name = if text.starts_with("self.") { text } else { self.set(&label, text) };
        self.scope.texts.insert(v, name.clone());
        Ok(name)
    }

    /// A small integer tensor that follows from sizes, as a new tensor.
    fn sizes_of(&mut self, v: ValueId) -> Option<String> {
        let found = self.facts.value(v)?.clone();
        let dtype = self.ty(v).dtype()?;
        if found.shape.len() > 1 || found.dims.len() > INLINE || found.dims.is_empty() {
            return None;
        }
        let mut items = found.dims.iter().map(|d| self.dim(d)).collect::<Option<Vec<_>>>()?;
        if dtype == DType::Bool {
            items.iter_mut().for_each(|t| *t = number::truth(t != "0").to_owned());
            found.known()?;
        }
        let data = if found.shape.is_empty() { items.concat() } else { list(&items) };
        Some(match dtype {
            DType::I64 | DType::Bool => format!("torch.tensor({data})"),
            other => format!("torch.tensor({data}, dtype={})", code(other)?),
        })
    }

    /// A constant as text where it is small, else as an attribute.
    fn literal_tensor(&mut self, t: &Tensor, v: ValueId) -> Said<String> {
        let code = code(t.dtype()).ok_or_else(|| format!("PyTorch does not compute with {}", t.dtype()))?;
        if t.len() == 1
            && t.rank() == 0
            && let Some(items) = number::elements(t)
        {
            return Ok(format!("torch.tensor({}, dtype={code})", items.concat()));
        }
        let weight = Arc::new(WeightExpr::Literal(t.clone()));
        Ok(self.attributes.add(&self.label(v), &weight))
    }

    /// The name of a value in the graph.
    pub(super) fn label(&self, v: ValueId) -> String {
        let name = self.model.values.get(v).map_or("", |v| v.name.as_str());
        if name.is_empty() { "constant".to_owned() } else { name.to_owned() }
    }

    /// A constant of one element as a number; its rank.
    fn number_of(&self, i: usize) -> Option<(String, usize)> {
        let v = self.node.input(i)?;
        if self.ty(v).sizes()?.iter().any(|&d| d != 1) {
            return None;
        }
        let t = self.constant_of(v)?;
        (t.dtype() != DType::Bool).then(|| number::elements(&t))?.map(|e| (e.concat(), t.rank()))
    }

    /// Operand `i`, as a number where it is a constant of one element and another operand, which is a tensor, has at
    /// least its rank.
    pub(super) fn operand(&mut self, i: usize) -> Said<String> {
        if let Some((text, rank)) = self.number_of(i) {
            let others = (0..self.node.inputs.len()).filter(|&k| k != i && self.number_of(k).is_none());
            let mut others = others.collect::<Vec<_>>().into_iter();
            if others.any(|k| self.rank(k).is_ok_and(|r| r >= rank)) {
                return Ok(text);
            }
        }
        self.tensor(i)
    }

    /// Operand `i`, of one element, as a number.
    pub(super) fn number(&mut self, i: usize) -> Said<String> {
        if let Some((text, _)) = self.number_of(i) {
            return Ok(text);
        }
        let v = self.operand_id(i)?;
        if let Some(number) = self.scope.numbers.get(&v) {
            return Ok(number.clone());
        }
        let size = self.facts.value(v).and_then(|s| s.dims.first().cloned()).and_then(|d| self.dim(&d));
        if let Some(size) = size.filter(|_| self.dtype(i).is_ok_and(|d| d != DType::Bool)) {
            return Ok(size);
        }
        let dtype = self.dtype(i)?;
        let of = self.tensor(i)?;
        let kind = match dtype {
            DType::Bool => "bool",
            d if d.is_int() => "int",
            _ => "float",
        };
        let hint = format!("{of}_value");
        Ok(self.set(&hint, format!("{kind}({of})")))
    }

    /// The integers of operand `i`, one by one.
    pub(super) fn ints(&mut self, i: usize) -> Said<Vec<String>> {
        if let Some(found) = self.known(i) {
            // The least integer has no literal.
            return Ok(found.iter().map(|&n| n.max(-i64::MAX).to_string()).collect());
        }
        let v = self.operand_id(i)?;
        if let Some(found) = self.facts.value(v).cloned()
            && let Some(items) = found.dims.iter().map(|d| self.dim(d)).collect::<Option<Vec<_>>>()
        {
            return Ok(items);
        }
        let sizes = self.ty(v).sizes().ok_or_else(|| format!("the length of operand {i} is not known"))?;
        let of = self.tensor(i)?;
        if sizes.is_empty() {
            return Ok(vec![self.number(i)?]);
        }
        let count = sizes.first().copied().unwrap_or(0);
        let hint = format!("{of}_0");
        Ok((0..count).map(|k| self.set(&hint, format!("int(torch.select({of}, 0, {k}))"))).collect())
    }

    /// The integers of operand `i` as a list.
    pub(super) fn list(&mut self, i: usize) -> Said<String> {
        let sizes = self.ty(self.operand_id(i)?).sizes();
        if sizes.is_none() && self.known(i).is_none() {
            let of = self.tensor(i)?;
            let hint = format!("{of}_list");
            return Ok(self.set(&hint, format!("annotate(List[int], {of}.tolist())")));
        }
        Ok(list(&self.ints(i)?))
    }

    /// The size of a dimension of operand `i`.
    pub(super) fn size(&mut self, i: usize, axis: usize) -> Said<String> {
        let known = self.shape(i)?.get(axis).cloned().and_then(|d| self.dim(&d));
        match known {
            Some(text) => Ok(text),
            None => {
                let of = self.tensor(i)?;
                let hint = format!("{of}_{axis}");
                Ok(self.set(&hint, format!("torch.size({of}, {axis})")))
            }
        }
    }
}

/// What an accessor of attributes gives.
pub(super) fn said<T>(found: OpResult<T>) -> Said<T> {
    found.map_err(|e| e.to_string())
}
