//! Element types: what NumPy, `ml_dtypes` and ONNX Runtime call them.

use modelsmith_base::DType;
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// How an element type is called elsewhere.
struct Names {
    dtype: DType,
    /// The attribute of `numpy`, or of `ml_dtypes` where NumPy has no such type.
    array: &'static str,
    /// The type in the signatures of ONNX Runtime: `tensor(float)`.
    onnx: &'static str,
    own: bool,
}

const fn of_numpy(dtype: DType, array: &'static str, onnx: &'static str) -> Names {
    Names { dtype, array, onnx, own: true }
}

const fn of_ml_dtypes(dtype: DType, array: &'static str, onnx: &'static str) -> Names {
    Names { dtype, array, onnx, own: false }
}

const TABLE: [Names; 26] = [
    of_numpy(DType::F32, "float32", "float"),
    of_numpy(DType::F64, "float64", "double"),
    of_numpy(DType::F16, "float16", "float16"),
    of_ml_dtypes(DType::BF16, "bfloat16", "bfloat16"),
    of_ml_dtypes(DType::F8E4M3FN, "float8_e4m3fn", "float8e4m3fn"),
    of_ml_dtypes(DType::F8E4M3FNUZ, "float8_e4m3fnuz", "float8e4m3fnuz"),
    of_ml_dtypes(DType::F8E5M2, "float8_e5m2", "float8e5m2"),
    of_ml_dtypes(DType::F8E5M2FNUZ, "float8_e5m2fnuz", "float8e5m2fnuz"),
    of_ml_dtypes(DType::F8E8M0, "float8_e8m0fnu", "float8e8m0"),
    of_ml_dtypes(DType::F4E2M1, "float4_e2m1fn", "float4e2m1"),
    of_numpy(DType::I8, "int8", "int8"),
    of_numpy(DType::I16, "int16", "int16"),
    of_numpy(DType::I32, "int32", "int32"),
    of_numpy(DType::I64, "int64", "int64"),
    of_numpy(DType::U8, "uint8", "uint8"),
    of_numpy(DType::U16, "uint16", "uint16"),
    of_numpy(DType::U32, "uint32", "uint32"),
    of_numpy(DType::U64, "uint64", "uint64"),
    of_ml_dtypes(DType::I4, "int4", "int4"),
    of_ml_dtypes(DType::U4, "uint4", "uint4"),
    of_ml_dtypes(DType::I2, "int2", "int2"),
    of_ml_dtypes(DType::U2, "uint2", "uint2"),
    of_numpy(DType::Bool, "bool", "bool"),
    of_numpy(DType::String, "object", "string"),
    of_numpy(DType::Complex64, "complex64", "complex64"),
    of_numpy(DType::Complex128, "complex128", "complex128"),
];

fn names(dtype: DType) -> &'static Names {
    TABLE.iter().find(|n| n.dtype == dtype).unwrap_or(&TABLE[0])
}

/// What ONNX Runtime calls the type: `float`, `int64`.
pub(crate) fn onnx_name(dtype: DType) -> &'static str {
    names(dtype).onnx
}

/// What NumPy or `ml_dtypes` calls the type.
pub(crate) fn array_name(dtype: DType) -> &'static str {
    names(dtype).array
}

/// Whether NumPy itself has the type.
pub(crate) fn is_own(dtype: DType) -> bool {
    names(dtype).own
}

/// The type that NumPy or `ml_dtypes` calls `name`.
pub(crate) fn by_name(name: &str) -> Option<DType> {
    TABLE.iter().find(|n| n.array == name).map(|n| n.dtype)
}

/// The descriptor of NumPy for `dtype`.
///
/// # Errors
/// When only `ml_dtypes` has the type, and it is not installed.
pub(crate) fn descr(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyArrayDescr>> {
    static MADE: [PyOnceLock<Py<PyArrayDescr>>; 26] = [const { PyOnceLock::new() }; 26];
    let slot = &MADE[dtype as usize % MADE.len()];
    let made = slot.get_or_try_init(py, || {
        let n = names(dtype);
        let found = match n.own {
            true => PyArrayDescr::new(py, n.array)?,
            false => {
                let library = py.import("ml_dtypes").map_err(|_| missing(py, n))?;
                PyArrayDescr::new(py, library.getattr(n.array)?)?
            }
        };
        Ok::<_, PyErr>(found.unbind())
    })?;
    Ok(made.bind(py).clone())
}

fn missing(py: Python<'_>, n: &Names) -> PyErr {
    let e = modelsmith::Error::unsupported(format!("NumPy has no {}", n.array)).help("pip install ml_dtypes");
    crate::error::raise(py, &e)
}

/// The element type of arrays of `descr`; `None` where there is none, as for dates and records.
pub(crate) fn of_descr(descr: &Bound<'_, PyArrayDescr>) -> Option<DType> {
    Some(match (descr.kind(), descr.itemsize()) {
        (b'f', 4) => DType::F32,
        (b'f', 8) => DType::F64,
        (b'f', 2) if descr.num() < 256 => DType::F16,
        (b'i', 1) if descr.num() < 256 => DType::I8,
        (b'i', 2) => DType::I16,
        (b'i', 4) => DType::I32,
        (b'i', 8) => DType::I64,
        (b'u', 1) if descr.num() < 256 => DType::U8,
        (b'u', 2) => DType::U16,
        (b'u', 4) => DType::U32,
        (b'u', 8) => DType::U64,
        (b'b', 1) => DType::Bool,
        (b'c', 8) => DType::Complex64,
        (b'c', 16) => DType::Complex128,
        (b'O' | b'U' | b'S' | b'T', _) => DType::String,
        _ => {
            let name = descr.getattr("name").and_then(|n| n.extract::<String>()).ok()?;
            by_name(&name)?
        }
    })
}
