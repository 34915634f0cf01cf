//! Sessions: a model that is ready to run.

use crate::error::raise;
use crate::model::{Model, json, usage};
use crate::{apart, array, value};
use modelsmith::shared::SharedSession;
use modelsmith_engine::SessionOptions;
use modelsmith_ir::Type;
use modelsmith_tensor::Value;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use std::collections::HashMap;

/// A model that is ready to run, by any number of threads at once.
#[pyclass(frozen, module = "modelsmith._modelsmith")]
pub struct Session {
    shared: SharedSession,
    model: modelsmith::Model,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

struct Port {
    /// Interned, so that a lookup in a dict of the caller is one comparison of addresses.
    name: Py<PyString>,
    text: String,
    ty: Type,
}

fn ports(py: Python<'_>, model: &modelsmith::Model, list: &[modelsmith_ir::ValueId]) -> Vec<Port> {
    let one = |&v: &modelsmith_ir::ValueId| {
        let text = model.hub().values[v].name.clone();
        Port { name: PyString::intern(py, &text).unbind(), text, ty: model.hub().ty(v).clone() }
    };
    list.iter().map(one).collect()
}

#[pymethods]
impl Session {
    /// Loads an engine, or compiles a model for this machine.
    #[new]
    #[pyo3(signature = (model, threads=0, isa="", no_fallback=false, reference_only=false))]
    fn new(
        py: Python<'_>,
        model: &Model,
        threads: usize,
        isa: &str,
        no_fallback: bool,
        reference_only: bool,
    ) -> PyResult<Session> {
        let options = SessionOptions { threads, isa: isa.to_owned(), no_fallback, ..SessionOptions::default() };
        let model = model.inner.clone();
        let shared = apart(py, || SharedSession::open(&model, &options, reference_only, &|_| {}))?;
        let graph = model.hub().graph();
        let (inputs, outputs) = (ports(py, &model, &graph.params), ports(py, &model, &graph.results));
        Ok(Session { shared, model, inputs, outputs })
    }

    /// Runs once: the outputs of these names, or all, in order.
    fn run<'py>(
        &self,
        py: Python<'py>,
        names: Option<&Bound<'py, PyAny>>,
        feed: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyList>> {
        let wanted = names.map(|n| self.positions(n)).transpose()?;
        let inputs = self.fed(feed)?;
        let done = py.detach(|| self.shared.run_lent(&inputs));
        let made = done.map_err(|e| raise(py, &e))?;
        // Under the lock, so that arrays are given back at once.
        drop(inputs);
        picked(py, wanted, made)
    }

    /// As `run`; also the time of each step, as JSON.
    fn profile<'py>(
        &self,
        py: Python<'py>,
        names: Option<&Bound<'py, PyAny>>,
        feed: &Bound<'py, PyDict>,
    ) -> PyResult<(Bound<'py, PyList>, String)> {
        let wanted = names.map(|n| self.positions(n)).transpose()?;
        let inputs = self.fed(feed)?;
        let (made, steps) = apart(py, || {
            let (made, steps) = self.shared.run_profiled(&inputs)?;
            let one = |s: &modelsmith_engine::StepTime| serde_json::json!({ "step": s.label, "kernel": s.kernel, "reference": s.reference, "ns": s.ns, "flops": s.flops, "bytes": s.bytes });
            Ok((made, json(&steps.iter().map(one).collect::<Vec<_>>())?))
        })?;
        let made = made.into_iter().map(|v| (v, false)).collect();
        Ok((picked(py, wanted, made)?, steps))
    }

    /// Name, type and shape of each input.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        listed(py, &self.inputs)
    }

    /// Name, type and shape of each output.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        listed(py, &self.outputs)
    }

    /// The model that it runs.
    #[getter]
    fn model(&self) -> Model {
        Model { inner: self.model.clone() }
    }

    /// Instruction set level of the plan that runs, and the threads of one run.
    #[getter]
    fn level(&self, py: Python<'_>) -> PyResult<(String, usize)> {
        self.shared.level().map_err(|e| raise(py, &e))
    }

    /// Most runs at the same time; further callers wait.
    #[getter]
    fn lanes(&self) -> usize {
        self.shared.lanes()
    }
}

/// The outputs at these positions, or all, in order, as Python sees them.
fn picked<'py>(py: Python<'py>, wanted: Option<Vec<usize>>, made: Vec<(Value, bool)>) -> PyResult<Bound<'py, PyList>> {
    let made = match wanted {
        None => made.into_iter().map(|v| shown(py, v)).collect::<PyResult<Vec<_>>>()?,
        Some(wanted) => {
            let mut made = made.into_iter().map(Some).collect::<Vec<_>>();
            let last = wanted.iter().enumerate().map(|(i, &at)| (at, i)).collect::<HashMap<_, _>>();
            // A name that is asked for twice gets an array of its own each time.
            let mut take = |(i, &at): (usize, &usize)| match last.get(&at) == Some(&i) {
                true => shown(py, made[at].take().unwrap_or((Value::Optional(None), false))),
                false => {
                    let v = made[at].as_ref().map_or(Value::Optional(None), |(v, _)| v.clone());
                    value::to_python(py, v)
                }
            };
            wanted.iter().enumerate().map(&mut take).collect::<PyResult<Vec<_>>>()?
        }
    };
    PyList::new(py, made)
}

/// What Python sees of an output; one that is lent is not copied.
fn shown(py: Python<'_>, output: (Value, bool)) -> PyResult<Bound<'_, PyAny>> {
    match output {
        (Value::Tensor(t), true) => array::lent_array(py, t),
        (v, _) => value::to_python(py, v),
    }
}

fn listed<'py>(py: Python<'py>, ports: &[Port]) -> PyResult<Bound<'py, PyList>> {
    let one = |p: &Port| Ok((p.text.clone(), value::type_name(&p.ty), value::shape(py, &p.ty)?));
    PyList::new(py, ports.iter().map(one).collect::<PyResult<Vec<_>>>()?)
}

impl Session {
    /// Positions of the outputs of these names.
    fn positions(&self, names: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        let find = |name: PyResult<Bound<'_, PyAny>>| {
            let name = name?;
            let text = name.extract::<String>()?;
            self.outputs.iter().position(|p| p.text == text).ok_or_else(|| {
                usage(name.py(), format!("there is no output {text}; the model has {}", list(&self.outputs)))
            })
        };
        names.try_iter()?.map(find).collect()
    }

    /// The values of `feed` in the order of the model.
    fn fed(&self, feed: &Bound<'_, PyDict>) -> PyResult<Vec<Value>> {
        let py = feed.py();
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for p in &self.inputs {
            let Some(given) = feed.get_item(p.name.bind(py))? else { return Err(self.missing(feed)) };
            let v = value::to_value(&given, &p.ty)?;
            if let (Value::Tensor(t), Some(dtype)) = (&v, p.ty.dtype())
                && t.dtype() != dtype
            {
                let text = format!(
                    "input {} is {}, {} is given: convert it with .astype(numpy.{})",
                    p.text,
                    value::type_name(&p.ty),
                    value::describe(t),
                    crate::dtypes::array_name(dtype)
                );
                return Err(usage(py, text));
            }
            inputs.push(v);
        }
        match feed.len() == self.inputs.len() {
            true => Ok(inputs),
            false => Err(self.missing(feed)),
        }
    }

    /// What is wrong with the names of `feed`.
    fn missing(&self, feed: &Bound<'_, PyDict>) -> PyErr {
        let given = feed.keys().iter().map(|k| k.to_string()).collect::<Vec<_>>();
        let lacks =
            self.inputs.iter().filter(|p| !given.contains(&p.text)).map(|p| p.text.as_str()).collect::<Vec<_>>();
        let extra = given.iter().filter(|g| !self.inputs.iter().any(|p| p.text == **g));
        let extra = extra.map(String::as_str).collect::<Vec<_>>();
        let text = match (lacks.is_empty(), extra.is_empty()) {
            (false, true) => format!("no value is given for input {}", lacks.join(", ")),
            (true, _) => format!("there is no input {}; the model has {}", extra.join(", "), list(&self.inputs)),
            (false, false) => {
                format!("no value is given for input {}, and there is no input {}", lacks.join(", "), extra.join(", "))
            }
        };
        usage(feed.py(), text)
    }
}

fn list(ports: &[Port]) -> String {
    ports.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(", ")
}
