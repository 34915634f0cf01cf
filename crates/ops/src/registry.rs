//! The table of all operators.
// Written by `cargo xtask gen`; do not edit.

#[path = "math/mod.rs"]
pub mod math;
#[path = "shape/mod.rs"]
pub mod shape;

/// Every operator.
pub static ALL: &[&modelsmith_ir::OpDef] = &[
    &math::abs::ABS,
    &math::add::ADD,
    &shape::identity::IDENTITY,
    &shape::squeeze::SQUEEZE,
];
