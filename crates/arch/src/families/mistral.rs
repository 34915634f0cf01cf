//! Mistral: to llama.cpp a Llama.

use super::decoder::{LAYER, OUTSIDE};
use super::llama::{ATTENTION, KEYS, LLAMA};
use crate::table::Constant::Text;
use crate::table::Family;

/// Mistral.
pub static MISTRAL: Family = Family {
    name: "Mistral",
    classes: &["MistralForCausalLM", "MistralModel"],
    model_type: "mistral",
    gguf: "llama",
    keys: KEYS,
    tensors: &[OUTSIDE, LAYER, ATTENTION],
    prefixes: LLAMA.prefixes,
    prefix: LLAMA.prefix,
    vocabulary: LLAMA.vocabulary,
    computed: LLAMA.computed,
    fixed: &[("hidden_act", Text("silu"))],
    ..Family::BASE
};
