//! The constants of an engine: in memory, or where they lie in a mapped file.

use modelsmith_plan::Weight;
use modelsmith_tensor::{DType, Source, Tensor, Value};
use std::cell::OnceCell;
use std::sync::Arc;

/// The bytes of one blob.
#[derive(Clone, Debug)]
pub(crate) enum Blob {
    /// A tensor in memory.
    Heap(Tensor),
    /// A range of mapped bytes, checked when the file was loaded.
    Mapped(Arc<dyn Source>, usize, usize),
}

impl Blob {
    /// Its bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Blob::Heap(t) => t.bytes(),
            Blob::Mapped(source, offset, len) => {
                source.as_slice().and_then(|s| s.get(*offset..)?.get(..*len)).unwrap_or_default()
            }
        }
    }

    /// Element type, where the blob is a tensor in memory.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Blob::Heap(t) => Some(t.dtype()),
            Blob::Mapped(..) => None,
        }
    }

    /// The tensor's own form, for strings.
    pub fn strings(&self) -> Option<Vec<u8>> {
        match self {
            Blob::Heap(t) if t.dtype() == DType::String => {
                let mut out = Vec::new();
                modelsmith_plan::bytes::write_tensor(t, &mut out);
                Some(out)
            }
            _ => None,
        }
    }

    /// A row-major tensor over the bytes.
    pub fn tensor(&self, dtype: DType, shape: &[usize]) -> modelsmith_tensor::Result<Tensor> {
        match self {
            Blob::Heap(t) if t.dtype() == dtype => t.reshaped(shape),
            other => Tensor::from_bytes(dtype, shape, other.bytes()),
        }
    }
}

/// Weights as host values, made when a step first asks.
#[derive(Default)]
pub(crate) struct HostWeights {
    values: Vec<OnceCell<Value>>,
}

impl HostWeights {
    pub fn new(count: usize) -> HostWeights {
        HostWeights { values: (0..count).map(|_| OnceCell::new()).collect() }
    }

    pub fn get(&self, i: usize, weight: &Weight, blob: &Blob) -> modelsmith_tensor::Result<Value> {
        let cell = &self.values[i];
        if let Some(v) = cell.get() {
            return Ok(v.clone());
        }
        let v = Value::Tensor(blob.tensor(weight.dtype, &weight.shape)?);
        Ok(cell.get_or_init(|| v).clone())
    }
}
