//! Comparisons in which Python runs a side.

use crate::model::{Model, json, sizes};
use crate::{apart, value};
use modelsmith::agreement::Agreement;
use modelsmith::compare::CompareOptions;
use modelsmith::inputs::Inputs;
use modelsmith::judge::{Judge, Outside};
use modelsmith::run::Opts;
use modelsmith::{Error, Kind};
use modelsmith_tensor::Value;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::Arc;

/// A function of Python that takes a dict of arrays and returns a dict, a list or one array.
struct Callable {
    name: String,
    function: Py<PyAny>,
}

impl Outside for Callable {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&self, inputs: &[(String, Value)]) -> modelsmith::Result<Vec<(Option<String>, Value)>> {
        let call = |py: Python<'_>| -> PyResult<Vec<(Option<String>, Value)>> {
            let feed = PyDict::new(py);
            for (name, v) in inputs {
                feed.set_item(name, value::to_python(py, v.clone())?)?;
            }
            results(self.function.bind(py).call1((feed,))?)
        };
        Python::attach(|py| call(py).map_err(|e| Error::new(Kind::Usage, format!("{} fails: {e}", self.name))))
    }
}

fn results(made: Bound<'_, PyAny>) -> PyResult<Vec<(Option<String>, Value)>> {
    if let Ok(named) = made.cast::<PyDict>() {
        return named.iter().map(|(k, v)| Ok((Some(k.extract()?), value::guess(&v)?))).collect();
    }
    if made.is_instance_of::<PyList>() || made.is_instance_of::<PyTuple>() {
        return made.try_iter()?.map(|v| Ok((None, value::guess(&v?)?))).collect();
    }
    Ok(vec![(None, value::guess(&made)?)])
}

/// Who runs a side: a name that the command line knows, or `(name, function)`.
fn judge(py: Python<'_>, who: &Bound<'_, PyAny>) -> PyResult<Judge> {
    if let Ok(text) = who.extract::<String>() {
        return Judge::parse(&text).map_err(|e| crate::error::raise(py, &e));
    }
    let (name, function) = who.extract()?;
    Ok(Judge::Outside(Arc::new(Callable { name, function })))
}

/// Compares `b` with the original `a`, and returns the comparison as JSON, and the inputs of the first sample that differs
/// where they were drawn. `options` are `inputs` (a list of dicts of arrays), `samples`, `rtol`, `atol`, `metric`, `seed`,
/// `shapes`, `dims`, `map_outputs`, `layers`, `threads` and `isa`; what is not there is as on the command line.
#[pyfunction]
pub(crate) fn compare<'py>(
    py: Python<'py>,
    a: &Model,
    b: &Model,
    a_judge: &Bound<'py, PyAny>,
    b_judge: &Bound<'py, PyAny>,
    options: &Bound<'py, PyDict>,
) -> PyResult<(String, Option<Bound<'py, PyDict>>)> {
    let options = CompareOptions { a: judge(py, a_judge)?, b: judge(py, b_judge)?, ..read(a, options)? };
    let (a, b) = (a.inner.clone(), b.inner.clone());
    let found = apart(py, || modelsmith::compare::compare(&a, &b, &options))?;
    let text = apart(py, || json(&found))?;
    let witness = found.witness.map(|values| {
        let out = PyDict::new(py);
        values.into_iter().try_for_each(|(name, v)| out.set_item(name, value::to_python(py, v)?))?;
        Ok::<_, PyErr>(out)
    });
    Ok((text, witness.transpose()?))
}

fn read(model: &Model, options: &Bound<'_, PyDict>) -> PyResult<CompareOptions> {
    let py = options.py();
    let get = |name: &str| Ok::<_, PyErr>(options.get_item(name)?.filter(|v| !v.is_none()));
    let dict = |name: &str| match get(name)? {
        Some(v) => Ok(Some(v.cast_into::<PyDict>().map_err(PyErr::from)?)),
        None => Ok::<_, PyErr>(None),
    };
    let mut out = CompareOptions::default();
    let rtol = get("rtol")?.map(|v| v.extract::<f64>()).transpose()?;
    let atol = get("atol")?.map_or(Ok(vec![]), |v| v.extract::<Vec<String>>())?;
    let metric = get("metric")?.map(|v| v.extract::<String>()).transpose()?;
    out.agreement = Agreement::parse(rtol, &atol, metric.as_deref()).map_err(|e| crate::error::raise(py, &e))?;
    if let Some(n) = get("samples")? {
        out.samples = n.extract()?;
    }
    let seed = get("seed")?.map_or(Ok(0), |v| v.extract())?;
    let sizes = sizes(dict("shapes")?.as_ref(), dict("dims")?.as_ref())?;
    out.inputs = Inputs { seed, sizes, sets: sets(model, get("inputs")?)?, ..Inputs::default() };
    if let Some(pairs) = get("map_outputs")? {
        out.map_outputs = pairs.extract()?;
    }
    out.layers = get("layers")?.map_or(Ok(false), |v| v.extract())?;
    let threads = get("threads")?.map_or(Ok(0), |v| v.extract())?;
    let isa = get("isa")?.map_or(Ok(String::new()), |v| v.extract())?;
    out.opts = Opts { threads, isa, ..Opts::default() };
    Ok(out)
}

/// The samples that were given, with the types of the model's inputs.
fn sets(model: &Model, given: Option<Bound<'_, PyAny>>) -> PyResult<Vec<Vec<(String, Value)>>> {
    let Some(given) = given else { return Ok(vec![]) };
    let hub = model.inner.hub();
    let one = |set: PyResult<Bound<'_, PyAny>>| {
        let set = set?.cast_into::<PyDict>()?;
        let pair = |(name, v): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            let name = name.extract::<String>()?;
            let ty = hub.graph().params.iter().find(|&&p| hub.values[p].name == name).map(|&p| hub.ty(p));
            Ok((name, value::to_value(&v, ty.unwrap_or(&modelsmith_ir::Type::Unknown))?))
        };
        set.iter().map(pair).collect::<PyResult<Vec<_>>>()
    };
    given.try_iter()?.map(one).collect()
}
