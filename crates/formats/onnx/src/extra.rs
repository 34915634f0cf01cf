//! What the IR does not hold: kept in its `extra` bytes as the ONNX messages that do, with everything else left out.

use crate::schema::{GraphProto, Proto, TensorProto, ValueInfoProto};
use modelsmith_wire::proto::{Limits, Message};

/// Encodes `leftover`; nothing when it is empty.
pub fn pack<'a, T: Proto<'a>>(leftover: &T) -> Vec<u8> {
    leftover.to_rope().to_vec().unwrap_or_default()
}

/// Decodes what [`pack`] made. Bytes of another origin give the empty message.
pub fn unpack<'e, T: Proto<'e>>(extra: &'e [u8]) -> T {
    let len = u64::try_from(extra.len()).unwrap_or(u64::MAX);
    T::decode(Message::new(extra, 0), &mut Limits::for_file(len)).unwrap_or_default()
}

/// What the IR does not hold of a value: of its value info, and of its initializer.
#[derive(Default)]
pub struct ValueExtra<'e> {
    /// Of its value info.
    pub info: ValueInfoProto<'e>,
    /// Of its initializer.
    pub tensor: TensorProto<'e>,
}

impl<'e> ValueExtra<'e> {
    /// Decodes the `extra` of a value.
    pub fn unpack(extra: &'e [u8]) -> ValueExtra<'e> {
        if extra.is_empty() {
            return ValueExtra::default();
        }
        let mut both: GraphProto<'e> = unpack(extra);
        ValueExtra {
            info: both.value_info.pop().unwrap_or_default(),
            tensor: both.initializer.pop().unwrap_or_default(),
        }
    }

    /// Encodes both; nothing when both are empty.
    pub fn pack(self) -> Vec<u8> {
        if self.info.to_rope().is_empty() && self.tensor.to_rope().is_empty() {
            return Vec::new();
        }
        pack(&GraphProto { value_info: vec![self.info], initializer: vec![self.tensor], ..GraphProto::default() })
    }
}

/// The key of the model's leftover fields in `Meta::extra`.
pub const MODEL_KEY: &str = "onnx.model";

/// Marks a Constant node that stands for a sparse initializer, as the documentation of its leftover.
pub const SPARSE_INITIALIZER: &str = "sparse_initializer";
