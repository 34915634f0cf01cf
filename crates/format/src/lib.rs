//! What every format implements: [`FormatDef`], and what readers and writers are given and return.
//!
//! A reader gets an [`Input`], never a path, and returns an [`Artifact`] with the findings made on the way. A writer
//! gets an [`Output`], whose files appear under their names only when all of them are complete.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::panic,
        clippy::unreachable
    )
)]

mod archive;
mod artifact;
mod checkpoint;
mod def;
mod emit;
mod error;
mod input;
mod layout;
mod output;
pub mod recipes;
pub mod source;

pub use archive::{Archive, Content};
pub use artifact::Artifact;
pub use checkpoint::{Checkpoint, MetaKind, MetaValue, Tree};
pub use def::{FormatDef, Imported, Match, Probe, ReadOptions, SideData, WriteOptions, Written, detect};
pub use emit::Emitted;
pub use error::{Error, Kind};
pub use input::{Input, Siblings};
pub use layout::{Layout, Piece};
pub use output::Output;

/// What this crate and the formats return.
pub type Result<T> = std::result::Result<T, Error>;
