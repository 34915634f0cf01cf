//! Llama 1 to 3, and what has its shape.

use super::decoder::{FILE_TYPE, HEAD_DIM, KEY_HEADS, LAYER, OUTSIDE, RMS, ROPE_BASE, ROPE_SCALING, SIZES, VOCABULARY};
use crate::table::Constant::{IfTensor, Text};
use crate::table::{Computed, Default, Family, Key, Kind, Row, Via, Vocabulary, key, row};

/// In the order of the file.
pub(super) const KEYS: &[&[Key]] =
    &[SIZES, KEY_HEADS, ROPE_SCALING, ROPE_BASE, RMS, HEAD_DIM, FILE_TYPE, VOCABULARY, ROTATION];

const ROTATION: &[Key] = &[key("rope.dimension_count", Kind::U32, &["head_dim"]).or(Default::HeadDim)];

/// llama.cpp rotates neighbours, Hugging Face halves.
pub(super) const ATTENTION: &[Row] = &[
    row("layers.{}.self_attn.q_proj", "blk.{}.attn_q").via(Via::QueryHeads),
    row("layers.{}.self_attn.k_proj", "blk.{}.attn_k").via(Via::KeyHeads),
    row("layers.{}.self_attn.v_proj", "blk.{}.attn_v"),
    row("layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
];

/// Llama.
pub static LLAMA: Family = Family {
    name: "Llama",
    classes: &["LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"],
    model_type: "llama",
    gguf: "llama",
    keys: KEYS,
    tensors: &[OUTSIDE, LAYER, ATTENTION],
    prefixes: &["model."],
    prefix: "model.",
    vocabulary: &[Vocabulary::SentencePiece, Vocabulary::ByteFallback, Vocabulary::Gpt2],
    computed: Computed::Llama3Rope,
    fixed: &[
        ("hidden_act", Text("silu")),
        ("attention_bias", IfTensor("blk.0.attn_q.bias")),
        ("mlp_bias", IfTensor("blk.0.ffn_up.bias")),
    ],
    ..Family::BASE
};
