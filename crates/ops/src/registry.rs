//! The table of all operators.
// Written by `cargo xtask gen`; do not edit.

#[path = "math/mod.rs"]
pub mod math;
#[path = "nn/mod.rs"]
pub mod nn;
#[path = "shape/mod.rs"]
pub mod shape;

/// Every operator.
pub static ALL: &[&modelsmith_ir::OpDef] = &[
    &math::abs::ABS,
    &math::add::ADD,
    &nn::celu::CELU,
    &nn::elu::ELU,
    &nn::hard_sigmoid::HARD_SIGMOID,
    &nn::hard_swish::HARD_SWISH,
    &nn::hardmax::HARDMAX,
    &nn::leaky_relu::LEAKY_RELU,
    &nn::log_softmax::LOG_SOFTMAX,
    &nn::mish::MISH,
    &nn::prelu::PRELU,
    &nn::relu::RELU,
    &nn::selu::SELU,
    &nn::shrink::SHRINK,
    &nn::sigmoid::SIGMOID,
    &nn::softmax::SOFTMAX,
    &nn::softplus::SOFTPLUS,
    &nn::softsign::SOFTSIGN,
    &nn::swish::SWISH,
    &nn::thresholded_relu::THRESHOLDED_RELU,
    &shape::identity::IDENTITY,
    &shape::squeeze::SQUEEZE,
];
