//! PRelu: `x` where it is not negative, `slope * x` elsewhere; the slope broadcasts to `x`. <https://onnx.ai/onnx/operators/onnx__PRelu.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("slope", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[],
    types: &[types_of("T", WIDE_BF16)],
};

/// The ONNX operator PRelu.
pub static PRELU: OpDef = OpDef {
    name: "PRelu",
    since: 16,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::optional("consumed_inputs", AttrKind::Ints)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Rewrite(slope_per_channel),
            down: Adapt::Rewrite(slope_of_rank_one),
        },
        Past {
            since: 7,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T", WIDE)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let out = elementwise::binary(
        inputs,
        |x, slope| if x < 0.0 { slope * x } else { x },
        |x, slope| if x < 0 { slope.wrapping_mul(x) } else { x },
        |x, _| x,
    )?;
    let x = elementwise::operand(inputs, 0)?;
    match out[0].tensor()?.shape() == x.shape() {
        true => Ok(out),
        false => Err(OpError::invalid(format!("the slope does not broadcast to shape {:?}", x.shape()))),
    }
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, slope) = (b.input(node, 0)?, b.input(node, 1)?);
    let zero = b.scalar_like(x, 0.0)?;
    let (negative, scaled) = (b.op("Less", &[x, zero])?, b.op("Mul", &[x, slope])?);
    Ok(vec![b.op("Where", &[negative, scaled, x])?])
}

/// Opset 6 and before share a slope of rank 1 across all dimensions but the second.
fn slope_per_channel(cx: &mut AdaptCx) -> OpResult<()> {
    legacy::drop_consumed_inputs(cx)?;
    let Some(slope) = cx.input(1) else { return Ok(()) };
    let Some([size]) = cx.model.ty(slope).shape() else { return Ok(()) };
    if *size == Dim::Known(1) {
        return Ok(());
    }
    let rank = cx.rank(0).ok_or_else(|| OpError::unsupported("a slope per channel with an input of unknown rank"))?;
    let axes = (1..rank.saturating_sub(1) as i64).collect::<Vec<_>>();
    if !axes.is_empty() {
        let mut before = cx.before();
        let axes = before.ints(&axes);
        let wide = before.op("Unsqueeze", &[slope, axes])?;
        cx.set_input(1, Some(wide));
    }
    Ok(())
}

/// The way back: a slope with one value per channel loses its trailing ones.
fn slope_of_rank_one(cx: &mut AdaptCx) -> OpResult<()> {
    let (Some(slope), Some(rank)) = (cx.input(1), cx.rank(0)) else {
        return Err(OpError::unsupported("a slope for an input of unknown rank before opset 7"));
    };
    if rank == 0 {
        return Err(OpError::unsupported("before opset 7 a slope has rank 1, which a scalar input cannot have"));
    }
    let shape = cx.model.ty(slope).shape().map(<[Dim]>::to_vec);
    let shape = shape.ok_or_else(|| OpError::unsupported("a slope of unknown shape before opset 7"))?;
    let ones = |dims: &[Dim]| dims.iter().all(|d| *d == Dim::Known(1));
    let per_channel = shape.len() + 1 == rank && shape.len() > 1 && ones(&shape[1..]);
    if !(per_channel || ones(&shape) || (rank == 2 && shape.len() == 1)) {
        return Err(OpError::unsupported("before opset 7 PRelu takes one slope, or one per channel"));
    }
    if shape.len() != 1 {
        let mut before = cx.before();
        let size = before.ints(&[-1]);
        let flat = before.op("Reshape", &[slope, size])?;
        cx.set_input(1, Some(flat));
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in WIDE_BF16.dtypes() {
        let (x, slope) = (s.any(dtype, &[3, 4]), s.any(dtype, &[4]));
        s.case().input(x).input(slope).add();
    }
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[], &[]),
        (&[5], &[1]),
        (&[2, 3], &[]),
        (&[2, 3, 4], &[3, 1]),
        (&[1, 2, 1, 3, 2], &[2, 1, 1, 2]),
        (&[2, 0], &[1]),
    ];
    for (x, slope) in shapes {
        let (x, slope) = (s.any(F32, x), s.any(F32, slope));
        s.case().input(x).input(slope).add();
    }
    let (x, slope) = (s.special(F32, 12), s.floats(F32, &[12], 0.1, 0.9));
    s.case().input(x).input(slope).add();
}
