//! Named weights without a graph.

use modelsmith_base::DType;
use modelsmith_tensor::WeightExpr;
use std::sync::Arc;

/// Named weights in the order of the file, and what the file says about itself.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Name and weight of each tensor. Tied tensors share an `Arc`, or are views of one storage.
    pub tensors: Vec<(String, Arc<WeightExpr>)>,
    /// Metadata, in file order.
    pub meta: Vec<(String, MetaValue)>,
    /// How the tensors were nested, for formats that nest; [`Tree::Tensor`] counts in `tensors`.
    pub tree: Option<Tree>,
}

/// A value of metadata, with the type that the file gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum MetaValue {
    /// Nothing.
    None,
    /// True or false.
    Bool(bool),
    /// An integer of an integer type.
    Int {
        /// Its type.
        dtype: DType,
        /// Its value.
        value: i128,
    },
    /// A float of a float type.
    Float {
        /// Its type.
        dtype: DType,
        /// Its value.
        value: f64,
    },
    /// Text.
    Text(String),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
    /// Values; where the format gives them one type, `of` has it even when there are none.
    List {
        /// Their type.
        of: Option<MetaKind>,
        /// The values.
        items: Vec<MetaValue>,
    },
}

/// The type of the items of a [`MetaValue::List`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKind {
    /// True or false.
    Bool,
    /// Integers or floats.
    Number(DType),
    /// Text.
    Text,
    /// Lists.
    List,
}

/// The nesting of a checkpoint that was pickled, as data.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A tensor, by its number in [`Checkpoint::tensors`].
    Tensor(usize),
    /// Anything plain.
    Value(MetaValue),
    /// A list.
    List(Vec<Tree>),
    /// A tuple.
    Tuple(Vec<Tree>),
    /// A dictionary, keys and values in order.
    Dict(Vec<(Tree, Tree)>),
    /// An object of a class that is known by name only.
    Object {
        /// Module and name, joined by a dot.
        class: String,
        /// Arguments of its construction.
        args: Vec<Tree>,
        /// Its state.
        state: Option<Box<Tree>>,
    },
}

impl Checkpoint {
    /// The tensor of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<WeightExpr>> {
        self.tensors.iter().find(|(n, _)| n == name).map(|(_, w)| w)
    }

    /// The metadata under that key.
    pub fn meta(&self, key: &str) -> Option<&MetaValue> {
        self.meta.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }
}

impl MetaValue {
    /// Text of any value, as listings show it. Lists are written whole.
    pub fn text(&self) -> String {
        match self {
            MetaValue::None => "none".into(),
            MetaValue::Bool(b) => b.to_string(),
            MetaValue::Int { value, .. } => value.to_string(),
            MetaValue::Float { value, .. } => value.to_string(),
            MetaValue::Text(text) => text.clone(),
            MetaValue::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
            MetaValue::List { items, .. } => {
                format!("[{}]", items.iter().map(MetaValue::text).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl From<&str> for MetaValue {
    fn from(text: &str) -> MetaValue {
        MetaValue::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_a_text() {
        let int = |value| MetaValue::Int { dtype: DType::U32, value };
        let list = MetaValue::List { of: Some(MetaKind::Number(DType::U32)), items: vec![int(1), int(2)] };
        assert_eq!(list.text(), "[1, 2]");
        assert_eq!(MetaValue::Bytes(vec![0, 255]).text(), "00ff");
        assert_eq!(MetaValue::Float { dtype: DType::F32, value: 0.5 }.text(), "0.5");
    }
}
