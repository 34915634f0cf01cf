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
    // An empty image has no channels to infer.
    let channels = b.ty(x).shape().and_then(|s| s.get(1)?.known());
    let (factor, head) = (b.ints(&[block]), b.ints(&[0, channels.unwrap_or(-1)]));
    let front = b.ints(&[0, channels.map_or(-1, |c| c * block * block)]);
    let small = |b: &mut Builder, axis: i64| {
        let size = b.op_with("Shape", &[x], Attrs::new().with("start", axis).with("end", axis + 1))?;
        b.op("Div", &[size, factor])
    };
    let (h, w) = (small(b, 2)?, small(b, 3)?);
    let split = b.op_with("Concat", &[head, h, factor, w, factor], Attrs::new().with("axis", 0))?;
    let shape = b.op_with("Concat", &[front, h, w], Attrs::new().with("axis", 0))?;
    let split = b.op("Reshape", &[x, split])?;
    let perm = if last { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    let moved = b.op_with("Transpose", &[split], Attrs::new().with("perm", perm))?;
    Ok(vec![b.op("Reshape", &[moved, shape])?])
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
    let x = s.any(F32, &[0, 1, 3, 6]);
    s.case().input(x).attr("blocksize", 3).add();
}
