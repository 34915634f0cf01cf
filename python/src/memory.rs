//! Memory that both sides see: the only unsafe code of this package.
//!
//! An array that is fed stays alive and its elements stay where they are while a tensor over it lives; that nobody changes
//! them meanwhile is what NumPy asks of every library that reads an array without the interpreter's lock. A tensor that is
//! handed out belongs to the array that shows it.

use modelsmith_base::DType;
use modelsmith_tensor::{Result, Tensor};
use numpy::npyffi::{NPY_ARRAY_CARRAY, NPY_ARRAY_CARRAY_RO, NpyTypes, PY_ARRAY_API, get_type_object};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::sync::Arc;

/// Arrays of fewer bytes are copied: to hold one costs more.
const SMALL: usize = 2048;

/// The elements of an array.
struct Held {
    at: *const u8,
    len: usize,
    _array: Py<PyUntypedArray>,
}

// SAFETY: the memory is only read, and the array that keeps it is released under the interpreter's lock by `Py`.
unsafe impl Send for Held {}
// SAFETY: as above; reading from several threads needs no order.
unsafe impl Sync for Held {}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `at` and `len` are those of the elements of the array that `_array` keeps alive; NumPy refuses to resize
        // an array to which there are other references.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

/// A tensor over the elements of `array`, which is contiguous, aligned and in the machine's byte order, and whose elements
/// are those of `dtype`, which takes whole bytes. The elements stay where they are unless there are few.
///
/// # Errors
/// When the size overflows.
pub(crate) fn tensor(array: &Bound<'_, PyUntypedArray>, dtype: DType) -> Result<Tensor> {
    let (shape, width) = (array.shape(), array.dtype().itemsize());
    let len = shape.iter().product::<usize>() * width;
    if len == 0 {
        return Tensor::zeros(dtype, shape);
    }
    // SAFETY: the pointer is that of an array that is alive; `data` is its first element, since it is contiguous.
    let at = unsafe { (*array.as_array_ptr()).fields.data }.cast::<u8>().cast_const();
    let held = Held { at, len, _array: array.clone().unbind() };
    if len < SMALL {
        return Tensor::from_bytes(dtype, shape, held.as_ref());
    }
    Tensor::over(dtype, shape, Arc::new(held))
}

/// Keeps the memory of a tensor alive for the array that shows it.
#[pyclass(frozen, module = "modelsmith")]
struct Memory {
    _tensor: Tensor,
}

/// An array over the elements of `tensor`, whose type `descr` shows with as many bytes. It may be written; where others
/// share the elements they are copied.
pub(crate) fn array<'py>(
    py: Python<'py>,
    mut tensor: Tensor,
    descr: Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyAny>> {
    let at = tensor.bytes_mut().as_mut_ptr();
    show(py, tensor, at, descr, NPY_ARRAY_CARRAY)
}

/// As [`array`], for a tensor that a session lends: it has one other clone, the session's, which is neither read nor written
/// while this one lives, so that the array may be written without a copy. Where there are more clones the elements are copied.
pub(crate) fn lent<'py>(
    py: Python<'py>,
    tensor: Tensor,
    descr: Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyAny>> {
    if tensor.holders() != Some(2) {
        return array(py, tensor, descr);
    }
    let at = tensor.bytes().as_ptr().cast_mut();
    show(py, tensor, at, descr, NPY_ARRAY_CARRAY)
}

/// As [`array`], for elements that others see too: the array may not be written.
pub(crate) fn view<'py>(
    py: Python<'py>,
    tensor: Tensor,
    descr: Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyAny>> {
    let at = tensor.bytes().as_ptr().cast_mut();
    show(py, tensor, at, descr, NPY_ARRAY_CARRAY_RO)
}

/// An array over the elements of `tensor`, which begin `at`; `flags` allow to write them only where nobody else has them.
fn show<'py>(
    py: Python<'py>,
    tensor: Tensor,
    at: *mut u8,
    descr: Bound<'py, PyArrayDescr>,
    flags: std::ffi::c_int,
) -> PyResult<Bound<'py, PyAny>> {
    let mut dims = tensor.shape().iter().map(|&d| d as isize).collect::<Vec<_>>();
    let rank = dims.len() as std::ffi::c_int;
    let memory = Bound::new(py, Memory { _tensor: tensor })?;
    // SAFETY: `at` has the elements of `dims` in row-major order, aligned to 8 bytes, for as long as `memory` lives, which
    // the array holds from here on. It may write only what nobody else uses: see `array`, `lent` and `view`.
    // `PyArray_NewFromDescr` takes over one reference to the descriptor, `PyArray_SetBaseObject` one to the base.
    unsafe {
        let made = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            descr.into_dtype_ptr(),
            rank,
            dims.as_mut_ptr(),
            std::ptr::null_mut(),
            at.cast(),
            flags,
            std::ptr::null_mut(),
        );
        let made = Bound::from_owned_ptr_or_err(py, made)?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, made.as_ptr().cast(), memory.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(made)
    }
}
