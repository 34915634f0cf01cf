//! SpaceToDepth: blocks of height and width moved into channels. <https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html>

use super::depth_to_space::{block_size, depth_last, rearranged};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::required("blocksize", AttrKind::Int), AttrDef::string("mode", "DCR")],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator SpaceToDepth.
pub static SPACE_TO_DEPTH: OpDef = OpDef {
    name: "SpaceToDepth",
    since: 28,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::required("blocksize", AttrKind::Int)],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { attrs: &[AttrDef::required("blocksize", AttrKind::Int)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let block = Dim::from(block_size(&cx.attrs)?);
    let shape = match cx.shape(0) {
        Some([n, c, h, w]) => {
            let channels = c.clone() * block.clone() * block.clone();
            Some(vec![n.clone(), channels, h.floor_div(&block), w.floor_div(&block)])
        }
        Some(shape) => return Err(OpError::invalid(format!("an input of rank {}, 4 is wanted", shape.len()))),
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let b = block_size(&cx.attrs)?;
    let &[n, c, h, w] = x.shape() else {
        return Err(OpError::invalid(format!("an input of shape {:?}, rank 4 is wanted", x.shape())));
    };
    if h % b != 0 || w % b != 0 {
        return Err(OpError::invalid(format!("{h} x {w} is no multiple of blocks of {b} x {b}")));
    }
    let perm = if depth_last(&cx.attrs)? { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    let split = [n, c, h / b, b, w / b, b];
    Ok(vec![rearranged(x, &split, &perm, &[n, c * b * b, h / b, w / b])?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let (x, block, last) = (b.input(node, 0)?, block_size(&attrs)? as i64, depth_last(&attrs)?);
    // The 0 of an image that may be empty is a size, none to copy.
    let sizes = b.ty(x).sizes().unwrap_or_default();
    let filled = sizes.get(1..).is_some_and(|s| !s.is_empty() && s.iter().all(|&n| n > 0));
    let own = || if filled { Attrs::new() } else { Attrs::new().with("allowzero", 1) };
    let size = |b: &mut Builder, start: i64, end: i64| {
        b.op_with("Shape", &[x], Attrs::new().with("start", start).with("end", end))
    };
    let (factor, area) = (b.ints(&[block]), b.ints(&[block * block]));
    let (front, batch, channels) = (size(b, 0, 2)?, size(b, 0, 1)?, size(b, 1, 2)?);
    let (h, w) = (size(b, 2, 3)?, size(b, 3, 4)?);
    let (h, w) = (b.op("Div", &[h, factor])?, b.op("Div", &[w, factor])?);
    let depth = b.op("Mul", &[channels, area])?;
    let split = b.op_with("Concat", &[front, h, factor, w, factor], Attrs::new().with("axis", 0))?;
    let shape = b.op_with("Concat", &[batch, depth, h, w], Attrs::new().with("axis", 0))?;
    let split = b.op_with("Reshape", &[x, split], own())?;
    let perm = if last { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    let moved = b.op_with("Transpose", &[split], Attrs::new().with("perm", perm))?;
    Ok(vec![b.op_with("Reshape", &[moved, shape], own())?])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[1, 2, 4, 2]);
        s.case().input(x).attr("blocksize", 2).add();
    }
    for mode in ["DCR", "CRD"] {
        let x = s.any(F32, &[2, 2, 4, 6]);
        s.case().input(x).attr("blocksize", 2).attr("mode", mode).add();
    }
    for shape in [[0, 1, 3, 6], [1, 0, 3, 0], [2, 1, 0, 3]] {
        let x = s.any(F32, &shape);
        s.case().input(x).attr("blocksize", 3).add();
    }
}
