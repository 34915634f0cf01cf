//! Values of any type, between Python and the library.

use crate::{array, dtypes};
use modelsmith_base::DType;
use modelsmith_ir::{Dim, Type};
use modelsmith_tensor::{Map, MapKeys, Tensor, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// The value of `object`, as an input of type `ty` takes it: an array for a tensor, a list for a sequence, a dict for a map,
/// `None` or the value itself for an optional.
pub(crate) fn to_value(object: &Bound<'_, PyAny>, ty: &Type) -> PyResult<Value> {
    match ty {
        Type::Sequence(inner) => {
            let items = object.try_iter()?.map(|item| to_value(&item?, inner)).collect::<PyResult<_>>()?;
            Ok(Value::Sequence(items))
        }
        Type::Optional(_) if object.is_none() => Ok(Value::Optional(None)),
        Type::Optional(inner) => Ok(Value::Optional(Some(Box::new(to_value(object, inner)?)))),
        Type::Map(key, inner) => map(object, *key, inner),
        _ => Ok(Value::Tensor(array::to_tensor(object, ty.dtype())?)),
    }
}

fn map(object: &Bound<'_, PyAny>, key: DType, inner: &Type) -> PyResult<Value> {
    let given = object.cast::<PyDict>().map_err(|_| PyTypeError::new_err("a dict is wanted for a map"))?;
    let (mut ints, mut texts, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (k, v) in given {
        match key {
            DType::String => texts.push(k.extract()?),
            _ => ints.push(k.extract()?),
        }
        values.push(to_value(&v, inner)?);
    }
    let keys = if key == DType::String { MapKeys::Strings(texts) } else { MapKeys::Ints(key, ints) };
    Ok(Value::Map(Map { keys, values }))
}

/// The value of `object` where nothing says its type: lists of arrays are sequences, dicts are maps.
pub(crate) fn guess(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let several = object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>();
    if object.is_none() {
        return Ok(Value::Optional(None));
    }
    if several
        && object
            .try_iter()?
            .all(|i| i.is_ok_and(|i| i.hasattr("__array__").unwrap_or(false) || i.is_instance_of::<PyDict>()))
    {
        return Ok(Value::Sequence(object.try_iter()?.map(|i| guess(&i?)).collect::<PyResult<_>>()?));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let text = dict.keys().iter().any(|k| k.is_instance_of::<pyo3::types::PyString>());
        return map(object, if text { DType::String } else { DType::I64 }, &Type::Unknown);
    }
    Ok(Value::Tensor(array::to_tensor(object, None)?))
}

/// What Python sees of a value: arrays, lists of values, dicts, and `None` for what is absent. Values of a map that are
/// single numbers are numbers, not arrays.
pub(crate) fn to_python(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Value::Tensor(t) => array::to_array(py, t)?,
        Value::Sequence(items) => {
            let items = items.into_iter().map(|v| to_python(py, v)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Optional(None) => py.None().into_bound(py),
        Value::Optional(Some(inner)) => to_python(py, *inner)?,
        Value::Map(m) => {
            let out = PyDict::new(py);
            for (i, v) in m.values.into_iter().enumerate() {
                let single = matches!(&v, Value::Tensor(t) if t.len() == 1);
                let v = to_python(py, v)?;
                let v = if single { v.call_method0("item")? } else { v };
                match &m.keys {
                    MapKeys::Ints(_, keys) => out.set_item(keys[i], v)?,
                    MapKeys::Strings(keys) => out.set_item(&keys[i], v)?,
                }
            }
            out.into_any()
        }
        Value::Sparse(s) => array::to_array(py, s.to_dense().map_err(|e| crate::error::raise_from(py, e))?)?,
    })
}

/// A type as ONNX Runtime writes it: `tensor(float)`, `seq(map(int64,tensor(float)))`.
pub(crate) fn type_name(ty: &Type) -> String {
    let tensor = |dtype: Option<DType>| dtype.map_or("undefined", dtypes::onnx_name);
    match ty {
        Type::Unknown => "undefined".into(),
        Type::Tensor(t) => format!("tensor({})", tensor(t.dtype)),
        Type::Sparse(t) => format!("sparse_tensor({})", tensor(t.dtype)),
        Type::Sequence(inner) => format!("seq({})", type_name(inner)),
        Type::Optional(inner) => format!("optional({})", type_name(inner)),
        Type::Map(key, inner) => format!("map({},{})", dtypes::onnx_name(*key), type_name(inner)),
        Type::Opaque(domain, name) => format!("opaque({domain},{name})"),
    }
}

/// A shape as ONNX Runtime lists it: numbers, names of free dimensions, and `None` where nothing is known. What is no tensor
/// has none.
pub(crate) fn shape<'py>(py: Python<'py>, ty: &Type) -> PyResult<Bound<'py, PyList>> {
    let out = PyList::empty(py);
    for dim in ty.shape().unwrap_or_default() {
        match dim {
            Dim::Known(n) => out.append(n)?,
            Dim::Unknown => out.append(py.None())?,
            Dim::Expr(_) => out.append(dim.to_string())?,
        }
    }
    Ok(out)
}

/// A tensor's shape and type in words.
pub(crate) fn describe(t: &Tensor) -> String {
    let dims = t.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{}[{dims}]", dtypes::array_name(t.dtype()))
}
