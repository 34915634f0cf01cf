//! Operators of the family `microsoft`.
// Written by `cargo xtask gen`; do not edit.

pub mod attending;
pub mod attention;
pub mod bias_gelu;
pub mod composite;
pub mod dynamic_quantize_mat_mul;
pub mod embed_layer_normalization;
pub mod fast_gelu;
pub mod fused;
pub mod fused_conv;
pub mod fused_gemm;
pub mod fused_mat_mul;
pub mod gelu;
pub mod mat_mul_integer_to_float;
pub mod mat_mul_n_bits;
pub mod multi_head_attention;
pub mod q_attention;
pub mod q_linear_add;
pub mod q_linear_average_pool;
pub mod q_linear_concat;
pub mod q_linear_global_average_pool;
pub mod q_linear_leaky_relu;
pub mod q_linear_mul;
pub mod q_linear_sigmoid;
pub mod q_linear_softmax;
pub mod quantized;
pub mod quick_gelu;
pub mod rotary_embedding;
pub mod skip_layer_normalization;
pub mod skip_simplified_layer_normalization;
