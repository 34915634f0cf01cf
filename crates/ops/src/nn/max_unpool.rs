//! MaxUnpool: elements put back where MaxPool found them, zeros elsewhere. <https://onnx.ai/onnx/operators/onnx__MaxUnpool.html>

use super::window::{WindowAttrs, split};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1"), Param::one("I", "T2"), Param::opt("output_shape", "T2")],
    outputs: &[Param::one("output", "T1")],
    attrs: &[
        AttrDef::required("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T1", FLOATS_BF16), types_of("T2", I64_ONLY)],
};

/// The ONNX operator MaxUnpool.
pub static MAX_UNPOOL: OpDef = OpDef {
    name: "MaxUnpool",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 9,
            schema: Schema { types: &[types_of("T1", FLOATS), types_of("T2", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T1", FLOATS), types_of("T2", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// Shape that the attributes alone give.
fn natural(attrs: &AttrView, spatial: &[Dim]) -> OpResult<Vec<Dim>> {
    let window = WindowAttrs::of(attrs)?;
    let kernel = window.kernel(None)?;
    let rank = spatial.len();
    let one = |list: &Option<Vec<usize>>, i: usize, default: usize| match list {
        Some(l) => l.get(i).copied().ok_or_else(|| OpError::invalid("strides or pads have the wrong length")),
        None => Ok(default),
    };
    if kernel.len() != rank {
        return Err(OpError::invalid(format!("kernel_shape has {} elements for {rank} axes", kernel.len())));
    }
    let axis = |(i, d): (usize, &Dim)| {
        let pads = one(&window.pads, i, 0)? + one(&window.pads, rank + i, 0)?;
        let stride = Dim::from(one(&window.strides, i, 1)?);
        Ok((d.clone() - Dim::Known(1)) * stride + Dim::from(kernel[i]) - Dim::from(pads))
    };
    spatial.iter().enumerate().map(axis).collect()
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(_) if cx.has(2) => cx.value(2).map(|v| v.dims.clone()),
        Some([n, c, spatial @ ..]) if !spatial.is_empty() => {
            Some([&[n.clone(), c.clone()], &natural(&cx.attrs, spatial)?[..]].concat())
        }
        Some(shape) => return Err(OpError::invalid(format!("an input of rank {}", shape.len()))),
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, at) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let (n, c, spatial) = split(x)?;
    let spatial = spatial.iter().map(|&d| Dim::from(d)).collect::<Vec<_>>();
    let inner = natural(&cx.attrs, &spatial)?.iter().map(Dim::size).collect::<Option<Vec<_>>>();
    let inner = inner.ok_or_else(|| OpError::invalid("the padding is larger than the output"))?;
    let inner = [&[n, c], &inner[..]].concat();
    let outer = match cx.opt_ints(inputs, 2)? {
        Some(list) => {
            let list = list.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<_>>>();
            let fits = |l: &Vec<usize>| l.len() == inner.len() && l.iter().zip(&inner).all(|(o, i)| o >= i);
            let list = list.filter(fits);
            list.ok_or_else(|| OpError::invalid(format!("output_shape is smaller than {inner:?}")))?
        }
        None => inner.clone(),
    };
    if at.shape() != x.shape() {
        return Err(OpError::invalid("input and indices differ in shape"));
    }
    let mut out = Tensor::zeros(F64, &outer)?.to_f64s()?;
    let (strides, total) = (index::strides(&outer), inner.iter().product::<usize>());
    for (v, i) in x.to_f64s()?.into_iter().zip(at.to_i64s()?) {
        let i = usize::try_from(i).ok().filter(|&i| i < total);
        let i = i.ok_or_else(|| OpError::invalid(format!("an index outside of {inner:?}")))?;
        let to = index::unravel(i, &inner).iter().zip(&strides).map(|(p, s)| p * s).sum::<usize>();
        out[to] = v;
    }
    Ok(vec![Tensor::from_f64s(x.dtype(), &outer, &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let x = s.any(dtype, &[1, 1, 2, 2]);
        let at = Tensor::new(&[1, 1, 2, 2], vec![5i64, 7, 13, 15]).expect("four");
        let case = s.case().input(x.clone()).input(at.clone()).attr("kernel_shape", [2, 2]);
        case.attr("strides", [2, 2]).add();
        let case = s.case().input(x).input(at).input(Tensor::vector(&[1i64, 1, 5, 5]));
        case.attr("kernel_shape", [2, 2]).attr("strides", [2, 2]).add();
    }
    let (x, at) = (s.any(F32, &[1, 1, 3]), Tensor::new(&[1, 1, 3], vec![0i64, 2, 3]).expect("three"));
    s.case().input(x).input(at).attr("kernel_shape", [2]).attr("strides", [2]).attr("pads", [1, 1]).add();
}
