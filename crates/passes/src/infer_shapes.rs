//! Writes inferred types to the model.

use modelsmith_rewrite::{Kind, Pass};

/// See the module.
pub static PASS: Pass = Pass {
    name: "infer-shapes",
    doc: "writes the types that follow from the operators to the values",
    kind: Kind::Must,
    run: |cx| {
        modelsmith_ops::infer::infer(cx.model);
        Ok(0)
    },
    ..Pass::BASE
};
