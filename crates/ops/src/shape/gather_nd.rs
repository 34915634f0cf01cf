//! GatherND: the slices of `data` that the rows of `indices` name, within each of the first `batch_dims` dimensions.
//!
//! <https://onnx.ai/onnx/operators/onnx__GatherND.html>

use crate::prelude::*;

use crate::shape::scattering;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("indices", "tensor(int64)")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("batch_dims", 0)],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator GatherND.
pub static GATHER_ND: OpDef = OpDef {
    name: "GatherND",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 11,
            schema: Schema { attrs: &[], types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 12,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let batch = cx.attrs.int("batch_dims")?;
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(x), Some(i)) => {
            let last = i.last().ok_or_else(|| OpError::invalid("indices of rank 0"))?;
            let batch = usize::try_from(batch).unwrap_or(usize::MAX);
            match last.size().map(|n| n.saturating_add(batch)) {
                Some(used) if used > x.len() || batch >= i.len() => {
                    return Err(OpError::invalid(format!("indices of {last} elements for data of rank {}", x.len())));
                }
                Some(used) => Some([&i[..i.len() - 1], &x[used..]].concat()),
                None => None,
            }
        }
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, indices) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let batch = usize::try_from(cx.attrs.int("batch_dims")?).unwrap_or(usize::MAX);
    let (starts, inner) = scattering::slices(x.shape(), indices, batch)?;
    let rows = &indices.shape()[..indices.rank() - 1];
    let used = batch + indices.shape()[indices.rank() - 1];
    let shape = [rows, &x.shape()[used..]].concat();
    Ok(vec![x.gathered_runs(&shape, starts.into_iter().map(|s| s..s + inner))?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let (x, i) = (s.any(dtype, &[3, 2]), s.ints(I64, &[4, 2], -2, 1));
        s.case().input(x).input(i).add();
    }
    let cases: [(&[usize], &[usize], i64); 5] = [
        (&[4], &[1], 0),
        (&[2, 3, 4], &[2, 1], 1),
        (&[2, 1, 3, 2], &[2, 1, 2, 1], 2),
        (&[1, 2, 2, 3, 2], &[3, 3], 0),
        (&[2, 2], &[0, 2], 0),
    ];
    for (shape, at, batch) in cases {
        let (x, i) = (s.any(F32, shape), s.ints(I64, at, -1, 0));
        s.case().input(x).input(i).attr("batch_dims", batch).add();
    }
}
