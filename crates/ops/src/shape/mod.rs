//! Operators of the family `shape`.
// Written by `cargo xtask gen`; do not edit.

pub mod concat;
pub mod constant;
pub mod constant_of_shape;
pub mod expand;
pub mod flatten;
pub mod gather;
pub mod gather_elements;
pub mod identity;
pub mod pad;
pub mod range;
pub mod reshape;
pub mod shape;
pub mod size;
pub mod slice;
pub mod split;
pub mod squeeze;
pub mod tile;
pub mod transpose;
pub mod unsqueeze;
pub mod where_;
