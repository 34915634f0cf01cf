//! Which storages a file gets, and where in them each tensor lies.

use modelsmith_base::DType;
use modelsmith_tensor::{Identity, WeightExpr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A tensor as a view of a storage of the file.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Number of the storage.
    pub storage: usize,
    pub dtype: DType,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// Storages, and each tensor in its own.
pub(crate) struct Storages {
    pub storages: Vec<Arc<WeightExpr>>,
    pub placed: Vec<Placed>,
}

/// Gives each tensor a storage. Views of one storage stay views of one storage; a storage of which a single view sees
/// only a part is not written whole.
pub(crate) fn place(tensors: &[(String, Arc<WeightExpr>)]) -> Storages {
    let mut views: HashMap<Identity, HashSet<(usize, Vec<usize>, Vec<usize>)>> = HashMap::new();
    for (_, weight) in tensors {
        if let WeightExpr::View { of, offset, shape, strides } = weight.as_ref() {
            views.entry(Identity::of(of)).or_default().insert((*offset, shape.clone(), strides.clone()));
        }
    }
    let mut numbers: HashMap<Identity, usize> = HashMap::new();
    let mut out = Storages { storages: Vec::new(), placed: Vec::new() };
    for (_, weight) in tensors {
        let shared = |of: &Arc<WeightExpr>| views.get(&Identity::of(of)).is_some_and(|v| v.len() > 1);
        let (storage, offset, shape, strides) = match weight.as_ref() {
            WeightExpr::View { of, offset, shape, strides } if shared(of) || weight.len() >= of.len() => {
                (of, *offset, shape.clone(), strides.clone())
            }
            _ => (weight, 0, weight.shape(), dense(&weight.shape())),
        };
        // An unshared part is itself, whatever the `Arc` through which it is seen.
        let key = match (weight.as_ref(), Arc::ptr_eq(storage, weight)) {
            (WeightExpr::View { of, .. }, true) => Identity::of(of),
            _ => Identity::of(storage),
        };
        let next = out.storages.len();
        let number = *numbers.entry(key).or_insert(next);
        if number == next {
            out.storages.push(storage.clone());
        }
        out.placed.push(Placed { storage: number, dtype: weight.dtype(), offset, shape, strides });
    }
    out
}

/// Strides of consecutive elements, in row-major order.
fn dense(shape: &[usize]) -> Vec<usize> {
    let mut next = 1usize;
    let mut out = Vec::new();
    for &d in shape.iter().rev() {
        out.push(next);
        next = next.saturating_mul(d.max(1));
    }
    out.reverse();
    out
}
