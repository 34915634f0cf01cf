//! DepthToSpace: blocks of channels moved into height and width. <https://onnx.ai/onnx/operators/onnx__DepthToSpace.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::required("blocksize", AttrKind::Int), AttrDef::string("mode", "DCR")],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator DepthToSpace.
pub static DEPTH_TO_SPACE: OpDef = OpDef {
    name: "DepthToSpace",
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
            since: 11,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past { since: 13, schema: SCHEMA, up: Adapt::Compatible, down: Adapt::Compatible },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let block = Dim::from(block_size(&cx.attrs)?);
    let shape = match cx.shape(0) {
        Some([n, c, h, w]) => {
            let channels = c.floor_div(&(block.clone() * block.clone()));
            Some(vec![n.clone(), channels, h.clone() * block.clone(), w.clone() * block])
        }
        Some(shape) => return Err(OpError::invalid(format!("an input of rank {}, 4 is wanted", shape.len()))),
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// The attribute `blocksize`.
///
/// # Errors
/// When it is below 1.
pub fn block_size(attrs: &AttrView) -> OpResult<usize> {
    let b = attrs.int("blocksize")?;
    let size = usize::try_from(b).ok().filter(|&b| (1..=1 << 20).contains(&b));
    size.ok_or_else(|| OpError::invalid(format!("blocksize is {b}")))
}

/// True when channels are ordered column, row, depth.
///
/// # Errors
/// When `mode` is neither.
pub fn depth_last(attrs: &AttrView) -> OpResult<bool> {
    match attrs.string("mode")? {
        "DCR" => Ok(false),
        "CRD" => Ok(true),
        other => Err(OpError::invalid(format!("mode is {other:?}, DCR and CRD are allowed"))),
    }
}

/// `x` seen as a tensor of shape `split`, its axes permuted, seen as a tensor of shape `to`.
///
/// # Errors
/// When the counts differ.
pub fn rearranged(x: &Tensor, split: &[usize], perm: &[usize], to: &[usize]) -> OpResult<Tensor> {
    let strides = index::strides(split);
    let shape = perm.iter().map(|&p| split[p]).collect::<Vec<_>>();
    let steps = perm.iter().map(|&p| strides[p] as isize).collect::<Vec<_>>();
    Ok(x.strided(&shape, &steps, 0)?.reshaped(to)?)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let b = block_size(&cx.attrs)?;
    let &[n, c, h, w] = x.shape() else {
        return Err(OpError::invalid(format!("an input of shape {:?}, rank 4 is wanted", x.shape())));
    };
    if c % (b * b) != 0 {
        return Err(OpError::invalid(format!("{c} channels are no multiple of blocks of {b} x {b}")));
    }
    let depth = c / (b * b);
    let (split, perm) = match depth_last(&cx.attrs)? {
        true => ([n, depth, b, b, h, w], [0, 1, 4, 2, 5, 3]),
        false => ([n, b, b, depth, h, w], [0, 3, 4, 1, 5, 2]),
    };
    Ok(vec![rearranged(x, &split, &perm, &[n, depth, h * b, w * b])?.into()])
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let (x, block, last) = (b.input(node, 0)?, block_size(&attrs)? as i64, depth_last(&attrs)?);
    let sizes = b.op_with("Shape", &[x], Attrs::new().with("start", 2).with("end", 4))?;
    let joined = |b: &mut Builder, parts: &[ValueId]| b.op_with("Concat", parts, Attrs::new().with("axis", 0));
    // An empty image has no channels to infer, and its 0 is no size to copy.
    let depth = b.ty(x).shape().and_then(|s| s.get(1)?.known()).map_or(-1, |c| c / (block * block));
    let (first, perm) = match last {
        true => ([depth, block, block], [0, 1, 4, 2, 5, 3]),
        false => ([block, block, depth], [0, 3, 4, 1, 5, 2]),
    };
    let batch = b.op_with("Shape", &[x], Attrs::new().with("start", 0).with("end", 1))?;
    let own = || if depth < 0 { Attrs::new() } else { Attrs::new().with("allowzero", 1) };
    let (head, factor, front) = (b.ints(&first), b.ints(&[block]), b.ints(&[depth]));
    let split = joined(b, &[batch, head, sizes])?;
    let x = b.op_with("Reshape", &[x, split], own())?;
    let x = b.op_with("Transpose", &[x], Attrs::new().with("perm", perm))?;
    let large = b.op("Mul", &[sizes, factor])?;
    let shape = joined(b, &[batch, front, large])?;
    Ok(vec![b.op_with("Reshape", &[x, shape], own())?])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[1, 4, 2, 3]);
        s.case().input(x).attr("blocksize", 2).add();
    }
    for mode in ["DCR", "CRD"] {
        let x = s.any(F32, &[2, 8, 2, 3]);
        s.case().input(x).attr("blocksize", 2).attr("mode", mode).add();
    }
    for shape in [[0, 9, 1, 2], [0, 0, 1, 2], [1, 4, 7, 0]] {
        let (x, block) = (s.any(F32, &shape), if shape[1] == 4 { 2 } else { 3 });
        s.case().input(x).attr("blocksize", block).add();
    }
}
