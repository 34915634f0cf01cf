//! Operators of the family `text`.
// Written by `cargo xtask gen`; do not edit.

pub mod regex_full_match;
pub mod string_concat;
pub mod string_normalizer;
pub mod string_split;
pub mod tfidf_vectorizer;
