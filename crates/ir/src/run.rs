use crate::{AttrView, OpError, OpResult, Type};
use modelsmith_base::Budget;
use modelsmith_tensor::{DType, Evaluator, Tensor, Value, index, materialize};

/// Runs the bodies of a node.
pub trait RunRegion {
    /// Results of the body `name` on `args`, one per parameter.
    ///
    /// # Errors
    /// When the node has no such body, or an operator in it fails.
    fn run(&self, name: &str, args: &[Value]) -> OpResult<Vec<Value>>;

    /// Declared types of the results of body `name`, when they are known: for loops that never run it.
    fn result_types(&self, _name: &str) -> Vec<Type> {
        Vec::new()
    }
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

    /// An empty stack along `axis` of the result `i` of body `name`, of its declared type; sizes that are not known
    /// are 0.
    ///
    /// # Errors
    /// When the type is not declared.
    pub fn empty_stack(&self, name: &str, i: usize, axis: i64) -> OpResult<Value> {
        let types = self.regions.map(|r| r.result_types(name)).unwrap_or_default();
        let ty = types.get(i).and_then(Type::as_tensor);
        let Some((dtype, shape)) = ty.and_then(|t| t.dtype.zip(t.shape.as_ref())) else {
            return Err(OpError::invalid(format!("body {name} never ran and does not declare the type of result {i}")));
        };
        let mut shape = shape.iter().map(|d| d.size().unwrap_or(0)).collect::<Vec<_>>();
        let at = index::axis(axis, shape.len() + 1)?;
        shape.insert(at, 0);
        Ok(Tensor::zeros(dtype, &shape)?.into())
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
