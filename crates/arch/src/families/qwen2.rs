//! Qwen 1.5, 2 and 2.5.

use super::decoder::{ATTENTION, FILE_TYPE, KEY_HEADS, LAYER, OUTSIDE, POOLING, RMS, ROPE_BASE, ROPE_SCALING, SIZES};
use crate::table::Constant::Text;
use crate::table::Kind::U32;
use crate::table::{Family, Key, Vocabulary, key};

const HEAD: &[Key] =
    &[key("attention.key_length", U32, &["head_dim"]), key("attention.value_length", U32, &["head_dim"])];

/// Qwen2.
pub static QWEN2: Family = Family {
    name: "Qwen2",
    classes: &["Qwen2ForCausalLM", "Qwen2Model"],
    model_type: "qwen2",
    gguf: "qwen2",
    keys: &[SIZES, KEY_HEADS, ROPE_SCALING, ROPE_BASE, RMS, HEAD, FILE_TYPE, POOLING],
    tensors: &[OUTSIDE, LAYER, ATTENTION],
    prefixes: &["model."],
    prefix: "model.",
    vocabulary: &[Vocabulary::SentencePiece, Vocabulary::Gpt2],
    fixed: &[("hidden_act", Text("silu"))],
    ..Family::BASE
};
