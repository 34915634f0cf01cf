//! What every room of the house needs: element types, arenas of typed ids, a bounded byte cursor,
//! diagnostics as values, a memory budget, and how a complete file takes its name. Nothing here knows a
//! format, a graph or a kernel.
#![forbid(unsafe_code)]

mod arena;
mod budget;
mod cursor;
mod diagnostic;
mod dtype;
pub mod minifloat;
mod publish;

pub use arena::{Arena, Id};
pub use budget::{Budget, BudgetExceeded, Reservation};
pub use cursor::{Cursor, OutOfBytes, wide};
pub use diagnostic::{Diagnostic, Place, Severity};
pub use dtype::DType;
pub use half::{bf16, f16};
pub use publish::{is_stream, publish, staged};
