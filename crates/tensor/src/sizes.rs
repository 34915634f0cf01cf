//! Sizes of a tensor's axes.

use std::ops::Deref;
use std::sync::Arc;

/// Most axes whose sizes lie in the tensor itself.
const FEW: usize = 4;

/// Sizes of axes. Those of few axes lie in the tensor itself, so that neither making nor cloning one asks for memory.
#[derive(Clone)]
pub(crate) enum Sizes {
    Few { rank: u8, sizes: [usize; FEW] },
    Many(Arc<[usize]>),
}

impl From<&[usize]> for Sizes {
    fn from(shape: &[usize]) -> Sizes {
        if shape.len() > FEW {
            return Sizes::Many(shape.into());
        }
        let mut sizes = [0; FEW];
        sizes[..shape.len()].copy_from_slice(shape);
        Sizes::Few { rank: shape.len() as u8, sizes }
    }
}

impl Deref for Sizes {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        match self {
            Sizes::Few { rank, sizes } => &sizes[..usize::from(*rank)],
            Sizes::Many(sizes) => sizes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_sizes_come_back() {
        for rank in 0..8usize {
            let shape = (1..=rank).collect::<Vec<_>>();
            let sizes = Sizes::from(shape.as_slice());
            assert_eq!(*sizes, *shape);
            assert_eq!(*sizes.clone(), *shape);
        }
    }
}
