//! The Python package `modelsmith`, as far as it is native: a thin shell over the library. What users call is in
//! `package/modelsmith`; this module has what they do not see.

mod array;
mod checkpoint;
mod command;
mod compare;
mod dtypes;
mod error;
mod memory;
mod model;
mod session;
mod value;

use pyo3::prelude::*;

/// Room for graphs that nest deeply, as the program has it.
const STACK: usize = 256 << 20;

/// Runs `work` on a large stack without the interpreter's lock, so that other threads go on.
pub(crate) fn apart<T: Send>(py: Python<'_>, work: impl FnOnce() -> modelsmith::Result<T> + Send) -> PyResult<T> {
    let done = py.detach(|| {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("modelsmith".into()).stack_size(STACK);
            let lost = |what: &str| modelsmith::Error::new(modelsmith::Kind::Fault, what.to_owned());
            let spawned = thread.spawn_scoped(scope, work);
            let spawned = spawned.map_err(|e| lost(&format!("no thread could be started: {e}")))?;
            spawned.join().unwrap_or_else(|panic| Err(lost(&format!("this program has a fault: {}", said(&*panic)))))
        })
    });
    done.map_err(|e| error::raise(py, &e))
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it gave no reason".into())
}

/// The native part of the package `modelsmith`.
#[pymodule]
fn _modelsmith(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<model::Model>()?;
    m.add_class::<session::Session>()?;
    m.add_class::<checkpoint::Checkpoint>()?;
    m.add_function(wrap_pyfunction!(command::command, m)?)?;
    m.add_function(wrap_pyfunction!(command::call, m)?)?;
    m.add_function(wrap_pyfunction!(compare::compare, m)?)?;
    m.add_function(wrap_pyfunction!(checkpoint::save_tensors, m)?)?;
    Ok(())
}
