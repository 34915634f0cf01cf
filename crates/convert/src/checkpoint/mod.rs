//! From one checkpoint to another: read, edit, write, read back.

mod edit;
mod folder;
mod imatrix;
pub(crate) mod index;
mod pattern;
mod write;

pub use edit::{Edit, merge};
pub use folder::Folder;
pub use imatrix::importance;
pub use modelsmith_arch::{of_gguf as family_of_gguf, to_folder};
pub use modelsmith_format_weights::recipe::{RECIPES, recipe, stored};
pub use pattern::Glob;
pub use regex_lite::Regex as Pattern;
pub use write::{Readback, Target, Written, crc32, write};
