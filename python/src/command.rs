//! The commands of the program, for its command line and for functions of the package.

use crate::apart;
use crate::error::raise;
use crate::model::json;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::sync::Arc;

/// Runs the program with these arguments, its own name first. Returns its exit code.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| modelsmith_cli::command(args))
}

/// Runs a command and returns its exit code, its document as JSON text, and its remarks; `hear` is called with what is being
/// done, and with an empty text at the end.
#[pyfunction]
#[pyo3(signature = (args, hear=None))]
pub(crate) fn call(
    py: Python<'_>,
    args: Vec<OsString>,
    hear: Option<Py<PyAny>>,
) -> PyResult<(u8, String, Vec<String>)> {
    let tell = move |text: &str| {
        if let Some(hear) = &hear {
            Python::attach(|py| {
                // Progress that cannot be shown does not stop the work.
                let _ = hear.call1(py, (text,));
            });
        }
    };
    let done = py.detach(|| modelsmith_cli::call(args, Arc::new(tell))).map_err(|e| raise(py, &e))?;
    Ok((done.code, apart(py, || json(&done.document))?, done.notes))
}
