//! Pad: `pads` elements before and after each axis: a constant, the border repeated, mirrored without it, or wrapped around.
//! A negative pad crops.
//!
//! <https://onnx.ai/onnx/operators/onnx__Pad.html>

use crate::prelude::*;
use std::ops::Range;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("data", "T"),
        Param::one("pads", "tensor(int64)"),
        Param::opt("constant_value", "T"),
        Param::opt("axes", "Tind"),
    ],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::string("mode", "constant")],
    types: &[types_of("T", ALL_IR13), types_of("Tind", INDEX)],
};

/// The ONNX operator Pad.
pub static PAD: OpDef = OpDef {
    name: "Pad",
    since: 25,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[
                    AttrDef::string("mode", "constant"),
                    AttrDef::required("paddings", AttrKind::Ints),
                    AttrDef::float("value", 0.0),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(rename_paddings),
            down: Adapt::Rewrite(rename_pads),
        },
        Past {
            since: 2,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[
                    AttrDef::string("mode", "constant"),
                    AttrDef::required("pads", AttrKind::Ints),
                    AttrDef::float("value", 0.0),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(to_inputs),
            down: Adapt::Rewrite(to_attributes),
        },
        Past {
            since: 11,
            schema: Schema {
                inputs: &[
                    Param::one("data", "T"),
                    Param::one("pads", "tensor(int64)"),
                    Param::opt("constant_value", "T"),
                ],
                types: &[types_of("T", NUMERIC)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                inputs: &[
                    Param::one("data", "T"),
                    Param::one("pads", "tensor(int64)"),
                    Param::opt("constant_value", "T"),
                ],
                types: &[types_of("T", ALL_IR4)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(without_axes),
        },
        Past {
            since: 18,
            schema: Schema { types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(without_wrap),
        },
        Past {
            since: 19,
            schema: Schema { types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema { types: &[types_of("T", ALL_IR10), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema { types: &[types_of("T", ALL_IR11), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema { types: &[types_of("T", ALL_IR12), types_of("Tind", INDEX)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn rename_paddings(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(pads) = cx.attrs().remove("paddings") {
        cx.attrs().set("pads", pads);
    }
    Ok(())
}

fn rename_pads(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(pads) = cx.attrs().remove("pads") {
        cx.attrs().set("paddings", pads);
    }
    Ok(())
}

fn to_inputs(cx: &mut AdaptCx) -> OpResult<()> {
    cx.ints_to_input("pads", 1)?;
    let Some(Attr::Float(value)) = cx.attrs().remove("value") else { return Ok(()) };
    if value != 0.0 {
        let dtype = cx.input(0).and_then(|v| cx.model.ty(v).dtype()).unwrap_or(F32);
        let value = cx.constant(Tensor::from_f64s(dtype, &[], &[value.into()])?);
        cx.set_input(2, Some(value));
    }
    Ok(())
}

fn to_attributes(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(v) = cx.input(2) {
        let value = cx.constant_of(v).and_then(|t| t.to_f64s().ok()?.first().copied());
        let value = value.ok_or_else(|| OpError::unsupported("a constant value computed at run time"))?;
        cx.attrs().set("value", value as f32);
        cx.set_input(2, None);
    }
    cx.input_to_ints(1, "pads")
}

fn without_wrap(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().get("mode") {
        Some(Attr::String(mode)) if mode == "wrap" => Err(OpError::unsupported("mode wrap before opset 19")),
        _ => Ok(()),
    }
}

/// Before opset 18 every dimension had its pads.
fn without_axes(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(axes) = cx.input(3) else { return Ok(()) };
    let constant = |cx: &AdaptCx, v| cx.constant_of(v).and_then(|t| t.to_i64s().ok());
    let axes = constant(cx, axes);
    let pads = cx.input(1).and_then(|v| constant(cx, v));
    let (Some(axes), Some(pads), Some(rank)) = (axes, pads, cx.rank(0)) else {
        return Err(OpError::unsupported("axes computed at run time, or an operand of unknown rank"));
    };
    let full = all_axes(&pads, Some(&axes), rank, 0)?;
    let full = cx.constant(Tensor::vector(&full));
    cx.set_input(1, Some(full));
    cx.set_input(3, None);
    Ok(())
}

/// Pads of every dimension: first those before, then those after.
fn all_axes<T: Clone>(pads: &[T], axes: Option<&[i64]>, rank: usize, none: T) -> OpResult<Vec<T>> {
    let axes = match axes {
        Some(a) => shapes::axes(a, rank)?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(OpError::invalid(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut out = vec![none; 2 * rank];
    for (i, &a) in axes.iter().enumerate() {
        out[a] = pads[i].clone();
        out[rank + a] = pads[axes.len() + i].clone();
    }
    Ok(out)
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let Some(x) = cx.shape(0) else {
        cx.set_tensor(0, cx.dtype(0), None);
        return Ok(());
    };
    let axes = cx.ints(3);
    let shape = match cx.value(1) {
        Some(pads) if axes.is_some() || !cx.has(3) => {
            let pads = all_axes(&pads.dims, axes.as_deref(), x.len(), Dim::Known(0))?;
            let wide = |i: usize| moves::at_least_zero(&(x[i].clone() + pads[i].clone() + pads[x.len() + i].clone()));
            (0..x.len()).map(wide).collect()
        }
        _ => vec![Dim::Unknown; x.len()],
    };
    cx.set_tensor(0, cx.dtype(0), Some(shape));
    Ok(())
}

/// Index in the input of each index of the result along one dimension; `None` is the constant.
fn sources(d: usize, before: i64, after: i64, mode: &str) -> OpResult<Vec<Option<usize>>> {
    let d = d as i64;
    // A negative pad crops first; the border is then that of what is left.
    let (lo, hi) = ((-before).max(0), d - (-after).max(0));
    let n = hi - lo;
    let total = before.checked_add(after).and_then(|p| p.checked_add(d)).unwrap_or(i64::MAX);
    moves::sizes(&[total.max(0)])?;
    if n <= 0 && mode != "constant" && total > 0 {
        return Err(OpError::invalid(format!("mode {mode} has nothing to repeat")));
    }
    let at = |i: i64| {
        let i = i - before.max(0);
        let inside = match mode {
            _ if (0..n).contains(&i) => i,
            "constant" => return None,
            "edge" => i.clamp(0, n - 1),
            "wrap" => i.rem_euclid(n),
            _ if n == 1 => 0,
            _ => {
                let period = 2 * (n - 1);
                let j = i.rem_euclid(period);
                j.min(period - j)
            }
        };
        Some((lo + inside) as usize)
    };
    Ok((0..total.max(0)).map(at).collect())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let mode = cx.attrs.string("mode")?;
    if !["constant", "reflect", "edge", "wrap"].contains(&mode) {
        return Err(OpError::invalid(format!("mode {mode:?}")));
    }
    let pads = cx.tensor(inputs, 1)?.to_i64s()?;
    let pads = all_axes(&pads, cx.opt_ints(inputs, 3)?.as_deref(), x.rank(), 0)?;
    let fill = match cx.opt_tensor(inputs, 2)? {
        Some(t) if t.len() == 1 => t.reshaped(&[1])?,
        Some(t) if !t.is_empty() => return Err(OpError::invalid(format!("a constant of {} elements", t.len()))),
        _ => Tensor::zeros(x.dtype(), &[1])?,
    };
    let from = (0..x.rank()).map(|i| sources(x.shape()[i], pads[i], pads[x.rank() + i], mode));
    let from = from.collect::<OpResult<Vec<_>>>()?;
    let shape = from.iter().map(Vec::len).collect::<Vec<_>>();
    moves::affordable(&shape)?;
    let Some((inner, outer)) = from.split_last() else { return Ok(vec![x.clone().into()]) };
    let mut rows = vec![Some(0usize)];
    for (along, stride) in outer.iter().zip(index::strides(x.shape())) {
        let wider = rows.iter().flat_map(|&base| along.iter().map(move |&i| Some(base? + i? * stride)));
        rows = wider.collect();
    }
    Ok(vec![x.pieced(&shape, &rows, &pieces(inner), &fill)?.into()])
}

/// Sources along one dimension as runs, each with its length; `None` is the constant.
fn pieces(along: &[Option<usize>]) -> Vec<(Option<Range<usize>>, usize)> {
    let mut out: Vec<(Option<Range<usize>>, usize)> = vec![];
    for &at in along {
        match (out.last_mut(), at) {
            (Some((Some(run), n)), Some(i)) if run.end == i => (run.end, *n) = (i + 1, *n + 1),
            (Some((None, n)), None) => *n += 1,
            _ => out.push((at.map(|i| i..i + 1), 1)),
        }
    }
    out
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let (x, c) = (s.any(dtype, &[2, 3]), s.any(dtype, &[]));
        s.case().input(x.clone()).input(Tensor::vector(&[1i64, 0, 0, 2])).input(c).add();
        s.case().input(x).input(Tensor::vector(&[0i64, 1, 1, 0])).add();
    }
    for mode in ["constant", "reflect", "edge", "wrap"] {
        let cases: [(&[usize], &[i64]); 5] = [
            (&[], &[]),
            (&[4], &[2, 3]),
            (&[2, 3, 4], &[0, 1, 2, 1, 0, 3]),
            (&[1, 2, 3, 3], &[0, 0, 1, 2, 0, 0, 2, 1]),
            (&[3, 4], &[-1, 1, 1, -2]),
        ];
        for (shape, pads) in cases {
            let x = s.any(F32, shape);
            s.case().input(x).input(Tensor::vector(pads)).attr("mode", mode).add();
        }
        let x = s.any(F32, &[1, 2, 1, 3, 2]);
        let axes = Tensor::vector(&[-1i32, 3]);
        s.case().input(x).input(Tensor::vector(&[1i64, 0, 1, 2])).absent().input(axes).attr("mode", mode).add();
    }
    let x = s.any(F32, &[3, 2]);
    let pads = Tensor::vector(&[1i64, 2]);
    s.case().input(x).input(pads).absent().input(Tensor::vector(&[-1i64])).add();
    let x = s.any(F32, &[2, 0]);
    s.case().input(x).input(Tensor::vector(&[0i64, 1, 0, 1])).input(Tensor::scalar(f32::NAN)).add();
}
