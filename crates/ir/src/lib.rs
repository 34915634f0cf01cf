//! The graph IR: plain data with typed ids, symbolic dimensions, one static record per operator.
//!
//! A [`Model`] owns arenas of nodes, values and regions. A [`Node`] names its operator by [`Op`]: known at the hub
//! opset, a call of a model-local function, or foreign. This crate knows no format and no kernel.
#![forbid(unsafe_code)]

mod attr;
mod bounds;
mod builder;
mod dim;
mod edit;
mod error;
mod hash;
mod infer;
mod model;
mod opdef;
mod opset;
mod range;
mod run;
mod samples;
pub mod text;
mod types;
mod verify;

pub use attr::{Attr, AttrKind, AttrView, Attrs, code_of_dtype, dtype_of_code};
pub use bounds::Bounds;
pub use builder::Builder;
pub use dim::{Atom, Dim, Expr};
pub use edit::{Edit, Use};
pub use error::{OpError, OpResult};
pub use hash::{Digest, hash_model, hash_node, hash_weight, same_attrs, same_node, same_weight};
pub use infer::{Fact, InferCx, InferRegion, NoRegions, SymTensor, fact_of, infer_node};
pub use model::{
    Def, Function, FunctionId, Meta, Model, Node, NodeId, Op, OpSetImport, Origin, Region, RegionId, Stage, Value,
    ValueId,
};
pub use opdef::{Adapt, AttrDef, Default, Flags, OpDef, Param, ParamKind, Past, Schema, TypeSet, TypeVar, types_of};
pub use opset::{AdaptCx, OpSet};
pub use range::{DIM_RANGE, dim_range};
pub use run::{EvalCx, RunRegion};
pub use samples::{Case, Sample, Samples};
pub use types::{TensorType, Type};
pub use verify::{verify, verify_at, verify_node};

/// The ONNX opset at which known operators have their meaning.
pub const HUB_OPSET: u32 = 28;
