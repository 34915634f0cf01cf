//! What makes two weights one.

use crate::weight::{Read, WeightExpr};
use modelsmith_base::DType;
use std::sync::Arc;

/// Equal for weights that are the same elements of the same place: tied weights, whose bytes are stored once. Weights
/// that are computed are one only where they are one expression.
///
/// It holds addresses: it means something only while the weights live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Expression(usize),
    Range { source: usize, offset: u64, dtype: DType, shape: Vec<usize> },
    View { of: Box<Identity>, offset: usize, shape: Vec<usize>, strides: Vec<usize> },
}

impl Identity {
    /// That of `weight`.
    pub fn of(weight: &Arc<WeightExpr>) -> Identity {
        Identity(match weight.as_ref() {
            WeightExpr::Read(Read { source, offset, dtype, shape, .. }) => {
                Kind::Range { source: address(source), offset: *offset, dtype: *dtype, shape: shape.clone() }
            }
            WeightExpr::View { of, offset, shape, strides } => Kind::View {
                of: Box::new(Identity::of(of)),
                offset: *offset,
                shape: shape.clone(),
                strides: strides.clone(),
            },
            _ => Kind::Expression(address(weight)),
        })
    }
}

fn address<T: ?Sized>(of: &Arc<T>) -> usize {
    Arc::as_ptr(of).cast::<u8>().addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemSource, Source, Tensor};

    #[test]
    fn the_same_elements_of_one_file_are_one_weight() {
        let source: Arc<dyn Source> = Arc::new(MemSource::new("x", vec![0; 64]));
        let read = |offset, shape: &[usize]| {
            let (source, shape) = (source.clone(), shape.to_vec());
            Arc::new(WeightExpr::Read(Read { source, offset, len: 16, dtype: DType::F32, shape }))
        };
        let same = |a: &Arc<WeightExpr>, b: &Arc<WeightExpr>| Identity::of(a) == Identity::of(b);
        assert!(same(&read(0, &[4]), &read(0, &[4])));
        assert!(!same(&read(0, &[4]), &read(16, &[4])));
        assert!(!same(&read(0, &[4]), &read(0, &[2, 2])));
        let view = |of: Arc<WeightExpr>, strides: &[usize]| {
            Arc::new(WeightExpr::View { of, offset: 0, shape: vec![2, 2], strides: strides.to_vec() })
        };
        assert!(same(&view(read(0, &[4]), &[2, 1]), &view(read(0, &[4]), &[2, 1])));
        assert!(!same(&view(read(0, &[4]), &[2, 1]), &view(read(0, &[4]), &[1, 2])));
        let made = || Arc::new(WeightExpr::Literal(Tensor::scalar(1.0f32)));
        let one = made();
        assert!(same(&one, &one.clone()));
        assert!(!same(&one, &made()));
    }
}
