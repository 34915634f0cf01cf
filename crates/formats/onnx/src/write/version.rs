//! The lowest IR version that can say what a model says.

use crate::schema::{Entry, GraphProto, ModelProto, NodeProto};
use modelsmith_base::DType;
use modelsmith_ir::{Model, Stage, Type};

/// What is known so far of the version that a model needs.
#[derive(Default)]
pub(super) struct Needs {
    least: i64,
    /// An initializer is not an input.
    pub(super) hidden_weights: bool,
}

impl Needs {
    pub(super) fn at_least(&mut self, version: i64) {
        self.least = self.least.max(version);
    }

    pub(super) fn dtype(&mut self, dtype: DType) {
        use DType::*;
        self.at_least(match dtype {
            BF16 => 4,
            F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ => 9,
            U4 | I4 => 10,
            F4E2M1 => 11,
            F8E8M0 => 12,
            U2 | I2 => 13,
            _ => 3,
        });
    }

    pub(super) fn dtype_of(&mut self, ty: &Type) {
        match ty {
            Type::Tensor(t) | Type::Sparse(t) => t.dtype.into_iter().for_each(|d| self.dtype(d)),
            Type::Sequence(t) | Type::Optional(t) | Type::Map(_, t) => self.dtype_of(t),
            Type::Unknown | Type::Opaque(..) => {}
        }
    }

    /// Metadata of anything but the model itself.
    pub(super) fn props(&mut self, props: &[Entry<'_>]) {
        if !props.is_empty() {
            self.at_least(10);
        }
    }

    pub(super) fn graph(&mut self, graph: &GraphProto<'_>) {
        if !graph.quantization_annotation.is_empty() {
            self.at_least(5);
        }
        if !graph.sparse_initializer.is_empty() {
            self.at_least(6);
        }
        self.props(&graph.metadata_props);
        graph.initializer.iter().for_each(|t| self.props(&t.metadata_props));
    }

    pub(super) fn node(&mut self, node: &NodeProto<'_>) {
        self.props(&node.metadata_props);
        if node.overload.is_some() {
            self.at_least(10);
        }
        if !node.unknown.is_empty() {
            // The fields that are not in the schema began with the device configurations.
            self.at_least(11);
        }
    }

    pub(super) fn model(&mut self, model: &Model, leftover: &ModelProto<'_>) {
        if model.functions.iter().next().is_some() {
            self.at_least(8);
        }
        for (_, f) in model.functions.iter() {
            if !f.defaults.is_empty() {
                self.at_least(9);
            }
            if !f.overload.is_empty() || !f.origin.props.is_empty() {
                self.at_least(10);
            }
        }
        if !leftover.unknown.is_empty() {
            // Training information, device configurations or later: only the version of the file is known to do.
            self.at_least(model.meta.ir_version);
        }
        let overridable = model.regions.iter().any(|(_, r)| !r.exposed.is_empty()) && model.meta.ir_version >= 4;
        if self.hidden_weights || overridable {
            self.at_least(4);
        }
        if model.stage == Stage::Foreign {
            self.at_least(model.meta.ir_version);
        }
    }

    /// The version to write.
    pub(super) fn version(&self) -> i64 {
        self.least.max(3)
    }
}
