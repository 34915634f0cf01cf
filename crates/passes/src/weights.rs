//! Arithmetic on weights: small ones at once, large ones as lazy expressions.

use modelsmith_base::Budget;
use modelsmith_ops::interp::Operators;
use modelsmith_rewrite::Try;
use modelsmith_tensor::{DType, Tensor, WeightExpr, materialize};
use std::sync::Arc;

/// Weights of more elements are described, not computed.
pub(crate) const EAGER: usize = 1 << 16;

/// `op` of the hub, in the text syntax, on weights; the result has this type.
pub(crate) fn eval(op: &str, inputs: &[Arc<WeightExpr>], dtype: DType, shape: Vec<usize>) -> Try<Arc<WeightExpr>> {
    let expr = WeightExpr::Eval { op: op.into(), inputs: inputs.to_vec(), dtype, shape };
    settle(expr)
}

/// Computes the expression when it is small.
pub(crate) fn settle(expr: WeightExpr) -> Try<Arc<WeightExpr>> {
    if expr.len() > EAGER {
        return Ok(Arc::new(expr));
    }
    let t = materialize(&expr, &Operators, &Budget::unlimited())?;
    match t.shape() == expr.shape() && t.dtype() == expr.dtype() {
        true => Ok(Arc::new(WeightExpr::Literal(t))),
        false => Err("the expression has another type than expected".into()),
    }
}

/// `weight * factor`, of the shape of `weight`.
pub(crate) fn scaled(weight: &Arc<WeightExpr>, factor: Tensor) -> Try<Arc<WeightExpr>> {
    let factor = Arc::new(WeightExpr::Literal(factor));
    eval("Mul()", &[weight.clone(), factor], weight.dtype(), weight.shape())
}
