//! The elements of single tensors.

use crate::{Error, Result};
use modelsmith_base::{Budget, Place};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{DType, Tensor, WeightExpr, materialize};
use std::sync::Arc;

/// A weight whose elements lie in a mapped file.
struct Mapped(Arc<WeightExpr>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.mapped().unwrap_or_default()
    }
}

/// The tensor of `w`: over the file's own mapping where its elements lie there as a tensor has them, computed otherwise.
///
/// # Errors
/// When the elements cannot be read, or are damaged.
pub fn tensor(name: &str, w: &Arc<WeightExpr>) -> Result<Tensor> {
    let failed = |e: modelsmith_tensor::Error| Error::from(e).at(Place::tensor(name.to_owned()));
    match (w.mapped(), w.dtype()) {
        (Some(_), dtype) if dtype != DType::String => {
            Tensor::over(dtype, &w.shape(), Arc::new(Mapped(w.clone()))).map_err(failed)
        }
        _ => materialize(w, &Operators, &Budget::unlimited()).map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_memory_is_not_copied() {
        let literal = Arc::new(WeightExpr::Literal(Tensor::vector(&(0..64).map(f64::from).collect::<Vec<_>>())));
        let t = tensor("a", &literal).unwrap();
        assert_eq!(t.bytes().as_ptr(), literal.mapped().unwrap().as_ptr());
        let permuted = Arc::new(WeightExpr::Cast(literal, DType::F32));
        assert_eq!(tensor("a", &permuted).unwrap().to_f64s().unwrap()[63], 63.0);
    }
}
