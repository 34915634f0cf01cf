//! Qwen3: queries and keys are normed.

use super::decoder::{ATTENTION, FILE_TYPE, KEY_HEADS, LAYER, OUTSIDE, POOLING, RMS, ROPE_BASE, ROPE_SCALING, SIZES};
use crate::table::Constant::{IfTensor, Text};
use crate::table::Default::Int;
use crate::table::Kind::U32;
use crate::table::{Family, Key, Row, Vocabulary, key, row};

const HEAD: &[Key] = &[
    key("attention.key_length", U32, &["head_dim"]).or(Int(128)),
    key("attention.value_length", U32, &["head_dim"]).or(Int(128)),
];

const NORMS: &[Row] =
    &[row("layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm"), row("layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm")];

/// Qwen3.
pub static QWEN3: Family = Family {
    name: "Qwen3",
    classes: &["Qwen3ForCausalLM", "Qwen3Model"],
    model_type: "qwen3",
    gguf: "qwen3",
    keys: &[SIZES, KEY_HEADS, ROPE_SCALING, ROPE_BASE, RMS, HEAD, FILE_TYPE, POOLING],
    tensors: &[OUTSIDE, LAYER, ATTENTION, NORMS],
    prefixes: &["model."],
    prefix: "model.",
    vocabulary: &[Vocabulary::SentencePiece, Vocabulary::Gpt2],
    fixed: &[("hidden_act", Text("silu")), ("attention_bias", IfTensor("blk.0.attn_q.bias"))],
    ..Family::BASE
};
