//! What an operator's file needs.

pub use crate::elementwise;
pub use crate::legacy;
pub use crate::moves;
pub use crate::rewire;
pub use crate::shapes;
pub use crate::typesets::*;
pub use modelsmith_ir::{
    Adapt, AdaptCx, Atom, Attr, AttrDef, AttrKind, AttrView, Attrs, Builder, Dim, EvalCx, Fact, Flags, InferCx, NodeId,
    OpDef, OpError, OpResult, Param, Past, Samples, Schema, SymTensor, TensorType, Type, TypeSet, ValueId, types_of,
};
pub use modelsmith_tensor::DType::{self, *};
pub use modelsmith_tensor::{Tensor, Value, contract, index};
