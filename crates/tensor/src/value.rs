use crate::{DType, Error, Result, Tensor};

/// What flows along an edge of the graph at run time.
#[derive(Clone, Debug)]
pub enum Value {
    /// A tensor.
    Tensor(Tensor),
    /// A list of values of one type.
    Sequence(Vec<Value>),
    /// A value that may be absent.
    Optional(Option<Box<Value>>),
    /// Keys to values, in order.
    Map(Map),
    /// A sparse tensor in coordinate form.
    Sparse(Box<Sparse>),
}

/// A map from strings or integers to tensors' elements.
#[derive(Clone, Debug)]
pub struct Map {
    /// Keys, in order.
    pub keys: MapKeys,
    /// One value for each key.
    pub values: Vec<Value>,
}

/// Keys of a [`Map`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapKeys {
    /// Integer keys of any ONNX key type.
    Ints(DType, Vec<i64>),
    /// String keys.
    Strings(Vec<String>),
}

/// A sparse tensor: `values` of shape `[nnz]`, `indices` of shape `[nnz]` (flat) or `[nnz, rank]`.
#[derive(Clone, Debug)]
pub struct Sparse {
    /// Values that are not zero.
    pub values: Tensor,
    /// Their positions, `i64`.
    pub indices: Tensor,
    /// Dense shape.
    pub shape: Vec<usize>,
}

impl Sparse {
    /// The dense tensor.
    ///
    /// # Errors
    /// When an index lies outside the shape.
    pub fn to_dense(&self) -> Result<Tensor> {
        let zero = Tensor::zeros(self.values.dtype(), &self.shape)?;
        let total = zero.len();
        let at = self.indices.to_i64s()?;
        let strides = crate::index::strides(&self.shape);
        let mut from = vec![usize::MAX; total];
        for i in 0..self.values.len() {
            let flat = match self.indices.rank() {
                1 => at.get(i).copied().unwrap_or(-1),
                _ => at.chunks(self.shape.len().max(1)).nth(i).map_or(-1, |row| {
                    row.iter()
                        .zip(&strides)
                        .zip(&self.shape)
                        .try_fold(0i64, |n, ((&p, &s), &d)| (0..d as i64).contains(&p).then(|| n + p * s as i64))
                        .unwrap_or(-1)
                }),
            };
            match usize::try_from(flat).ok().filter(|&f| f < total) {
                Some(f) => from[f] = i,
                None => return Err(Error::Shape(format!("sparse index {flat} is outside shape {:?}", self.shape))),
            }
        }
        let mut out = zero;
        if self.values.dtype().bits() < 8 {
            return Err(Error::DType { wanted: "elements of whole bytes in a sparse tensor", found: out.dtype() });
        }
        let (width, values) = (out.dtype().bits() / 8, self.values.bytes());
        let to = out.bytes_mut();
        for (f, &i) in from.iter().enumerate().filter(|(_, i)| **i != usize::MAX) {
            to[f * width..][..width].copy_from_slice(&values[i * width..][..width]);
        }
        Ok(out)
    }
}

impl Value {
    /// The tensor.
    ///
    /// # Errors
    /// When the value is of another kind.
    pub fn tensor(&self) -> Result<&Tensor> {
        match self {
            Value::Tensor(t) => Ok(t),
            other => Err(Error::Kind { wanted: "tensor", found: other.kind() }),
        }
    }

    /// The elements of a sequence.
    ///
    /// # Errors
    /// When the value is of another kind.
    pub fn sequence(&self) -> Result<&[Value]> {
        match self {
            Value::Sequence(s) => Ok(s),
            other => Err(Error::Kind { wanted: "sequence", found: other.kind() }),
        }
    }

    /// `tensor`, `sequence`, `optional`, `map` or `sparse tensor`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Tensor(_) => "tensor",
            Value::Sequence(_) => "sequence",
            Value::Optional(_) => "optional",
            Value::Map(_) => "map",
            Value::Sparse(_) => "sparse tensor",
        }
    }
}

impl From<Tensor> for Value {
    fn from(t: Tensor) -> Value {
        Value::Tensor(t)
    }
}
