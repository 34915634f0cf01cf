//! The families, one file each, and what several of them share.
// Written by `cargo xtask gen`; do not edit.

mod bert;
mod decoder;
mod gemma;
mod gemma2;
mod gemma3;
mod gpt2;
mod llama;
mod mistral;
mod phi3;
mod qwen2;
mod qwen3;

use crate::table::Family;

/// Every family that is known. Of two with one GGUF name the first is written on the way back.
pub static FAMILIES: &[&Family] = &[
    &bert::BERT,
    &gemma::GEMMA,
    &gemma2::GEMMA2,
    &gemma3::GEMMA3,
    &gpt2::GPT2,
    &llama::LLAMA,
    &mistral::MISTRAL,
    &phi3::PHI3,
    &qwen2::QWEN2,
    &qwen3::QWEN3,
];
