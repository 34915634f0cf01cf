//! Gemma 3, the part that reads and writes text: queries and keys are normed, five layers of six look at a window.

use super::decoder::{ATTENTION, FILE_TYPE, SIZES};
use super::gemma::LAYER;
use super::gemma2::NORMS;
use crate::table::Constant::{Bool, QueryScalar, Text};
use crate::table::Default::{Float, Int};
use crate::table::Kind::{Choice, F32, U32};
use crate::table::{Family, Key, Row, Via, Vocabulary, key, row};

const ROPE_TYPE: &[&str] = &["rope_scaling.rope_type", "rope_parameters.full_attention.rope_type"];

const KEYS: &[Key] = &[
    key("attention.head_count_kv", U32, &["num_key_value_heads"]).or(Int(4)),
    key("rope.scaling.type", Choice(&[("linear", "linear")]), ROPE_TYPE),
    key("rope.scaling.factor", F32, &["rope_scaling.factor", "rope_parameters.full_attention.factor"])
        .when(ROPE_TYPE, &["linear"]),
    key("rope.freq_base", F32, &["rope_theta", "rope_parameters.full_attention.rope_theta"]).or(Float(1e6)),
    key("rope.freq_base_swa", F32, &["rope_local_base_freq", "rope_parameters.sliding_attention.rope_theta"])
        .or(Float(1e4)),
    key("attention.layer_norm_rms_epsilon", F32, &["rms_norm_eps"]).or(Float(1e-6)),
    key("attention.key_length", U32, &["head_dim"]).or(Int(256)),
    key("attention.value_length", U32, &["head_dim"]).or(Int(256)),
];

const WINDOW: &[Key] = &[
    key("final_logit_softcapping", F32, &["final_logit_softcapping"]),
    key("attention.sliding_window", U32, &["sliding_window"]).or(Int(4096)),
];

const OWN: &[Row] = &[
    row("embed_tokens", "token_embd").via(Via::Vocabulary),
    row("lm_head", "output"),
    row("layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm").via(Via::AddOne),
    row("layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm").via(Via::AddOne),
];

/// Gemma 3.
pub static GEMMA3: Family = Family {
    name: "Gemma 3",
    classes: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
    model_type: "gemma3_text",
    gguf: "gemma3",
    keys: &[SIZES, KEYS, FILE_TYPE, WINDOW],
    tensors: &[OWN, LAYER, NORMS, ATTENTION],
    prefixes: &["model.", "language_model.", "model."],
    prefix: "model.",
    unused: &["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."],
    vocabulary: &[Vocabulary::SentencePiece],
    tokenizer_class: "GemmaTokenizer",
    tokenizer: &[("tokenizer.ggml.add_space_prefix", Bool(false))],
    fixed: &[("hidden_activation", Text("gelu_pytorch_tanh")), ("query_pre_attn_scalar", QueryScalar(62))],
    ..Family::BASE
};
