//! BERT as an encoder: what predicts masked words or classifies has no place in llama.cpp.

use super::decoder::{FILE_TYPE, POOLING, SIZES};
use crate::table::Constant::Text;
use crate::table::Default::{self, Float};
use crate::table::Kind::{self, F32};
use crate::table::{Family, Key, Row, Vocabulary, key, row};

const NORM: &[Key] = &[key("attention.layer_norm_epsilon", F32, &["layer_norm_eps"]).or(Float(1e-12))];

const CAUSAL: &[Key] = &[key("attention.causal", Kind::Bool, &[]).or(Default::Bool(false))];

const TENSORS: &[Row] = &[
    row("embeddings.word_embeddings", "token_embd"),
    row("embeddings.position_embeddings", "position_embd").f32(),
    row("embeddings.token_type_embeddings", "token_types").f32(),
    row("embeddings.LayerNorm", "token_embd_norm"),
    row("encoder.layer.{}.attention.self.query", "blk.{}.attn_q"),
    row("encoder.layer.{}.attention.self.key", "blk.{}.attn_k"),
    row("encoder.layer.{}.attention.self.value", "blk.{}.attn_v"),
    row("encoder.layer.{}.attention.output.dense", "blk.{}.attn_output"),
    row("encoder.layer.{}.attention.output.LayerNorm", "blk.{}.attn_output_norm"),
    row("encoder.layer.{}.intermediate.dense", "blk.{}.ffn_up"),
    row("encoder.layer.{}.output.dense", "blk.{}.ffn_down"),
    row("encoder.layer.{}.output.LayerNorm", "blk.{}.layer_output_norm"),
];

/// BERT.
pub static BERT: Family = Family {
    name: "BERT",
    classes: &["BertModel", "BertForMaskedLM"],
    model_type: "bert",
    gguf: "bert",
    keys: &[SIZES, NORM, FILE_TYPE, CAUSAL, POOLING],
    tensors: &[TENSORS],
    prefixes: &["bert."],
    unused: &["pooler.", "cls.", "embeddings.position_ids"],
    vocabulary: &[Vocabulary::WordPiece],
    fixed: &[("hidden_act", Text("gelu"))],
    ..Family::BASE
};
