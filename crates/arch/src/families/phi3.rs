//! Phi-3 and Phi-4: queries, keys and values in one matrix, gate and up in another, as llama.cpp keeps them.

use super::decoder::{FILE_TYPE, OUTSIDE};
use crate::table::Constant::Text;
use crate::table::Default::{Float, Heads, Int, RotaryDim};
use crate::table::Kind::{F32, U32};
use crate::table::{Computed, Family, Key, Row, Vocabulary, drop, key, row};

const KEYS: &[Key] = &[
    key("context_length", U32, &["max_position_embeddings"]),
    key(
        "rope.scaling.original_context_length",
        U32,
        &["original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"],
    )
    .or(Int(4096)),
    key("embedding_length", U32, &["hidden_size"]),
    key("feed_forward_length", U32, &["intermediate_size"]),
    key("block_count", U32, &["num_hidden_layers"]),
    key("attention.head_count", U32, &["num_attention_heads"]),
    key("attention.head_count_kv", U32, &["num_key_value_heads"]).or(Heads),
    key("attention.layer_norm_rms_epsilon", F32, &["rms_norm_eps"]).or(Float(1e-5)),
    key("rope.dimension_count", U32, &[]).or(RotaryDim),
    key("rope.freq_base", F32, &["rope_theta", "rope_parameters.rope_theta"]).or(Float(1e4)),
];

/// No window is 0 to llama.cpp, which tells Phi-4 by it.
const WINDOW: &[Key] = &[key("attention.sliding_window", U32, &["sliding_window"]).or(Int(0))];

const LAYER: &[Row] = &[
    row("layers.{}.input_layernorm", "blk.{}.attn_norm"),
    row("layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
    row("layers.{}.self_attn.qkv_proj", "blk.{}.attn_qkv"),
    row("layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
    row("layers.{}.mlp.gate_up_proj", "blk.{}.ffn_up"),
    row("layers.{}.mlp.down_proj", "blk.{}.ffn_down"),
    drop("layers.{}.self_attn.rotary_emb.inv_freq"),
];

/// Phi-3.
pub static PHI3: Family = Family {
    name: "Phi-3",
    classes: &["Phi3ForCausalLM"],
    model_type: "phi3",
    gguf: "phi3",
    keys: &[KEYS, FILE_TYPE, WINDOW],
    tensors: &[OUTSIDE, LAYER],
    prefixes: &["model."],
    prefix: "model.",
    vocabulary: &[Vocabulary::SentencePieceAdded, Vocabulary::Gpt2],
    computed: Computed::LongRope,
    fixed: &[("hidden_act", Text("silu"))],
    ..Family::BASE
};
