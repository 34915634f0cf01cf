//! Passes over the hub: one file each, with a literate test of the same name in `tests/ir`; rules by family in
//! [`rules`]; the sequences in [`pipelines`].
#![forbid(unsafe_code)]

pub mod aliases;
pub mod constant_defaults;
pub mod control_flow;
pub mod crop_kernels;
pub mod decompose;
pub mod fix_initializers;
pub mod fold_constants;
pub mod fuse_affine;
pub mod hoist_activations;
pub mod infer_shapes;
pub mod inline_functions;
pub mod lift_constants;
pub mod merge_duplicates;
pub mod pipelines;
pub mod remove_dead;
pub mod rules;
mod shape_vector;
pub mod simplify_identities;
pub mod simplify_reshapes;
pub mod simplify_transposes;
mod weights;

pub use pipelines::{PREPARE, SIMPLIFY, prepare, simplify};
