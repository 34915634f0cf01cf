//! Arrays of NumPy and tensors.

use crate::error::raise_from;
use crate::{dtypes, memory};
use modelsmith_base::DType;
use modelsmith_tensor::Tensor;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

/// `object` as an array: itself where it is one, by DLPack where it gives its memory so, else what `numpy.asarray` makes
/// of it. A list has no element type of its own and takes `wanted`.
fn as_array<'py>(object: &Bound<'py, PyAny>, wanted: Option<DType>) -> PyResult<Bound<'py, PyUntypedArray>> {
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    let py = object.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    let made = if object.hasattr(intern!(py, "__dlpack__"))? {
        numpy.call_method1(intern!(py, "from_dlpack"), (object,))?
    } else {
        match wanted.filter(|_| is_plain(object)) {
            Some(dtype) => numpy.call_method1(intern!(py, "asarray"), (object, dtypes::descr(py, dtype)?))?,
            None => numpy.call_method1(intern!(py, "asarray"), (object,))?,
        }
    };
    made.cast_into::<PyUntypedArray>().map_err(|e| PyTypeError::new_err(e.to_string()))
}

/// Whether `object` is a number, a text or a list of such.
fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || object.is_instance_of::<PyString>()
}

/// The tensor of `object`, which shares the memory of an array that is contiguous. Of what has no element type of its own
/// it has `wanted`.
pub(crate) fn to_tensor(object: &Bound<'_, PyAny>, wanted: Option<DType>) -> PyResult<Tensor> {
    let py = object.py();
    let array = as_array(object, wanted)?;
    let descr = array.dtype();
    let Some(dtype) = dtypes::of_descr(&descr) else {
        return Err(PyTypeError::new_err(format!(
            "an array of {descr} is no tensor: no element type of models is like it"
        )));
    };
    if dtype == DType::String {
        return strings(&array);
    }
    let fits = array.is_c_contiguous() && array.is_aligned() && descr.is_native_byteorder() != Some(false);
    let array = match fits {
        true => array,
        false => {
            let options = pyo3::types::PyDict::new(py);
            options.set_item("dtype", descr.call_method1("newbyteorder", ("=",))?)?;
            options.set_item("requirements", ["C", "A"])?;
            let made = py.import(intern!(py, "numpy"))?.call_method("require", (array,), Some(&options))?;
            made.cast_into::<PyUntypedArray>().map_err(|e| PyTypeError::new_err(e.to_string()))?
        }
    };
    if dtype.bits() < 8 {
        let bytes = memory::tensor(&array, DType::U8).map_err(|e| raise_from(py, e))?;
        return packed(&bytes, dtype).map_err(|e| raise_from(py, e));
    }
    memory::tensor(&array, dtype).map_err(|e| raise_from(py, e))
}

/// Elements of fewer than 8 bits, one to a byte in the arrays of `ml_dtypes`, several to a byte in tensors.
fn packed(bytes: &Tensor, dtype: DType) -> modelsmith_tensor::Result<Tensor> {
    let mut out = Tensor::zeros(dtype, bytes.shape())?;
    let bits = dtype.bits();
    let (per, mask) = (8 / bits, (1u8 << bits) - 1);
    let to = out.bytes_mut();
    for (i, b) in bytes.bytes().iter().enumerate() {
        to[i / per] |= (b & mask) << (bits * (i % per));
    }
    Ok(out)
}

/// The opposite of [`packed`]: the bits of an element are the lowest of its byte, as `ml_dtypes` has them.
fn unpacked(tensor: &Tensor) -> modelsmith_tensor::Result<Tensor> {
    let mut out = Tensor::zeros(DType::U8, tensor.shape())?;
    let bits = tensor.dtype().bits();
    let (per, mask) = (8 / bits, (1u8 << bits) - 1);
    let from = tensor.bytes();
    for (i, b) in out.bytes_mut().iter_mut().enumerate() {
        *b = (from[i / per] >> (bits * (i % per))) & mask;
    }
    Ok(out)
}

fn strings(array: &Bound<'_, PyUntypedArray>) -> PyResult<Tensor> {
    let py = array.py();
    let flat = array.call_method0("ravel")?.call_method0("tolist")?;
    let flat = flat.cast::<PyList>().map_err(|e| PyTypeError::new_err(e.to_string()))?;
    let mut values = Vec::with_capacity(flat.len());
    for item in flat {
        values.push(if let Ok(text) = item.cast::<PyString>() {
            text.to_string_lossy().into_owned()
        } else if let Ok(bytes) = item.cast::<PyBytes>() {
            String::from_utf8_lossy(bytes.as_bytes()).into_owned()
        } else {
            let found = item.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "an array of objects is a tensor of strings; it holds a {found}"
            )));
        });
    }
    Tensor::from_strings(array.shape(), values).map_err(|e| raise_from(py, e))
}

/// The array of `tensor`, over the same memory where elements take whole bytes.
pub(crate) fn to_array(py: Python<'_>, tensor: Tensor) -> PyResult<Bound<'_, PyAny>> {
    let descr = dtypes::descr(py, tensor.dtype())?;
    if let Ok(values) = tensor.strings() {
        let numpy = py.import(intern!(py, "numpy"))?;
        let array = numpy.call_method1(intern!(py, "empty"), (values.len(), descr))?;
        for (i, v) in values.iter().enumerate() {
            array.set_item(i, v)?;
        }
        return array.call_method1(intern!(py, "reshape"), (tensor.shape().to_vec(),));
    }
    match tensor.dtype().bits() < 8 {
        true => memory::array(py, unpacked(&tensor).map_err(|e| raise_from(py, e))?, descr),
        false => memory::array(py, tensor, descr),
    }
}

/// As [`to_array`], for a tensor that a session lends: see [`memory::lent`].
pub(crate) fn lent_array(py: Python<'_>, tensor: Tensor) -> PyResult<Bound<'_, PyAny>> {
    match tensor.dtype() {
        d if d == DType::String || d.bits() < 8 => to_array(py, tensor),
        d => memory::lent(py, tensor, dtypes::descr(py, d)?),
    }
}

/// As [`to_array`]; the array shows memory that others see too, and may not be written.
pub(crate) fn to_view(py: Python<'_>, tensor: Tensor) -> PyResult<Bound<'_, PyAny>> {
    match tensor.dtype() {
        DType::String => to_array(py, tensor),
        d if d.bits() < 8 => to_array(py, tensor),
        d => memory::view(py, tensor, dtypes::descr(py, d)?),
    }
}

/// As [`to_array`] or, unless it may be written, [`to_view`]; elements of a type that NumPy does not have come as unsigned
/// integers of their width.
pub(crate) fn to_raw(py: Python<'_>, tensor: Tensor, own: bool) -> PyResult<Bound<'_, PyAny>> {
    let descr = match tensor.dtype() {
        d if dtypes::is_own(d) => return if own { to_array(py, tensor) } else { to_view(py, tensor) },
        d if d.bits() == 16 => dtypes::descr(py, DType::U16)?,
        d if d.bits() == 8 => dtypes::descr(py, DType::U8)?,
        _ => return to_array(py, tensor),
    };
    if own { memory::array(py, tensor, descr) } else { memory::view(py, tensor, descr) }
}

/// The tensor of type `dtype` whose bits are the elements of `object`, unsigned integers as wide.
pub(crate) fn of_bits(object: &Bound<'_, PyAny>, dtype: &str) -> PyResult<Tensor> {
    let array = as_array(object, None)?;
    let width = array.dtype().itemsize() * 8;
    let found = dtypes::by_name(dtype).filter(|d| d.bits() == width && array.is_c_contiguous());
    let Some(dtype) = found else {
        return Err(PyTypeError::new_err(format!(
            "the bits of {dtype} are not a contiguous array of {}",
            array.dtype()
        )));
    };
    memory::tensor(&array, dtype).map_err(|e| raise_from(object.py(), e))
}
