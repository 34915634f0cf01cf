//! Gemma, and what its successors share with it: norms count from one, the table of tokens is the head too.

use super::decoder::{ATTENTION, FILE_TYPE};
use crate::table::Constant::{Bool, Int, Text};
use crate::table::Default::{Float, Heads};
use crate::table::Kind::{F32, U32};
use crate::table::{self, Family, Key, Row, Via, Vocabulary, drop, key, row};

/// Sizes in the order of the first two Gemmas.
pub(super) const KEYS: &[Key] = &[
    key("context_length", U32, &["max_position_embeddings"]),
    key("embedding_length", U32, &["hidden_size"]),
    key("block_count", U32, &["num_hidden_layers"]),
    key("feed_forward_length", U32, &["intermediate_size"]),
    key("attention.head_count", U32, &["num_attention_heads"]),
    key("attention.head_count_kv", U32, &["num_key_value_heads"]).or(Heads),
    key("attention.layer_norm_rms_epsilon", F32, &["rms_norm_eps"]).or(Float(1e-6)),
    key("attention.key_length", U32, &["head_dim"]).or(table::Default::Int(256)),
    key("attention.value_length", U32, &["head_dim"]).or(table::Default::Int(256)),
];

/// What every layer has but its norms.
pub(super) const LAYER: &[Row] = &[
    row("norm", "output_norm").via(Via::AddOne),
    row("layers.{}.input_layernorm", "blk.{}.attn_norm").via(Via::AddOne),
    row("layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"),
    row("layers.{}.mlp.up_proj", "blk.{}.ffn_up"),
    row("layers.{}.mlp.down_proj", "blk.{}.ffn_down"),
    drop("layers.{}.self_attn.rotary_emb.inv_freq"),
];

/// The table of tokens, which is the head too.
pub(super) const TABLE: &[Row] = &[row("embed_tokens", "token_embd"), drop("lm_head")];

const NORM: &[Row] = &[row("layers.{}.post_attention_layernorm", "blk.{}.ffn_norm").via(Via::AddOne)];

/// Gemma.
pub static GEMMA: Family = Family {
    name: "Gemma",
    classes: &["GemmaForCausalLM"],
    model_type: "gemma",
    gguf: "gemma",
    keys: &[KEYS, FILE_TYPE],
    tensors: &[TABLE, LAYER, NORM, ATTENTION],
    prefixes: &["model."],
    prefix: "model.",
    vocabulary: &[Vocabulary::SentencePiece],
    tokenizer_class: "GemmaTokenizer",
    tokenizer: &[("tokenizer.ggml.eot_token_id", Int(107)), ("tokenizer.ggml.add_space_prefix", Bool(false))],
    fixed: &[("hidden_act", Text("gelu_pytorch_tanh")), ("hidden_activation", Text("gelu_pytorch_tanh"))],
    ..Family::BASE
};
