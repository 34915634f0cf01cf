//! The one place that knows all formats: finds the format of a file, reads it, takes it to the hub and writes it
//! back at an opset.
#![forbid(unsafe_code)]

pub mod checkpoint;
mod export;
mod import;

pub use export::{Export, declare_results, result_types, target_opsets, write};
pub use import::{FORMATS, Imported, Opened, open, open_any, salvage, to_hub};
pub use modelsmith_format::{Error, FormatDef, Input, Kind, Result, SideData};
pub use modelsmith_format_onnx::{Definitions, NOTATIONS, define};
