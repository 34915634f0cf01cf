//! GPT-2: matrices are stored by input, so they are transposed.

use super::decoder::FILE_TYPE;
use crate::table::Constant::Text;
use crate::table::Default::{Float, FourTimesWidth, Int};
use crate::table::Kind::{F32, U32};
use crate::table::Via::Transpose;
use crate::table::{Family, Key, Row, Vocabulary, drop, key, row};

const KEYS: &[Key] = &[
    key("block_count", U32, &["n_layer"]).or(Int(12)),
    key("context_length", U32, &["n_positions", "n_ctx"]).or(Int(1024)),
    key("embedding_length", U32, &["n_embd"]).or(Int(768)),
    key("feed_forward_length", U32, &[]).or(FourTimesWidth),
    key("attention.head_count", U32, &["n_head"]).or(Int(12)),
    key("attention.layer_norm_epsilon", F32, &["layer_norm_epsilon"]).or(Float(1e-5)),
];

const TENSORS: &[Row] = &[
    row("wte", "token_embd"),
    row("wpe", "position_embd").f32(),
    row("ln_f", "output_norm"),
    row("lm_head", "output"),
    row("h.{}.ln_1", "blk.{}.attn_norm"),
    row("h.{}.attn.c_attn", "blk.{}.attn_qkv").via(Transpose),
    row("h.{}.attn.c_proj", "blk.{}.attn_output").via(Transpose),
    row("h.{}.ln_2", "blk.{}.ffn_norm"),
    row("h.{}.mlp.c_fc", "blk.{}.ffn_up").via(Transpose),
    row("h.{}.mlp.c_proj", "blk.{}.ffn_down").via(Transpose),
    drop("h.{}.attn"),
    drop("h.{}.attn.masked_bias"),
];

/// GPT-2.
pub static GPT2: Family = Family {
    name: "GPT-2",
    classes: &["GPT2LMHeadModel"],
    model_type: "gpt2",
    gguf: "gpt2",
    keys: &[KEYS, FILE_TYPE],
    tensors: &[TENSORS],
    prefixes: &["transformer."],
    prefix: "transformer.",
    vocabulary: &[Vocabulary::Gpt2],
    fixed: &[("activation_function", Text("gelu_new"))],
    ..Family::BASE
};
