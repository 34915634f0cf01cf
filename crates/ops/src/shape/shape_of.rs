//! Shape: the dimensions of a tensor from `start` to before `end`, both clipped.
//!
//! <https://onnx.ai/onnx/operators/onnx__Shape.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T")],
    outputs: &[Param::one("shape", "T1")],
    attrs: &[AttrDef::optional("end", AttrKind::Int), AttrDef::int("start", 0)],
    types: &[types_of("T", ALL_IR13), types_of("T1", I64_ONLY)],
};

/// The ONNX operator Shape.
pub static SHAPE: OpDef = OpDef {
    name: "Shape",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { attrs: &[], types: &[types_of("T", ALL), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { attrs: &[], types: &[types_of("T", ALL_IR4), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(whole),
        },
        Past {
            since: 15,
            schema: Schema { types: &[types_of("T", ALL_IR4), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema { types: &[types_of("T", ALL_IR9), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema { types: &[types_of("T", ALL_IR10), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema { types: &[types_of("T", ALL_IR11), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema { types: &[types_of("T", ALL_IR12), types_of("T1", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn range(attrs: &AttrView, rank: usize) -> OpResult<std::ops::Range<usize>> {
    let rank = rank as i64;
    let clip = |x: i64| (if x < 0 { x.saturating_add(rank) } else { x }).clamp(0, rank);
    let (start, end) = (clip(attrs.int("start")?), clip(attrs.opt_int("end")?.unwrap_or(rank)));
    Ok(start as usize..end.max(start) as usize)
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let len = match cx.shape(0) {
        Some(x) => {
            let dims = x[range(&cx.attrs, x.len())?].to_vec();
            let len = dims.len();
            cx.set_value(0, SymTensor::vector(dims));
            len.into()
        }
        None => Dim::Unknown,
    };
    cx.set_tensor(0, Some(I64), Some(vec![len]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let dims = x.shape()[range(&cx.attrs, x.rank())?].iter().map(|&d| d as i64).collect::<Vec<_>>();
    Ok(vec![Tensor::vector(&dims).into()])
}

/// Before opset 15 the whole shape came out, of which a slice is taken.
fn whole(cx: &mut AdaptCx) -> OpResult<()> {
    let mut number = |name: &str| match cx.attrs().remove(name) {
        Some(Attr::Int(n)) => Some(n),
        _ => None,
    };
    let (start, end) = (number("start").unwrap_or(0), number("end"));
    if start == 0 && end.is_none() {
        return Ok(());
    }
    rewire::behind(cx, 0, |b, shape| {
        let (start, end, axis) = (b.ints(&[start]), b.ints(&[end.unwrap_or(i64::MAX)]), b.ints(&[0]));
        b.op("Slice", &[shape, start, end, axis])
    })
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).add();
        s.case().input(x.clone()).attr("start", 1).attr("end", -1).add();
        s.case().input(x).attr("start", -9).attr("end", 9).add();
    }
    let x = s.any(F32, &[2, 3, 4]);
    s.case().input(x).attr("start", 2).attr("end", 1).add();
}
