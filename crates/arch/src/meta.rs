//! Metadata in order: a key that is set again keeps its place.

use modelsmith_base::DType;
use modelsmith_format::{MetaKind, MetaValue};

/// Metadata in the order in which they were set first.
#[derive(Default)]
pub(crate) struct Meta(Vec<(String, MetaValue)>);

impl Meta {
    /// Sets a value.
    pub(crate) fn set(&mut self, key: impl Into<String>, value: MetaValue) {
        let key = key.into();
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some(found) => found.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Sets a text.
    pub(crate) fn text(&mut self, key: impl Into<String>, text: &str) {
        self.set(key, MetaValue::Text(text.to_owned()));
    }

    /// Sets a `u32`.
    pub(crate) fn u32(&mut self, key: impl Into<String>, value: i64) {
        self.set(key, MetaValue::Int { dtype: DType::U32, value: i128::from(value) });
    }

    /// Sets an `i32`.
    pub(crate) fn i32(&mut self, key: impl Into<String>, value: i64) {
        self.set(key, MetaValue::Int { dtype: DType::I32, value: i128::from(value) });
    }

    /// Sets an `f32`.
    pub(crate) fn f32(&mut self, key: impl Into<String>, value: f64) {
        self.set(key, MetaValue::Float { dtype: DType::F32, value });
    }

    /// Sets a truth value.
    pub(crate) fn bool(&mut self, key: impl Into<String>, value: bool) {
        self.set(key, MetaValue::Bool(value));
    }

    /// Sets a list of texts.
    pub(crate) fn texts(&mut self, key: impl Into<String>, items: Vec<String>) {
        let items = items.into_iter().map(MetaValue::Text).collect();
        self.set(key, MetaValue::List { of: Some(MetaKind::Text), items });
    }

    /// Sets a list of `i32`.
    pub(crate) fn ints(&mut self, key: impl Into<String>, items: impl Iterator<Item = i32>) {
        let dtype = DType::I32;
        let items = items.map(|n| MetaValue::Int { dtype, value: i128::from(n) }).collect();
        self.set(key, MetaValue::List { of: Some(MetaKind::Number(dtype)), items });
    }

    /// Sets a list of `f32`.
    pub(crate) fn floats(&mut self, key: impl Into<String>, items: impl Iterator<Item = f32>) {
        let dtype = DType::F32;
        let items = items.map(|x| MetaValue::Float { dtype, value: f64::from(x) }).collect();
        self.set(key, MetaValue::List { of: Some(MetaKind::Number(dtype)), items });
    }

    /// The metadata.
    pub(crate) fn into_inner(self) -> Vec<(String, MetaValue)> {
        self.0
    }
}
