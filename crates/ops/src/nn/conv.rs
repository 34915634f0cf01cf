//! Conv: convolution over any number of spatial axes, with groups, strides, dilations and padding. <https://onnx.ai/onnx/operators/onnx__Conv.html>

use super::convolution::{ConvAttrs, Geometry, add_bias, sample_cases};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("W", "T"), Param::opt("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator Conv.
pub static CONV: OpDef = OpDef {
    name: "Conv",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", FLOATS)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    ConvAttrs::of(&cx.attrs)?.infer(cx, 0, 1, cx.dtype(0))
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, w) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let g = Geometry::of(&ConvAttrs::of(&cx.attrs)?, x.shape(), w.shape())?;
    let bias = match cx.opt_tensor(inputs, 2)? {
        Some(b) if b.shape() != [g.filters] => {
            return Err(OpError::invalid(format!("a bias of shape {:?} for {} filters", b.shape(), g.filters)));
        }
        Some(b) => b.to_f64s()?,
        None => vec![0.0; g.filters],
    };
    if g.output_shape().contains(&0) {
        return Ok(vec![Tensor::zeros(x.dtype(), &g.output_shape())?.into()]);
    }
    let windows = g.windows();
    if let (Ok(x), Ok(w)) = (x.as_slice::<f32>(), w.as_slice::<f32>()) {
        let mut y = Tensor::zeros(F32, &g.output_shape())?;
        let out = y.as_mut_slice::<f32>()?;
        g.sums(x, w, |at, sums| {
            let (to, b) = (&mut out[at..][..sums.len()], bias[at / windows % g.filters]);
            to.iter_mut().zip(sums).for_each(|(to, v)| *to = (v + b) as f32);
        })?;
        return Ok(vec![y.into()]);
    }
    let mut out = g.convolve(&x.to_f64s()?, &w.to_f64s()?)?;
    add_bias(&mut out, &bias, windows)?;
    Ok(vec![Tensor::from_f64s(x.dtype(), &g.output_shape(), &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, w, b) = (s.any(dtype, &[1, 2, 4, 4]), s.any(dtype, &[3, 2, 3, 3]), s.any(dtype, &[3]));
        s.case().input(x).input(w).input(b).add();
    }
    for (x, w, attrs) in sample_cases() {
        let (x, w, b) = (s.any(F32, &x), s.any(F32, &w), s.any(F32, &w[..1]));
        for bias in [false, true] {
            let mut case = s.case().input(x.clone()).input(w.clone());
            for (name, value) in attrs.iter() {
                case = case.attr(name, value.clone());
            }
            if bias { case.input(b.clone()).add() } else { case.add() }
        }
    }
    // No filters.
    let (x, w) = (s.any(F32, &[1, 2, 3, 4]), s.any(F32, &[0, 2, 1, 1]));
    s.case().input(x).input(w).add();
}
