//! The recipes of tensors: calls of rebuilding functions as views of storages.

use super::Reader;
use super::storage::{Pid, element_of, recipe_of};
use modelsmith_base::DType;
use modelsmith_format::recipes::{Element, Rebuild, Recipe};
use modelsmith_format::{Error, MetaValue, Result, Tree};
use modelsmith_tensor::{Tensor, WeightExpr};
use modelsmith_wire::pickle::{Call, NodeId};
use std::sync::Arc;

impl Reader<'_> {
    /// The tensor, or the parts of one, that the call `call` rebuilds, under the name `path`.
    pub(super) fn tensor(&mut self, how: Rebuild, call: &Call, path: &str, depth: usize) -> Result<Tree> {
        let args = self.p.items(call.args).unwrap_or_default().to_vec();
        let arg = |i: usize| {
            let short = || Error::damaged(format!("a tensor is rebuilt from {} values, more are wanted", args.len()));
            args.get(i).copied().ok_or_else(short)
        };
        match how {
            Rebuild::Plain => {
                let weight = self.plain(&args, None)?;
                Ok(self.push(path, weight))
            }
            Rebuild::Typed => {
                let class = arg(6)?;
                let element = element_of(self.p, class).ok_or_else(|| self.unknown_type(class))?;
                let weight = self.plain(&args, Some(element))?;
                Ok(self.push(path, weight))
            }
            Rebuild::Parameter | Rebuild::FromDevice => self.value(arg(0)?, path, depth),
            Rebuild::FromType => {
                let Some(Recipe::Tensor(inner)) = recipe_of(self.p, arg(0)?) else {
                    return Err(Error::damaged("a tensor of a subclass is rebuilt by a function that is unknown"));
                };
                let inner_call = Call { callee: arg(0)?, args: arg(2)?, ..call.clone() };
                self.deeper(depth, |r, depth| r.tensor(inner, &inner_call, path, depth))
            }
            Rebuild::Quantized => self.quantized(&args, path, depth),
            Rebuild::Sparse => self.sparse(arg(0)?, arg(1)?, path, depth),
            Rebuild::Nested => {
                let names = ["values", "sizes", "strides", "offsets"];
                let mut parts = Vec::new();
                for (i, name) in names.into_iter().enumerate() {
                    parts.push(self.value(arg(i)?, &join(path, name), depth)?);
                }
                Ok(object("torch._utils._rebuild_nested_tensor", parts))
            }
            Rebuild::Meta => self.without_data(arg(0)?, arg(1)?, path),
            Rebuild::Wrapper => self.without_data(arg(1)?, arg(2)?, path),
        }
    }

    fn unknown_type(&self, class: NodeId) -> Error {
        let name = self.p.global(class).map_or_else(|| "?".into(), |(m, n)| format!("{m}.{n}"));
        Error::unsupported(format!("a tensor has the element type {name}, which is unknown"))
    }

    /// `(storage, offset, size, stride, ...)`.
    fn plain(&mut self, args: &[NodeId], typed: Option<Element>) -> Result<Arc<WeightExpr>> {
        let [storage, offset, size, stride, ..] = *args else {
            return Err(Error::damaged(format!("a tensor is rebuilt from {} values, 4 are wanted", args.len())));
        };
        let Some(Pid::Storage(id)) = self.pid(storage) else {
            return Err(Error::damaged("a tensor is rebuilt from something that is no storage of a known type"));
        };
        let own = id.element.map(|(dtype, parts)| Element { dtype, parts });
        let element = typed.or(own).unwrap_or(Element { dtype: DType::U8, parts: 1 });
        let offset = self.count(offset).ok_or_else(|| Error::damaged("the offset of a tensor is not a number"))?;
        let shape = self.counts(size).ok_or_else(|| Error::damaged("the shape of a tensor is not a list of sizes"))?;
        let strides = self.counts(stride).ok_or_else(|| Error::damaged("the strides of a tensor are not numbers"))?;
        self.view(&id, element, offset, &shape, &strides)
    }

    fn count(&self, id: NodeId) -> Option<usize> {
        self.p.int(id).and_then(|n| usize::try_from(n).ok())
    }

    /// A tuple of sizes, or the call of `torch.Size` on one.
    pub(super) fn counts(&self, id: NodeId) -> Option<Vec<usize>> {
        let id = match self.p.call(id) {
            Some(call) if recipe_of(self.p, call.callee) == Some(Recipe::Size) => *self.p.items(call.args)?.first()?,
            _ => id,
        };
        self.p.items(id)?.iter().map(|&i| self.count(i)).collect()
    }

    /// Integers, their scales and their zero points.
    fn quantized(&mut self, args: &[NodeId], path: &str, depth: usize) -> Result<Tree> {
        let weight = self.plain(args, None)?;
        let bad = || Error::damaged("the quantizer of a tensor is not described by scheme, scales and zero points");
        let quantizer = args.get(4).and_then(|&q| self.p.items(q)).map(<[NodeId]>::to_vec).ok_or_else(bad)?;
        let [scheme, scale, zero, rest @ ..] = quantizer.as_slice() else { return Err(bad()) };
        let scheme = self.p.global(*scheme).ok_or_else(bad)?.1.into_owned();
        let mut parts = vec![self.push(path, weight)];
        self.note(&join(path, "scheme"), MetaValue::Text(scheme.clone()));
        let (scale_path, zero_path) = (join(path, "scale"), join(path, "zero_point"));
        match scheme.starts_with("per_channel") {
            true => {
                let float = scheme.ends_with("float_qparams");
                let types = if float { (DType::F32, DType::F32) } else { (DType::F64, DType::I64) };
                parts.push(self.numbers(*scale, types.0, &scale_path, depth)?);
                parts.push(self.numbers(*zero, types.1, &zero_path, depth)?);
                let axis = rest.first().and_then(|&a| self.p.int(a)).ok_or_else(bad)?;
                let axis = MetaValue::Int { dtype: DType::I64, value: i128::from(axis) };
                self.note(&join(path, "axis"), axis.clone());
                parts.push(Tree::Value(axis));
            }
            false => {
                let scale = self.float(*scale).ok_or_else(bad)?;
                let zero = self.p.int(*zero).ok_or_else(bad)?;
                let scale = Tensor::from_bytes(DType::F64, &[], &scale.to_le_bytes())?;
                let zero = Tensor::from_bytes(DType::I64, &[], &zero.to_le_bytes())?;
                parts.push(self.push(&scale_path, Arc::new(WeightExpr::Literal(scale))));
                parts.push(self.push(&zero_path, Arc::new(WeightExpr::Literal(zero))));
            }
        }
        parts.push(Tree::Value(MetaValue::Text(scheme)));
        Ok(object("torch._utils._rebuild_qtensor", parts))
    }

    /// A tensor, or a list of numbers as one.
    fn numbers(&mut self, id: NodeId, dtype: DType, path: &str, depth: usize) -> Result<Tree> {
        let Some(items) = self.p.items(id).map(<[NodeId]>::to_vec) else { return self.value(id, path, depth) };
        let mut bytes = Vec::new();
        for &item in &items {
            let value = self.float(item).ok_or_else(|| Error::damaged("a list of scales holds something else"))?;
            match dtype {
                DType::F32 => bytes.extend(modelsmith_tensor::Tensor::from_f64s(DType::F32, &[], &[value])?.bytes()),
                DType::I64 => bytes.extend(self.p.int(item).unwrap_or_default().to_le_bytes()),
                _ => bytes.extend(value.to_le_bytes()),
            }
        }
        let tensor = Tensor::from_bytes(dtype, &[items.len()], &bytes)?;
        Ok(self.push(path, Arc::new(WeightExpr::Literal(tensor))))
    }

    /// Layout and `(indices, values, size, ...)` or `(compressed, plain, values, size)`.
    fn sparse(&mut self, layout: NodeId, data: NodeId, path: &str, depth: usize) -> Result<Tree> {
        let layout = self.constant(layout).unwrap_or_else(|| "torch.sparse_coo".into());
        let names: &[&str] = match layout.as_str() {
            "torch.sparse_coo" => &["indices", "values"],
            _ => &["compressed_indices", "plain_indices", "values"],
        };
        let fields = self.p.items(data).unwrap_or_default().to_vec();
        let size = fields.get(names.len()).and_then(|&s| self.counts(s));
        let size =
            size.ok_or_else(|| Error::damaged("a sparse tensor is not described by indices, values and size"))?;
        let mut parts = Vec::new();
        for (name, &field) in names.iter().zip(&fields) {
            parts.push(self.value(field, &join(path, name), depth)?);
        }
        self.note(&join(path, "layout"), MetaValue::Text(layout.clone()));
        let size = sizes(&size);
        self.note(&join(path, "size"), size.clone());
        parts.extend([Tree::Value(size), Tree::Value(MetaValue::Text(layout))]);
        Ok(object("torch._utils._rebuild_sparse_tensor", parts))
    }

    /// A tensor of which the file has type and shape only.
    fn without_data(&mut self, dtype: NodeId, size: NodeId, path: &str) -> Result<Tree> {
        let shape = self.counts(size).unwrap_or_default();
        let name = element_of(self.p, dtype).map_or("?", |e| e.dtype.name());
        let text = MetaValue::Text(format!("tensor without data: {name}{shape:?}"));
        self.note(path, text.clone());
        Ok(object("torch._utils._rebuild_meta_tensor_no_storage", vec![Tree::Value(text)]))
    }
}

/// `a.b`, or `b` at the top.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

pub(super) fn object(class: &str, args: Vec<Tree>) -> Tree {
    Tree::Object { class: class.to_owned(), args, state: None }
}

/// A shape as metadata.
pub(super) fn sizes(shape: &[usize]) -> MetaValue {
    let int = |&d: &usize| MetaValue::Int { dtype: DType::I64, value: i128::try_from(d).unwrap_or(i128::MAX) };
    MetaValue::List { of: None, items: shape.iter().map(int).collect() }
}
