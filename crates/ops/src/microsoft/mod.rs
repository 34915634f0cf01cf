//! Operators of the family `microsoft`.
// Written by `cargo xtask gen`; do not edit.

pub mod bias_gelu;
pub mod fast_gelu;
pub mod fused;
pub mod fused_conv;
pub mod fused_gemm;
pub mod fused_mat_mul;
pub mod gelu;
pub mod q_linear_add;
pub mod quick_gelu;
pub mod skip_layer_normalization;
