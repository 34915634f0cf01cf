//! Operators of the family `nn`.
// Written by `cargo xtask gen`; do not edit.

pub mod average_pool;
pub mod celu;
pub mod conv;
pub mod convolution;
pub mod elu;
pub mod gelu;
pub mod global_average_pool;
pub mod global_lp_pool;
pub mod global_max_pool;
pub mod hard_sigmoid;
pub mod hard_swish;
pub mod hardmax;
pub mod lanes;
pub mod leaky_relu;
pub mod log_softmax;
pub mod lp_pool;
pub mod max_pool;
pub mod mish;
pub mod pooling;
pub mod prelu;
pub mod relu;
pub mod selu;
pub mod shrink;
pub mod sigmoid;
pub mod softmax;
pub mod softplus;
pub mod softsign;
pub mod swish;
pub mod thresholded_relu;
pub mod window;
