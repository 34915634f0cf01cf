//! Errors of the library as the exceptions of the package.

use modelsmith::Error;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// `e` as an exception of `modelsmith.errors`: one class for each kind, with the place as attributes.
pub(crate) fn raise(py: Python<'_>, e: &Error) -> PyErr {
    let make = || -> PyResult<Bound<'_, PyAny>> {
        let place = PyDict::new(py);
        let p = e.place();
        place.set_item("file", &p.file)?;
        place.set_item("offset", p.offset)?;
        place.set_item("tensor", &p.tensor)?;
        place.set_item("node", &p.node)?;
        let arguments = (e.kind().name(), e.to_string(), e.message(), place, e.advice(), e.findings().to_vec());
        py.import("modelsmith.errors")?.getattr("_of")?.call1(arguments)
    };
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(e) => e,
    }
}

/// As [`raise`], for errors of crates below the library's.
pub(crate) fn raise_from(py: Python<'_>, e: impl Into<Error>) -> PyErr {
    raise(py, &e.into())
}
