//! Checkpoints as Python holds them: names, and arrays that are made when they are asked for.

use crate::error::raise;
use crate::model::{json, usage};
use crate::{apart, array, dtypes};
use modelsmith::Error;
use modelsmith::checkpoint::{self, Budget, Edit, Readback, Target, Tensors};
use modelsmith_tensor::{Tensor, WeightExpr};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Named weights of a file; the elements stay there until they are asked for.
#[pyclass(frozen, module = "modelsmith._modelsmith")]
pub struct Checkpoint {
    inner: modelsmith::Checkpoint,
    at: HashMap<String, usize>,
}

impl Checkpoint {
    pub(crate) fn new(inner: modelsmith::Checkpoint) -> Checkpoint {
        let at = inner.data().tensors.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect();
        Checkpoint { inner, at }
    }

    fn find(&self, name: &str) -> PyResult<&(String, Arc<WeightExpr>)> {
        let found = self.at.get(name).and_then(|&i| self.inner.data().tensors.get(i));
        found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn placed(&self, e: Error) -> Error {
        e.in_file(self.inner.path())
    }
}

#[pymethods]
impl Checkpoint {
    /// Reads the names of a checkpoint, a folder of one, or the weights of a model.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Checkpoint> {
        let read = apart(py, || match checkpoint::open(&path)? {
            checkpoint::File::Checkpoint(c) => Ok(c),
            checkpoint::File::Model(m) => modelsmith::Checkpoint::of_model(&m),
        });
        read.map(Checkpoint::new)
    }

    /// As `open`, for what lies in memory.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, name: &str, bytes: Vec<u8>) -> PyResult<Checkpoint> {
        apart(py, || modelsmith::Checkpoint::from_bytes(name, bytes)).map(Checkpoint::new)
    }

    /// The file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.inner.path().to_owned()
    }

    /// Its format, for people.
    #[getter]
    fn format(&self) -> &'static str {
        self.inner.format().title
    }

    /// Names in the order of the file.
    fn keys(&self) -> Vec<&str> {
        self.inner.data().tensors.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn __len__(&self) -> usize {
        self.inner.data().tensors.len()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.at.contains_key(name)
    }

    /// Element type (as NumPy or `ml_dtypes` calls it) and shape.
    fn info(&self, name: &str) -> PyResult<(&'static str, Vec<usize>)> {
        let (_, w) = self.find(name)?;
        Ok((dtypes::array_name(w.dtype()), w.shape()))
    }

    /// The elements: over the file's own bytes, and then not to be written, where they lie there as an array has them.
    /// With `raw`, elements of types that NumPy does not have come as unsigned integers of their width.
    #[pyo3(signature = (name, raw=false))]
    fn view<'py>(&self, py: Python<'py>, name: &str, raw: bool) -> PyResult<Bound<'py, PyAny>> {
        let (name, w) = self.find(name)?;
        let mapped = w.mapped().is_some();
        let read = || checkpoint::tensor(name, w).map_err(|e| self.placed(e));
        // A view of what is mapped takes no time that is worth another thread.
        let tensor = if mapped { read().map_err(|e| raise(py, &e))? } else { apart(py, read)? };
        match (raw, mapped) {
            (true, _) => array::to_raw(py, tensor, !mapped),
            (false, true) => array::to_view(py, tensor),
            (false, false) => array::to_array(py, tensor),
        }
    }

    /// Arrays of these tensors, each with memory of its own; `raw` as for `view`.
    #[pyo3(signature = (names, raw=false))]
    fn read<'py>(&self, py: Python<'py>, names: Vec<String>, raw: bool) -> PyResult<Bound<'py, PyList>> {
        let found = names.iter().map(|n| self.find(n)).collect::<PyResult<Vec<_>>>()?;
        let made = apart(py, || read_all(&found).map_err(|e| self.placed(e)))?;
        let one = |t| if raw { array::to_raw(py, t, true) } else { array::to_array(py, t) };
        PyList::new(py, made.into_iter().map(one).collect::<PyResult<Vec<_>>>()?)
    }

    /// What the file says of itself, as text.
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for (key, v) in &self.inner.data().meta {
            out.set_item(key, v.text())?;
        }
        Ok(out)
    }

    /// What `modelsmith inspect --json` says, as JSON.
    fn inspect(&self, py: Python<'_>) -> PyResult<String> {
        apart(py, || json(&checkpoint::inspect(&self.inner)))
    }
}

/// Copies of the tensors, made by as many threads as the process may use.
fn read_all(found: &[&(String, Arc<WeightExpr>)]) -> modelsmith::Result<Vec<Tensor>> {
    let next = AtomicUsize::new(0);
    let take = || {
        let i = next.fetch_add(1, Ordering::Relaxed);
        found.get(i).map(|f| (i, *f))
    };
    let work = || {
        let mut made = Vec::new();
        while let Some((i, (name, w))) = take() {
            let mut tensor = checkpoint::tensor(name, w)?;
            // Changing what is shared makes it this tensor's own.
            let _ = tensor.bytes_mut();
            made.push((i, tensor));
        }
        Ok::<_, Error>(made)
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(found.len()).max(1);
    let parts = std::thread::scope(|scope| {
        let others = (1..threads).map(|_| scope.spawn(work)).collect::<Vec<_>>();
        let own = work();
        let gone = |_| Err(Error::new(modelsmith::Kind::Fault, "a thread that copies tensors stopped with a panic"));
        std::iter::once(own).chain(others.into_iter().map(|t| t.join().unwrap_or_else(gone))).collect::<Vec<_>>()
    });
    let mut all = parts.into_iter().collect::<modelsmith::Result<Vec<_>>>()?.into_iter().flatten().collect::<Vec<_>>();
    all.sort_unstable_by_key(|(i, _)| *i);
    Ok(all.into_iter().map(|(_, tensor)| tensor).collect())
}

/// Writes arrays by name in the format of the file's name, or in `format`. Tensors are in the order given; one may be a pair
/// of an array of unsigned integers and the name of the element type that its bits are.
#[pyfunction]
#[pyo3(signature = (tensors, path, metadata=None, format=None))]
pub(crate) fn save_tensors(
    py: Python<'_>,
    tensors: &Bound<'_, PyDict>,
    path: PathBuf,
    metadata: Option<&Bound<'_, PyDict>>,
    format: Option<&str>,
) -> PyResult<u64> {
    let mut data = Tensors::default();
    for (name, a) in tensors {
        let name = name.extract::<String>()?;
        let tensor = match a.extract::<(Bound<'_, PyAny>, String)>() {
            Ok((bits, dtype)) => array::of_bits(&bits, &dtype)?,
            Err(_) => array::to_tensor(&a, None)?,
        };
        data.tensors.push((name, Arc::new(WeightExpr::Literal(tensor))));
    }
    for (key, v) in metadata.into_iter().flatten() {
        let text = |v: &Bound<'_, PyAny>| {
            v.extract::<String>().map_err(|_| usage(py, "metadata is text by text: convert keys and values with str()"))
        };
        data.meta.push((text(&key)?, text(&v)?.as_str().into()));
    }
    apart(py, || {
        let target = Target {
            format: modelsmith::write::weights_format_for(&path, format)?,
            path: &path,
            clobber: true,
            budget: Budget::unlimited(),
            threads: 0,
            shard: None,
            readback: Readback::No,
            beside: &[],
            progress: &|_, _| {},
        };
        Ok(checkpoint::convert(&data, None, &Edit::default(), &target)?.0.payload)
    })
}
