//! The header: JSON read without building a tree, so that memory stays near that of the text.

use super::LARGEST_HEADER;
use crate::range;
use modelsmith_base::Budget;
use modelsmith_format::{Error, Result};
use modelsmith_tensor::Source;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

/// A JSON object as pairs in file order. A key that occurs twice is an error.
pub(super) struct Pairs<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Pairs<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Pairs<T>, M::Error> {
                let mut out = Vec::new();
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("`{key}` occurs twice")));
                    }
                    out.push((key, map.next_value()?));
                }
                Ok(Pairs(out))
            }
        }
        from.deserialize_map(Object(PhantomData))
    }
}

/// What the header says of one tensor.
#[derive(serde::Deserialize)]
pub(super) struct Info {
    pub dtype: String,
    pub shape: Vec<u64>,
    pub data_offsets: [u64; 2],
}

/// Everything that the header says.
pub(super) struct Header {
    /// Tensors in header order.
    pub tensors: Vec<(String, Info)>,
    pub meta: Vec<(String, String)>,
    /// Offset of the first payload byte in the file.
    pub start: u64,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Header, M::Error> {
                let mut out = Header { tensors: Vec::new(), meta: Vec::new(), start: 0 };
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("`{key}` occurs twice")));
                    }
                    match key.as_str() {
                        "__metadata__" => {
                            out.meta = map.next_value::<Option<Pairs<String>>>()?.map(|p| p.0).unwrap_or_default();
                        }
                        _ => out.tensors.push((key, map.next_value()?)),
                    }
                }
                Ok(out)
            }
        }
        from.deserialize_map(Top)
    }
}

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// When it is longer than the file or the format allows, or is not the JSON that it should be.
    pub(super) fn read(source: &dyn Source, budget: &Budget) -> Result<Header> {
        let damaged = |message: String, at: u64| Error::damaged(message).at_offset(at).in_file(source.name());
        let length = range::bytes(source, 0, 8.min(source.len()), budget)?;
        let length = length.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
        let length = length.ok_or_else(|| damaged(format!("8 bytes are wanted, {} are left", source.len()), 0))?;
        if length > LARGEST_HEADER {
            return Err(damaged(format!("a header of {length} bytes, at most {LARGEST_HEADER} are allowed"), 0));
        }
        let text = range::bytes(source, 8, length, budget)?;
        if text.first() != Some(&b'{') {
            return Err(damaged("the header does not start with `{`".into(), 8));
        }
        let mut header: Header = parse(&text, 8).map_err(|e| e.in_file(source.name()))?;
        header.start = length.saturating_add(8);
        Ok(header)
    }
}

/// Parses JSON text that begins at `base` of its file.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], base: u64) -> Result<T> {
    serde_json::from_slice(text).map_err(|e| {
        let lines = text.split_inclusive(|&b| b == b'\n').take(e.line().saturating_sub(1));
        let before = lines.map(<[u8]>::len).fold(0, usize::saturating_add);
        let at = range::wide(before.saturating_add(e.column().saturating_sub(1)));
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Error::damaged(format!("the JSON is damaged: {message}")).at_offset(base.saturating_add(at))
    })
}
