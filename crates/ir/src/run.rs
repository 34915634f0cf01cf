use crate::{AttrView, OpError, OpResult};
use modelsmith_base::Budget;
use modelsmith_tensor::{DType, Evaluator, Tensor, Value, materialize};

/// Runs the bodies of a node.
pub trait RunRegion {
    /// Results of the body `name` on `args`, one per parameter.
    ///
    /// # Errors
    /// When the node has no such body, or an operator in it fails.
    fn run(&self, name: &str, args: &[Value]) -> OpResult<Vec<Value>>;
}

/// What a reference implementation sees besides its operands.
pub struct EvalCx<'a> {
    /// Attributes with the schema's defaults.
    pub attrs: AttrView<'a>,
    /// Number of outputs that the node declares.
    pub outputs: usize,
    /// Bodies; `None` when the node has none.
    pub regions: Option<&'a dyn RunRegion>,
    /// Computes lazy weights behind tensor attributes.
    pub evaluator: &'a dyn Evaluator,
}

impl EvalCx<'_> {
    /// Runs the body `name`.
    ///
    /// # Errors
    /// When the node has no such body, or an operator in it fails.
    pub fn run_region(&self, name: &str, args: &[Value]) -> OpResult<Vec<Value>> {
        match self.regions {
            Some(r) => r.run(name, args),
            None => Err(OpError::invalid(format!("body {name} is missing"))),
        }
    }

    /// A tensor attribute that may be absent.
    ///
    /// # Errors
    /// When it is of another kind or cannot be read.
    pub fn tensor_attr(&self, name: &str) -> OpResult<Option<Tensor>> {
        match self.attrs.opt_tensor(name)? {
            Some(w) => Ok(Some(materialize(w, self.evaluator, &Budget::unlimited())?)),
            None => Ok(None),
        }
    }

    /// Operand `i`, which must be a tensor.
    ///
    /// # Errors
    /// When it is absent or of another kind.
    pub fn tensor<'v>(&self, inputs: &[Option<&'v Value>], i: usize) -> OpResult<&'v Tensor> {
        match inputs.get(i).copied().flatten() {
            Some(v) => Ok(v.tensor()?),
            None => Err(OpError::invalid(format!("input {i} is required"))),
        }
    }

    /// Operand `i`, a tensor that may be absent.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn opt_tensor<'v>(&self, inputs: &[Option<&'v Value>], i: usize) -> OpResult<Option<&'v Tensor>> {
        Ok(match inputs.get(i).copied().flatten() {
            Some(v) => Some(v.tensor()?),
            None => None,
        })
    }

    /// Operand `i`, integers that may be absent (axes, shapes, repeats).
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn opt_ints(&self, inputs: &[Option<&Value>], i: usize) -> OpResult<Option<Vec<i64>>> {
        Ok(match self.opt_tensor(inputs, i)? {
            Some(t) => Some(t.to_i64s()?),
            None => None,
        })
    }

    /// Fails unless `t` has this element type.
    ///
    /// # Errors
    /// When it has another one.
    pub fn expect_dtype(&self, t: &Tensor, wanted: DType) -> OpResult<()> {
        match t.dtype() == wanted {
            true => Ok(()),
            false => Err(OpError::Tensor(modelsmith_tensor::Error::DType { wanted: wanted.name(), found: t.dtype() })),
        }
    }
}
