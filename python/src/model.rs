//! Models as Python holds them.

use crate::error::raise;
use crate::{apart, value};
use modelsmith::shapes::Sizes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::path::PathBuf;

/// A model that was read, or an engine. Clones share everything.
#[pyclass(frozen, module = "modelsmith._modelsmith")]
pub struct Model {
    pub(crate) inner: modelsmith::Model,
}

/// The sizes of `shapes` (by input) and `dims` (by symbol); an entry of a shape that is `None` stays free.
pub(crate) fn sizes(shapes: Option<&Bound<'_, PyDict>>, dims: Option<&Bound<'_, PyDict>>) -> PyResult<Sizes> {
    let mut out = Sizes::default();
    for (name, shape) in shapes.into_iter().flatten() {
        out.shapes.push((name.extract()?, shape.extract()?));
    }
    for (name, size) in dims.into_iter().flatten() {
        out.dims.push((name.extract()?, size.extract()?));
    }
    Ok(out)
}

#[pymethods]
impl Model {
    /// Reads a model file in any format that is known, or loads an engine.
    #[staticmethod]
    #[pyo3(signature = (path, shapes=None))]
    fn open(py: Python<'_>, path: PathBuf, shapes: Option<&Bound<'_, PyDict>>) -> PyResult<Model> {
        let sizes = sizes(shapes, None)?;
        apart(py, || modelsmith::Model::open_sized(&path, &sizes)).map(|inner| Model { inner })
    }

    /// Reads a model from bytes; `name` stands for the file in messages, and its extension for the format.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, name: &str, bytes: Vec<u8>) -> PyResult<Model> {
        apart(py, || modelsmith::Model::from_bytes(name, bytes)).map(|inner| Model { inner })
    }

    /// Something that is no file, by the arrays that go in and come out.
    #[staticmethod]
    fn of_values(name: &str, inputs: &Bound<'_, PyDict>, outputs: &Bound<'_, PyDict>) -> PyResult<Model> {
        let ports = |values: &Bound<'_, PyDict>| {
            let one = |(name, v): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
                let ty = match value::guess(&v)? {
                    modelsmith_tensor::Value::Tensor(t) => modelsmith_ir::Type::fixed(t.dtype(), t.shape()),
                    _ => modelsmith_ir::Type::Unknown,
                };
                Ok::<_, PyErr>((name.extract()?, ty))
            };
            values.iter().map(one).collect::<PyResult<Vec<(String, _)>>>()
        };
        Ok(Model { inner: modelsmith::Model::of_signature(name, &ports(inputs)?, &ports(outputs)?) })
    }

    /// The same model with sizes of these free dimensions that do not change.
    fn with_sizes(&self, py: Python<'_>, dims: &Bound<'_, PyDict>) -> PyResult<Model> {
        let sizes = sizes(None, Some(dims))?;
        let model = &self.inner;
        let made = apart(py, || {
            // A dimension without a size of its own stays free.
            let mut bound = sizes.bind(model.hub())?;
            bound.symbols.retain(|name, _| sizes.dims.iter().any(|(n, _)| n == name));
            bound.shapes.iter_mut().for_each(|s| *s = None);
            let mut hub = model.hub().clone();
            modelsmith::write::specialise(&mut hub, &bound);
            Ok(model.with_hub(hub))
        });
        made.map(|inner| Model { inner })
    }

    /// The file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.inner.path().to_owned()
    }

    /// Its format, for people.
    #[getter]
    fn format(&self) -> &'static str {
        self.inner.format_title()
    }

    /// True for an engine.
    #[getter]
    fn is_engine(&self) -> bool {
        self.inner.engine().is_some()
    }

    /// Name, type and shape of each input.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.ports(py, &self.inner.hub().graph().params)
    }

    /// Name, type and shape of each output.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.ports(py, &self.inner.hub().graph().results)
    }

    /// What `modelsmith inspect --json` says, as JSON.
    fn inspect(&self, py: Python<'_>) -> PyResult<String> {
        let model = &self.inner;
        apart(py, || json(&modelsmith::inspect::inspect(model)))
    }

    /// The weights by name.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<crate::checkpoint::Checkpoint> {
        let model = &self.inner;
        apart(py, || modelsmith::Checkpoint::of_model(model)).map(crate::checkpoint::Checkpoint::new)
    }

    /// The graph as text.
    fn text(&self) -> String {
        modelsmith::inspect::text(&self.inner)
    }

    /// Producer, its version, graph, documentation, domain, version and metadata.
    fn meta<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (m, out) = (&self.inner.file().meta, PyDict::new(py));
        out.set_item("producer_name", &m.producer)?;
        out.set_item("producer_version", &m.producer_version)?;
        out.set_item("graph_name", &self.inner.file().graph().name)?;
        out.set_item("description", &m.doc)?;
        out.set_item("domain", &m.domain)?;
        out.set_item("version", m.model_version)?;
        out.set_item("ir_version", m.ir_version)?;
        let props = PyDict::new(py);
        m.props.iter().try_for_each(|(k, v)| props.set_item(k, v))?;
        out.set_item("custom_metadata_map", props)?;
        Ok(out)
    }
}

impl Model {
    fn ports<'py>(&self, py: Python<'py>, list: &[modelsmith_ir::ValueId]) -> PyResult<Bound<'py, PyList>> {
        let hub = self.inner.hub();
        let one = |&v: &modelsmith_ir::ValueId| {
            let ty = hub.ty(v);
            Ok((hub.values[v].name.clone(), value::type_name(ty), value::shape(py, ty)?))
        };
        PyList::new(py, list.iter().map(one).collect::<PyResult<Vec<_>>>()?)
    }
}

/// `report` as JSON text.
pub(crate) fn json<T: serde::Serialize>(report: &T) -> modelsmith::Result<String> {
    serde_json::to_string(report)
        .map_err(|e| modelsmith::Error::new(modelsmith::Kind::Fault, format!("the result has no JSON form: {e}")))
}

/// What cannot be, as an exception.
pub(crate) fn usage(py: Python<'_>, text: impl Into<String>) -> PyErr {
    raise(py, &modelsmith::Error::usage(text))
}
