//! Gemma 2: norms before and after, capped logits, every other layer looks at a window.

use super::decoder::{ATTENTION, FILE_TYPE};
use super::gemma::{KEYS, LAYER, TABLE};
use crate::table::Constant::{Bool, QueryScalar, Text};
use crate::table::Default::{Float, Int};
use crate::table::Kind::{F32, U32};
use crate::table::{Family, Key, Row, Via, Vocabulary, key, row};

const CAPS: &[Key] = &[
    key("attn_logit_softcapping", F32, &["attn_logit_softcapping"]).or(Float(50.0)),
    key("final_logit_softcapping", F32, &["final_logit_softcapping"]).or(Float(30.0)),
    key("attention.sliding_window", U32, &["sliding_window"]).or(Int(4096)),
];

/// Norms before and after attention and feed-forward.
pub(super) const NORMS: &[Row] = &[
    row("layers.{}.post_attention_layernorm", "blk.{}.post_attention_norm").via(Via::AddOne),
    row("layers.{}.pre_feedforward_layernorm", "blk.{}.ffn_norm").via(Via::AddOne),
    row("layers.{}.post_feedforward_layernorm", "blk.{}.post_ffw_norm").via(Via::AddOne),
];

/// Gemma 2.
pub static GEMMA2: Family = Family {
    name: "Gemma 2",
    classes: &["Gemma2ForCausalLM"],
    model_type: "gemma2",
    gguf: "gemma2",
    keys: &[KEYS, FILE_TYPE, CAPS],
    tensors: &[TABLE, LAYER, NORMS, ATTENTION],
    prefixes: &["model."],
    prefix: "model.",
    vocabulary: &[Vocabulary::SentencePiece],
    tokenizer_class: "GemmaTokenizer",
    tokenizer: &[("tokenizer.ggml.add_space_prefix", Bool(false))],
    fixed: &[("hidden_activation", Text("gelu_pytorch_tanh")), ("query_pre_attn_scalar", QueryScalar(46))],
    ..Family::BASE
};
