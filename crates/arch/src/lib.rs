//! Architectures as data: what Hugging Face and GGUF call the same tensors, hyperparameters and tokens.
//!
//! A family of models is one static record ([`Family`]) in a file of its own under `families/`. One driver reads the
//! records in both directions: [`to_gguf`] makes the checkpoint of a folder one that llama.cpp loads, [`to_folder`]
//! makes a GGUF file the content of a folder that transformers loads. Tensors stay lazy expressions; nothing is
//! computed here.
//!
//! Metadata come in the order in which llama.cpp's own converter writes them, so that files can be compared byte by
//! byte.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::panic,
        clippy::unreachable
    )
)]

mod card;
mod config;
mod expr;
mod families;
mod general;
mod meta;
mod names;
mod rope;
mod rows;
mod table;
mod to_folder;
mod to_gguf;
mod tokenizer;

pub use config::{Files, Json, json};
pub use families::FAMILIES;
pub use table::{Family, Key, Row, Via};
pub use to_folder::{Made, to_folder};
pub use to_gguf::{Float, to_gguf};

use modelsmith_format::{Checkpoint, MetaValue};

/// The family of a model by its `config.json`: by the class that it names, else by its `model_type`.
pub fn of_config(config: &Json) -> Option<&'static Family> {
    let class = class_of(config);
    let by_class = FAMILIES.iter().find(|f| class.is_some_and(|c| f.classes.contains(&c)));
    let model_type = config.get("model_type").and_then(Json::as_str);
    let by_type = || FAMILIES.iter().find(|f| class.is_none() && model_type == Some(f.model_type));
    by_class.or_else(by_type).copied()
}

/// The class that a `config.json` names first.
pub fn class_of(config: &Json) -> Option<&str> {
    config.get("architectures")?.get(0)?.as_str()
}

/// The family of a GGUF file by its metadata.
pub fn of_gguf(checkpoint: &Checkpoint) -> Option<&'static Family> {
    let Some(MetaValue::Text(name)) = checkpoint.meta("general.architecture") else { return None };
    FAMILIES.iter().find(|f| f.gguf == name).copied()
}
