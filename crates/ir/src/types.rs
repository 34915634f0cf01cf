use crate::Dim;
use modelsmith_tensor::DType;
use std::fmt;

/// Element type and shape of a tensor, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: Option<DType>,
    /// Dimensions; `None` when not even the rank is known.
    pub shape: Option<Vec<Dim>>,
}

/// The type of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Type {
    /// Nothing is known.
    #[default]
    Unknown,
    /// A dense tensor.
    Tensor(TensorType),
    /// A sparse tensor.
    Sparse(TensorType),
    /// A list of values of one type.
    Sequence(Box<Type>),
    /// A value that may be absent.
    Optional(Box<Type>),
    /// Keys to values.
    Map(DType, Box<Type>),
    /// A type of another domain.
    Opaque(String, String),
}

impl TensorType {
    /// A tensor type of known element type and shape.
    pub fn new(dtype: DType, shape: Vec<Dim>) -> TensorType {
        TensorType { dtype: Some(dtype), shape: Some(shape) }
    }

    /// True when everything that `other` says holds for `self` too, and a dimension is at least as precise.
    pub fn refines(&self, other: &TensorType) -> bool {
        let dtype = other.dtype.is_none() || self.dtype == other.dtype;
        let shape = match (&self.shape, &other.shape) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| dim_refines(a, b)),
        };
        dtype && shape
    }

    /// What holds for both: the type of a value that may come from either.
    pub fn join(&self, other: &TensorType) -> TensorType {
        TensorType {
            dtype: self.dtype.filter(|d| other.dtype == Some(*d)),
            shape: match (&self.shape, &other.shape) {
                (Some(a), Some(b)) if a.len() == b.len() => {
                    Some(a.iter().zip(b).map(|(a, b)| if a == b { a.clone() } else { Dim::Unknown }).collect())
                }
                _ => None,
            },
        }
    }

    /// What either says; where both say something else about a dimension, the number wins, then `self`.
    pub fn meet(&self, other: &TensorType) -> TensorType {
        TensorType {
            dtype: self.dtype.or(other.dtype),
            shape: match (&self.shape, &other.shape) {
                (Some(a), Some(b)) if a.len() == b.len() => {
                    Some(a.iter().zip(b).map(|(a, b)| if dim_refines(b, a) { b.clone() } else { a.clone() }).collect())
                }
                (Some(a), _) => Some(a.clone()),
                (None, b) => b.clone(),
            },
        }
    }
}

fn dim_refines(a: &Dim, b: &Dim) -> bool {
    a == b || matches!((a, b), (_, Dim::Unknown) | (Dim::Known(_), Dim::Expr(_)))
}

impl Type {
    /// A tensor of known element type and shape.
    pub fn tensor(dtype: DType, shape: &[Dim]) -> Type {
        Type::Tensor(TensorType::new(dtype, shape.to_vec()))
    }

    /// A tensor of known sizes.
    pub fn fixed(dtype: DType, shape: &[usize]) -> Type {
        Type::Tensor(TensorType::new(dtype, shape.iter().map(|&d| d.into()).collect()))
    }

    /// A tensor of known element type and unknown rank.
    pub fn of(dtype: DType) -> Type {
        Type::Tensor(TensorType { dtype: Some(dtype), shape: None })
    }

    /// The tensor type, if it is one.
    pub fn as_tensor(&self) -> Option<&TensorType> {
        match self {
            Type::Tensor(t) => Some(t),
            _ => None,
        }
    }

    /// Element type of a tensor.
    pub fn dtype(&self) -> Option<DType> {
        self.as_tensor()?.dtype
    }

    /// Shape of a tensor.
    pub fn shape(&self) -> Option<&[Dim]> {
        self.as_tensor()?.shape.as_deref()
    }

    /// Rank of a tensor.
    pub fn rank(&self) -> Option<usize> {
        self.shape().map(<[Dim]>::len)
    }

    /// Shape of a tensor, when every dimension is a number.
    pub fn sizes(&self) -> Option<Vec<usize>> {
        self.shape()?.iter().map(Dim::size).collect()
    }

    /// True when everything that `other` says holds for `self` too.
    pub fn refines(&self, other: &Type) -> bool {
        match (self, other) {
            (_, Type::Unknown) => true,
            (Type::Tensor(a), Type::Tensor(b)) | (Type::Sparse(a), Type::Sparse(b)) => a.refines(b),
            (Type::Sequence(a), Type::Sequence(b)) | (Type::Optional(a), Type::Optional(b)) => a.refines(b),
            (Type::Map(k, a), Type::Map(l, b)) => k == l && a.refines(b),
            (a, b) => a == b,
        }
    }

    /// What holds for both.
    pub fn join(&self, other: &Type) -> Type {
        match (self, other) {
            (Type::Tensor(a), Type::Tensor(b)) => Type::Tensor(a.join(b)),
            (Type::Sparse(a), Type::Sparse(b)) => Type::Sparse(a.join(b)),
            (Type::Sequence(a), Type::Sequence(b)) => Type::Sequence(Box::new(a.join(b))),
            (Type::Optional(a), Type::Optional(b)) => Type::Optional(Box::new(a.join(b))),
            (Type::Map(k, a), Type::Map(l, b)) if k == l => Type::Map(*k, Box::new(a.join(b))),
            (a, b) if a == b => a.clone(),
            _ => Type::Unknown,
        }
    }

    /// What either says; see [`TensorType::meet`].
    pub fn meet(&self, other: &Type) -> Type {
        match (self, other) {
            (Type::Unknown, b) => b.clone(),
            (Type::Tensor(a), Type::Tensor(b)) => Type::Tensor(a.meet(b)),
            (Type::Sparse(a), Type::Sparse(b)) => Type::Sparse(a.meet(b)),
            (Type::Sequence(a), Type::Sequence(b)) => Type::Sequence(Box::new(a.meet(b))),
            (Type::Optional(a), Type::Optional(b)) => Type::Optional(Box::new(a.meet(b))),
            (Type::Map(k, a), Type::Map(_, b)) => Type::Map(*k, Box::new(a.meet(b))),
            (a, _) => a.clone(),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype.map_or("?", DType::name))?;
        match &self.shape {
            None => f.write_str("[*]"),
            Some(s) => write!(f, "[{}]", s.iter().map(Dim::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// `f32[n, 3]`, `?[*]`, `seq(i64[?])`, `optional(...)`, `sparse(...)`, `map(string, f32[])`, `opaque("d", "n")`, `?`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Unknown => f.write_str("?"),
            Type::Tensor(t) => t.fmt(f),
            Type::Sparse(t) => write!(f, "sparse({t})"),
            Type::Sequence(t) => write!(f, "seq({t})"),
            Type::Optional(t) => write!(f, "optional({t})"),
            Type::Map(k, t) => write!(f, "map({k}, {t})"),
            Type::Opaque(d, n) => write!(f, "opaque({d:?}, {n:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refinement_never_widens() {
        let n = Dim::symbol("n");
        let wide = Type::tensor(DType::F32, &[n.clone(), Dim::Unknown]);
        let fine = Type::tensor(DType::F32, &[Dim::Known(2), n]);
        assert!(fine.refines(&wide) && !wide.refines(&fine));
        assert!(fine.refines(&Type::of(DType::F32)) && !Type::of(DType::F32).refines(&fine));
        assert_eq!(fine.join(&wide).to_string(), "f32[?, ?]");
        assert_eq!(wide.meet(&fine), fine);
    }
}
