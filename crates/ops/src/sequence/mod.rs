//! Operators of the family `sequence`.
// Written by `cargo xtask gen`; do not edit.

pub mod concat_from_sequence;
pub mod optional;
pub mod optional_get_element;
pub mod optional_has_element;
pub mod positions;
pub mod sequence_at;
pub mod sequence_construct;
pub mod sequence_empty;
pub mod sequence_erase;
pub mod sequence_insert;
pub mod sequence_length;
pub mod sequence_map;
pub mod split_to_sequence;
