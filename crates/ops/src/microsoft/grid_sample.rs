//! com.microsoft.GridSample: as the operator of that name, whose modes had other names.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1"), Param::one("Grid", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[
        AttrDef::int("align_corners", 0),
        AttrDef::string("mode", "bilinear"),
        AttrDef::string("padding_mode", "zeros"),
    ],
    types: &[types_of("T1", FLOATS), types_of("T2", FLOATS)],
};

/// The operator GridSample of ONNX Runtime.
pub static GRID_SAMPLE: OpDef = OpDef {
    name: "GridSample",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&GRID_SAMPLE, cx),
    eval: |cx, inputs| composite::eval(&GRID_SAMPLE, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let mode = match view.string("mode")? {
        "bilinear" => "linear",
        "bicubic" => "cubic",
        other => other,
    };
    let attrs = fused::chosen(&view, &["align_corners", "padding_mode"])?.with("mode", mode);
    let (x, grid) = (b.input(node, 0)?, b.input(node, 1)?);
    Ok(vec![b.op_with("GridSample", &[x, grid], attrs)?])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS.dtypes() {
        let (x, grid) = (s.any(dtype, &[1, 2, 4, 5]), s.floats(dtype, &[1, 3, 2, 2], -1.2, 1.2));
        s.case().input(x).input(grid).add();
    }
    for mode in ["bilinear", "nearest", "bicubic"] {
        for padding in ["zeros", "border", "reflection"] {
            for corners in [0i64, 1] {
                let (x, grid) = (s.any(F32, &[2, 2, 4, 5]), s.floats(F32, &[2, 3, 2, 2], -1.2, 1.2));
                let case = s.case().input(x).input(grid).attr("mode", mode).attr("padding_mode", padding);
                case.attr("align_corners", corners).add();
            }
        }
    }
}
