//! Zip archives: read from a slice through the central directory, written with stored entries only.
//!
//! Sizes come from the central directory, because writers that stream leave them out of local headers. Zip64 is read
//! and written. Encryption and archives in several volumes are refused.

mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::{Error, Kind};
pub use read::{Archive, Entry, Method};
pub use write::Writer;
