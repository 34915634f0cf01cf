use crate::{AttrDef, Default, OpDef, OpError, OpResult, Type};
use modelsmith_base::DType;
use modelsmith_tensor::WeightExpr;
use std::borrow::Cow;
use std::sync::Arc;

/// The value of an attribute. Graph attributes are regions of the node, not attributes.
#[derive(Clone, Debug)]
pub enum Attr {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A string.
    String(String),
    /// A string that is not UTF-8.
    Bytes(Vec<u8>),
    /// A tensor.
    Tensor(Arc<WeightExpr>),
    /// A sparse tensor: values, indices, dense shape.
    Sparse(Arc<WeightExpr>, Arc<WeightExpr>, Vec<i64>),
    /// A type.
    Type(Type),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// Strings.
    Strings(Vec<String>),
    /// Tensors.
    Tensors(Vec<Arc<WeightExpr>>),
    /// Types.
    Types(Vec<Type>),
    /// In a function body: the attribute of the call that stands here.
    Ref(String, AttrKind),
}

/// The kind of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AttrKind {
    Int,
    Float,
    String,
    Tensor,
    Sparse,
    Type,
    Graph,
    Ints,
    Floats,
    Strings,
    Tensors,
    Types,
    Graphs,
}

impl Attr {
    /// Its kind.
    pub fn kind(&self) -> AttrKind {
        match self {
            Attr::Int(_) => AttrKind::Int,
            Attr::Float(_) => AttrKind::Float,
            Attr::String(_) | Attr::Bytes(_) => AttrKind::String,
            Attr::Tensor(_) => AttrKind::Tensor,
            Attr::Sparse(..) => AttrKind::Sparse,
            Attr::Type(_) => AttrKind::Type,
            Attr::Ints(_) => AttrKind::Ints,
            Attr::Floats(_) => AttrKind::Floats,
            Attr::Strings(_) => AttrKind::Strings,
            Attr::Tensors(_) => AttrKind::Tensors,
            Attr::Types(_) => AttrKind::Types,
            Attr::Ref(_, kind) => *kind,
        }
    }
}

impl From<i64> for Attr {
    fn from(x: i64) -> Attr {
        Attr::Int(x)
    }
}
impl From<f32> for Attr {
    fn from(x: f32) -> Attr {
        Attr::Float(x)
    }
}
impl From<&str> for Attr {
    fn from(x: &str) -> Attr {
        Attr::String(x.into())
    }
}
impl From<&[i64]> for Attr {
    fn from(x: &[i64]) -> Attr {
        Attr::Ints(x.into())
    }
}
impl<const N: usize> From<[i64; N]> for Attr {
    fn from(x: [i64; N]) -> Attr {
        Attr::Ints(x.into())
    }
}
impl From<Vec<i64>> for Attr {
    fn from(x: Vec<i64>) -> Attr {
        Attr::Ints(x)
    }
}
impl From<Vec<f32>> for Attr {
    fn from(x: Vec<f32>) -> Attr {
        Attr::Floats(x)
    }
}
impl From<Vec<String>> for Attr {
    fn from(x: Vec<String>) -> Attr {
        Attr::Strings(x)
    }
}
impl From<modelsmith_tensor::Tensor> for Attr {
    fn from(x: modelsmith_tensor::Tensor) -> Attr {
        Attr::Tensor(Arc::new(WeightExpr::Literal(x)))
    }
}
impl From<DType> for Attr {
    fn from(x: DType) -> Attr {
        Attr::Int(code_of_dtype(x))
    }
}

/// Attributes of a node, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Attrs(Vec<(String, Attr)>);

impl Attrs {
    /// No attributes.
    pub const fn new() -> Attrs {
        Attrs(Vec::new())
    }

    /// The attribute called `name`.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, a)| a)
    }

    /// Sets or replaces an attribute.
    pub fn set(&mut self, name: &str, value: impl Into<Attr>) {
        let value = value.into();
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// The same attributes and one more.
    pub fn with(mut self, name: &str, value: impl Into<Attr>) -> Attrs {
        self.set(name, value);
        self
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, name: &str) -> Option<Attr> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(n, a)| (n.as_str(), a))
    }

    /// As [`Attrs::iter`], values mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Attr)> {
        self.0.iter_mut().map(|(n, a)| (n.as_str(), a))
    }

    /// Number of attributes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Typed access to the attributes of a node, with the defaults of the operator's schema.
///
/// Each accessor fails when the attribute is of another kind, or when it is required and absent.
#[derive(Clone, Debug)]
pub struct AttrView<'a> {
    op: &'static str,
    defs: &'static [AttrDef],
    attrs: Cow<'a, Attrs>,
}

impl<'a> AttrView<'a> {
    /// A view of `attrs` under the hub schema of `def`.
    pub fn new(def: &'static OpDef, attrs: &'a Attrs) -> AttrView<'a> {
        AttrView { op: def.name, defs: def.schema.attrs, attrs: Cow::Borrowed(attrs) }
    }

    /// The same, owning the attributes.
    pub fn owned(def: &'static OpDef, attrs: Attrs) -> AttrView<'static> {
        AttrView { op: def.name, defs: def.schema.attrs, attrs: Cow::Owned(attrs) }
    }

    /// The attributes without defaults.
    pub fn raw(&self) -> &Attrs {
        &self.attrs
    }

    /// True when the node sets the attribute.
    pub fn has(&self, name: &str) -> bool {
        self.attrs.get(name).is_some()
    }

    fn default(&self, name: &str) -> Option<&'static Default> {
        self.defs.iter().find(|d| d.name == name).map(|d| &d.default)
    }

    fn wrong<T>(&self, name: &str, found: &Attr, wanted: &str) -> OpResult<T> {
        Err(OpError::invalid(format!(
            "{}: attribute {name} is of kind {:?}, {wanted} is wanted",
            self.op,
            found.kind()
        )))
    }

    fn missing<T>(&self, name: &str) -> OpResult<T> {
        Err(OpError::invalid(format!("{}: attribute {name} is required", self.op)))
    }

    /// An integer that may be absent.
    pub fn opt_int(&self, name: &str) -> OpResult<Option<i64>> {
        match (self.attrs.get(name), self.default(name)) {
            (Some(Attr::Int(x)), _) => Ok(Some(*x)),
            (Some(other), _) => self.wrong(name, other, "an integer"),
            (None, Some(Default::Int(x))) => Ok(Some(*x)),
            _ => Ok(None),
        }
    }

    /// An integer.
    pub fn int(&self, name: &str) -> OpResult<i64> {
        self.opt_int(name)?.map_or_else(|| self.missing(name), Ok)
    }

    /// An integer read as a flag.
    pub fn flag(&self, name: &str) -> OpResult<bool> {
        Ok(self.int(name)? != 0)
    }

    /// A float that may be absent.
    pub fn opt_float(&self, name: &str) -> OpResult<Option<f32>> {
        match (self.attrs.get(name), self.default(name)) {
            (Some(Attr::Float(x)), _) => Ok(Some(*x)),
            (Some(other), _) => self.wrong(name, other, "a float"),
            (None, Some(Default::Float(x))) => Ok(Some(*x)),
            _ => Ok(None),
        }
    }

    /// A float.
    pub fn float(&self, name: &str) -> OpResult<f32> {
        self.opt_float(name)?.map_or_else(|| self.missing(name), Ok)
    }

    /// A string that may be absent.
    pub fn opt_string(&self, name: &str) -> OpResult<Option<&str>> {
        match (self.attrs.get(name), self.default(name)) {
            (Some(Attr::String(x)), _) => Ok(Some(x)),
            (Some(other), _) => self.wrong(name, other, "a string"),
            (None, Some(Default::String(x))) => Ok(Some(x)),
            _ => Ok(None),
        }
    }

    /// A string.
    pub fn string(&self, name: &str) -> OpResult<&str> {
        match self.opt_string(name)? {
            Some(x) => Ok(x),
            None => self.missing(name),
        }
    }

    /// Integers that may be absent.
    pub fn opt_ints(&self, name: &str) -> OpResult<Option<Vec<i64>>> {
        match (self.attrs.get(name), self.default(name)) {
            (Some(Attr::Ints(x)), _) => Ok(Some(x.clone())),
            // A writer that drops the element type of an empty list leaves any empty list behind.
            (Some(Attr::Floats(x)), _) if x.is_empty() => Ok(Some(vec![])),
            (Some(other), _) => self.wrong(name, other, "a list of integers"),
            (None, Some(Default::Ints(x))) => Ok(Some(x.to_vec())),
            _ => Ok(None),
        }
    }

    /// Integers.
    pub fn ints(&self, name: &str) -> OpResult<Vec<i64>> {
        self.opt_ints(name)?.map_or_else(|| self.missing(name), Ok)
    }

    /// Floats that may be absent.
    pub fn opt_floats(&self, name: &str) -> OpResult<Option<Vec<f32>>> {
        match (self.attrs.get(name), self.default(name)) {
            (Some(Attr::Floats(x)), _) => Ok(Some(x.clone())),
            (Some(Attr::Ints(x)), _) if x.is_empty() => Ok(Some(vec![])),
            (Some(other), _) => self.wrong(name, other, "a list of floats"),
            (None, Some(Default::Floats(x))) => Ok(Some(x.to_vec())),
            _ => Ok(None),
        }
    }

    /// Floats.
    pub fn floats(&self, name: &str) -> OpResult<Vec<f32>> {
        self.opt_floats(name)?.map_or_else(|| self.missing(name), Ok)
    }

    /// Strings that may be absent.
    pub fn opt_strings(&self, name: &str) -> OpResult<Option<Vec<String>>> {
        match (self.attrs.get(name), self.default(name)) {
            (Some(Attr::Strings(x)), _) => Ok(Some(x.clone())),
            (Some(Attr::Ints(x)), _) if x.is_empty() => Ok(Some(vec![])),
            (Some(other), _) => self.wrong(name, other, "a list of strings"),
            (None, Some(Default::Strings(x))) => Ok(Some(x.iter().map(|s| (*s).to_owned()).collect())),
            _ => Ok(None),
        }
    }

    /// Strings.
    pub fn strings(&self, name: &str) -> OpResult<Vec<String>> {
        self.opt_strings(name)?.map_or_else(|| self.missing(name), Ok)
    }

    /// A tensor that may be absent.
    pub fn opt_tensor(&self, name: &str) -> OpResult<Option<&Arc<WeightExpr>>> {
        match self.attrs.get(name) {
            Some(Attr::Tensor(x)) => Ok(Some(x)),
            Some(other) => self.wrong(name, other, "a tensor"),
            None => Ok(None),
        }
    }

    /// A type that may be absent.
    pub fn opt_type(&self, name: &str) -> OpResult<Option<&Type>> {
        match self.attrs.get(name) {
            Some(Attr::Type(x)) => Ok(Some(x)),
            Some(other) => self.wrong(name, other, "a type"),
            None => Ok(None),
        }
    }

    /// An integer attribute that holds a `TensorProto.DataType`; absent and 0 (undefined) are `None`.
    pub fn opt_dtype(&self, name: &str) -> OpResult<Option<DType>> {
        match self.opt_int(name)? {
            None | Some(0) => Ok(None),
            Some(code) => dtype_of_code(code)
                .map(Some)
                .ok_or_else(|| OpError::invalid(format!("{}: attribute {name}: {code} is no element type", self.op))),
        }
    }
}

/// Element types by `TensorProto.DataType`, starting at 1.
const CODES: [DType; 26] = {
    use DType::*;
    [
        F32, U8, I8, U16, I16, I32, I64, String, Bool, F16, F64, U32, U64, Complex64, Complex128, BF16, F8E4M3FN,
        F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, U4, I4, F4E2M1, F8E8M0, U2, I2,
    ]
};

/// The element type of a `TensorProto.DataType`.
pub fn dtype_of_code(code: i64) -> Option<DType> {
    CODES.get(usize::try_from(code).ok()?.checked_sub(1)?).copied()
}

/// The `TensorProto.DataType` of an element type.
pub fn code_of_dtype(dtype: DType) -> i64 {
    CODES.iter().position(|&d| d == dtype).map_or(0, |i| i as i64 + 1)
}
