//! What several families share: the hyperparameters in the order of llama.cpp's converter, and the tensors of a decoder
//! like Llama's.

use crate::table::Default::{Heads, Int};
use crate::table::Kind::{self, Choice, F32, FileType, U32};
use crate::table::{Key, Row, drop, key, row};

const ROPE_TYPE: &[&str] = &["rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type"];

/// Sizes.
pub const SIZES: &[Key] = &[
    key("block_count", U32, &["num_hidden_layers"]),
    key("context_length", U32, &["max_position_embeddings"]),
    key("embedding_length", U32, &["hidden_size"]),
    key("feed_forward_length", U32, &["intermediate_size"]),
    key("attention.head_count", U32, &["num_attention_heads"]),
];

/// Key heads.
pub const KEY_HEADS: &[Key] = &[key("attention.head_count_kv", U32, &["num_key_value_heads"]).or(Heads)];

/// How rotations are scaled for longer contexts.
pub const ROPE_SCALING: &[Key] = &[
    key(
        "rope.scaling.type",
        Choice(&[("linear", "linear"), ("yarn", "yarn"), ("longrope", "longrope"), ("su", "longrope")]),
        ROPE_TYPE,
    ),
    key("rope.scaling.factor", F32, &["rope_scaling.factor", "rope_parameters.factor"])
        .when(ROPE_TYPE, &["linear", "yarn"]),
    key(
        "rope.scaling.original_context_length",
        U32,
        &["rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"],
    )
    .when(ROPE_TYPE, &["yarn"]),
];

/// The base of rotations.
pub const ROPE_BASE: &[Key] =
    &[key("rope.freq_base", F32, &["rope_theta", "rope_parameters.rope_theta"]).or(crate::table::Default::Float(1e4))];

/// The epsilon of RMS norms.
pub const RMS: &[Key] =
    &[key("attention.layer_norm_rms_epsilon", F32, &["rms_norm_eps"]).or(crate::table::Default::Float(1e-6))];

/// The type of the file.
pub const FILE_TYPE: &[Key] = &[key("general.file_type", FileType, &[])];

/// How an embedding model pools.
pub const POOLING: &[Key] = &[key("pooling_type", Kind::Pooling, &[])];

/// Width of a head where the configuration need not say it.
pub const HEAD_DIM: &[Key] = &[
    key("attention.key_length", U32, &["head_dim"]).or(crate::table::Default::HeadDim),
    key("attention.value_length", U32, &["head_dim"]).or(crate::table::Default::HeadDim),
];

/// Size of the vocabulary.
pub const VOCABULARY: &[Key] = &[key("vocab_size", U32, &["vocab_size"]).or(Int(32_000))];

/// What is outside the layers of a decoder.
pub const OUTSIDE: &[Row] = &[row("embed_tokens", "token_embd"), row("norm", "output_norm"), row("lm_head", "output")];

/// Norms and gated feed-forward of a layer.
pub const LAYER: &[Row] = &[
    row("layers.{}.input_layernorm", "blk.{}.attn_norm"),
    row("layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
    row("layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"),
    row("layers.{}.mlp.up_proj", "blk.{}.ffn_up"),
    row("layers.{}.mlp.down_proj", "blk.{}.ffn_down"),
    drop("layers.{}.self_attn.rotary_emb.inv_freq"),
    drop("rotary_emb.inv_freq"),
];

/// Attention of a layer whose rotations take halves.
pub const ATTENTION: &[Row] = &[
    row("layers.{}.self_attn.q_proj", "blk.{}.attn_q"),
    row("layers.{}.self_attn.k_proj", "blk.{}.attn_k"),
    row("layers.{}.self_attn.v_proj", "blk.{}.attn_v"),
    row("layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
];
