//! NumPy arrays and scalars inside a pickle.

use super::Reader;
use super::storage::recipe_of;
use modelsmith_base::DType;
use modelsmith_format::recipes::{Numpy, Recipe};
use modelsmith_format::{MetaValue, Result, Tree};
use modelsmith_tensor::{Tensor, WeightExpr};
use modelsmith_wire::pickle::{Call, Node, NodeId};
use std::borrow::Cow;
use std::sync::Arc;

impl Reader<'_> {
    /// An array or scalar; an array of objects is a list, without dimensions its one object. `None` for what stays data:
    /// text, records.
    pub(super) fn numpy(&mut self, kind: Numpy, call: &Call, path: &str, depth: usize) -> Result<Option<Tree>> {
        let args = self.p.items(call.args).unwrap_or_default();
        match kind {
            Numpy::Reconstruct => self.array(call, path, depth),
            Numpy::FromBuffer => {
                let [buffer, dtype, shape, order] = *args else { return Ok(None) };
                let bytes = self.bytes(buffer).map(Cow::into_owned);
                let Some((bytes, shape)) = bytes.zip(self.counts(shape)) else { return Ok(None) };
                let fortran = self.p.text(order).as_deref() == Some("F");
                let Some((dtype, big)) = self.dtype(dtype) else { return Ok(None) };
                self.dense(&bytes, dtype, big, shape, fortran, path)
            }
            Numpy::Scalar => {
                let [dtype, value] = *args else { return Ok(None) };
                let Some(((dtype, big), bytes)) = self.dtype(dtype).zip(self.bytes(value)) else { return Ok(None) };
                let value = scalar(dtype, big, &bytes);
                if let Some(value) = &value {
                    self.note(path, value.clone());
                }
                Ok(value.map(Tree::Value))
            }
            Numpy::Dtype | Numpy::Class => Ok(None),
        }
    }

    /// `_reconstruct` with the state `(version, shape, dtype, fortran, data)`.
    fn array(&mut self, call: &Call, path: &str, depth: usize) -> Result<Option<Tree>> {
        let Some(state) = call.states.first().and_then(|&s| self.p.items(s)) else { return Ok(None) };
        let fields = match state.len() {
            5 => state.get(1..).unwrap_or_default(),
            _ => state,
        };
        let [shape, dtype, fortran, data] = *fields else { return Ok(None) };
        if let (Some("O" | "O8"), Some(items)) = (self.code(dtype).as_deref(), self.p.items(data)) {
            return match (self.p.items(shape), items) {
                (Some([]), &[one]) => self.value(one, path, depth).map(Some),
                (_, items) => Ok(Some(Tree::List(self.items(items, path, depth)?))),
            };
        }
        let fortran = *self.p.node(fortran) == Node::Bool(true) || self.p.int(fortran) == Some(1);
        let Some(((dtype, big), shape)) = self.dtype(dtype).zip(self.counts(shape)) else { return Ok(None) };
        let Some(bytes) = self.bytes(data).map(Cow::into_owned) else { return Ok(None) };
        self.dense(&bytes, dtype, big, shape, fortran, path)
    }

    fn dense(
        &mut self,
        bytes: &[u8],
        dtype: DType,
        big: bool,
        shape: Vec<usize>,
        fortran: bool,
        path: &str,
    ) -> Result<Option<Tree>> {
        let width = match dtype {
            DType::Complex64 | DType::Complex128 => dtype.bits() / 16,
            _ => dtype.bits() / 8,
        };
        let mut bytes = Cow::Borrowed(bytes);
        if big && width > 1 {
            bytes.to_mut().chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count.and_then(|n| dtype.bytes_for(n)) != Some(bytes.len()) {
            return Ok(None);
        }
        if !fortran {
            let tensor = Tensor::from_bytes(dtype, &shape, &bytes)?;
            return Ok(Some(self.push(path, Arc::new(WeightExpr::Literal(tensor)))));
        }
        let flat = Tensor::from_bytes(dtype, &[count.unwrap_or(0)], &bytes)?;
        let strides = shape.iter().scan(1usize, |next, &d| Some(std::mem::replace(next, next.saturating_mul(d))));
        let strides = strides.collect();
        let view = WeightExpr::View { of: Arc::new(WeightExpr::Literal(flat)), offset: 0, shape, strides };
        Ok(Some(self.push(path, Arc::new(view))))
    }

    /// Bytes as such, as an old string, or as the call that encodes text.
    pub(super) fn bytes(&self, id: NodeId) -> Option<Cow<'_, [u8]>> {
        match self.p.node(id) {
            Node::Bytes(b) | Node::ByteArray(b) | Node::Str(b) => Some(Cow::Borrowed(b.as_ref())),
            Node::Call(call) if recipe_of(self.p, call.callee) == Some(Recipe::Encode) => {
                let [text, encoding] = *self.p.items(call.args)? else { return None };
                let text = self.p.text(text)?;
                match self.p.text(encoding)?.as_ref() {
                    "latin1" | "latin-1" | "iso-8859-1" => text
                        .chars()
                        .map(|c| u8::try_from(u32::from(c)).ok())
                        .collect::<Option<Vec<u8>>>()
                        .map(Cow::Owned),
                    "utf8" | "utf-8" => Some(Cow::Owned(text.into_owned().into_bytes())),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a `numpy.dtype` is made from, such as `f4`.
    fn code(&self, id: NodeId) -> Option<Cow<'_, str>> {
        let call = self.p.call(id)?;
        match recipe_of(self.p, call.callee) {
            Some(Recipe::Numpy(Numpy::Dtype)) => self.p.text(*self.p.items(call.args)?.first()?),
            _ => None,
        }
    }

    /// The element type of a `numpy.dtype`, and whether it is big-endian.
    fn dtype(&self, id: NodeId) -> Option<(DType, bool)> {
        let (code, call) = (self.code(id)?, self.p.call(id)?);
        let order = call.states.first().and_then(|&s| self.p.items(s)).and_then(|s| s.get(1).copied());
        let big = order.and_then(|o| self.p.text(o)).is_some_and(|o| o == ">");
        let (big, code) = match code.strip_prefix('>') {
            Some(rest) => (true, rest),
            None => (big, code.trim_start_matches(['<', '|', '='])),
        };
        let dtype = match code {
            "f2" => DType::F16,
            "f4" => DType::F32,
            "f8" => DType::F64,
            "i1" => DType::I8,
            "i2" => DType::I16,
            "i4" => DType::I32,
            "i8" => DType::I64,
            "u1" => DType::U8,
            "u2" => DType::U16,
            "u4" => DType::U32,
            "u8" => DType::U64,
            "b1" => DType::Bool,
            "c8" => DType::Complex64,
            "c16" => DType::Complex128,
            _ => return None,
        };
        Some((dtype, big))
    }
}

/// One number of a type.
fn scalar(dtype: DType, big: bool, bytes: &[u8]) -> Option<MetaValue> {
    let mut bytes = bytes.to_vec();
    if big {
        bytes.reverse();
    }
    let tensor = Tensor::from_bytes(dtype, &[], &bytes).ok()?;
    if dtype == DType::Bool {
        return Some(MetaValue::Bool(bytes.first() == Some(&1)));
    }
    if dtype == DType::U64 {
        return Some(MetaValue::Int { dtype, value: i128::from(u64::from_le_bytes(bytes.try_into().ok()?)) });
    }
    if dtype.is_int() {
        let value = i128::from(*tensor.to_i64s().ok()?.first()?);
        return Some(MetaValue::Int { dtype, value });
    }
    let value = *tensor.to_f64s().ok()?.first()?;
    dtype.is_float().then_some(MetaValue::Float { dtype, value })
}
