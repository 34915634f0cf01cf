//! ConvTranspose: the gradient of a convolution as an operator: each input element spreads the weights over the output. <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html>

use super::convolution::{add_bias, zeros};
use super::phases;
use super::transposed::TransposeAttrs;
use super::window::{Axis, split};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("W", "T"), Param::opt("B", "T")],
    outputs: &[Param::one("Y", "T")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("output_padding", AttrKind::Ints),
        AttrDef::optional("output_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", FLOATS_BF16)],
};

/// The ONNX operator ConvTranspose.
pub static CONV_TRANSPOSE: OpDef = OpDef {
    name: "ConvTranspose",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(phases::decompose),
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
    let attrs = TransposeAttrs::of(&cx.attrs)?;
    let shape = match (cx.shape(0), cx.shape(1)) {
        (Some(x), w) if x.len() < 3 || w.is_some_and(|w| w.len() != x.len()) => {
            return Err(OpError::invalid("input and weight must have one rank, at least 3"));
        }
        (Some(x), w) => {
            let channels = w.map_or(Dim::Unknown, |w| w[1].clone() * Dim::from(attrs.conv.group));
            let mut out = vec![x[0].clone(), channels];
            let kernel = w.and_then(|w| w[2..].iter().map(Dim::size).collect::<Option<Vec<_>>>());
            match attrs.conv.window.kernel(kernel.as_deref()) {
                Ok(kernel) => out.extend(attrs.output_dims(&x[2..], &kernel)?),
                Err(e) if kernel.is_some() => return Err(e),
                Err(_) => out.extend(vec![Dim::Unknown; x.len() - 2]),
            }
            Some(out)
        }
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, w) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let attrs = TransposeAttrs::of(&cx.attrs)?;
    let (n, c, spatial) = split(x)?;
    let group = attrs.conv.group;
    if w.rank() != x.rank() || w.shape()[0] != c || c % group != 0 {
        return Err(OpError::invalid(format!("input {:?} and weight {:?} do not fit", x.shape(), w.shape())));
    }
    let kernel = attrs.conv.window.kernel(Some(&w.shape()[2..]))?;
    let axes = attrs.axes(spatial, &kernel)?;
    let filters = w.shape()[1];
    let mut out = zeros(&[&[n, group * filters], &axes.iter().map(|a| a.output).collect::<Vec<_>>()[..]].concat())?;
    let (x64, w64) = (x.to_f64s()?, w.to_f64s()?);
    let (places, taps) = (spatial.iter().product::<usize>(), kernel.iter().product::<usize>());
    let windows = axes.iter().map(|a| a.output).product::<usize>();
    let (depth, rows) = (c / group, filters * taps);
    let targets = targets(&axes);
    for i in 0..n * group {
        let (image, g) = (i / group, i % group);
        let input = &x64[(image * c + g * depth) * places..][..depth * places];
        let weights = &w64[g * depth * rows..][..depth * rows];
        let mut spread = zeros(&[rows, places])?;
        contract::strided(rows, depth, places, (weights, 1, rows), (input, places, 1), &mut spread);
        for (row, values) in spread.chunks_exact(places.max(1)).enumerate() {
            let to = &mut out[(i * filters + row / taps) * windows..][..windows];
            for (target, v) in targets[row % taps].iter().zip(values) {
                if let Some(t) = target {
                    to[*t] += v;
                }
            }
        }
    }
    if let Some(bias) = cx.opt_tensor(inputs, 2)? {
        add_bias(&mut out, &bias.to_f64s()?, windows)?;
    }
    let shape = [n, group * filters].into_iter().chain(axes.iter().map(|a| a.output)).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), &shape, &out)?.into()])
}

/// For each element of the window and each input position, the output position that it adds to, if any.
fn targets(axes: &[Axis]) -> Vec<Vec<Option<usize>>> {
    let kernel = axes.iter().map(|a| a.kernel).collect::<Vec<_>>();
    let input = axes.iter().map(|a| a.input).collect::<Vec<_>>();
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let target = |k: &[usize], p: &[usize]| {
        axes.iter().enumerate().try_fold(0, |flat, (i, a)| {
            let at = (p[i] * a.stride + k[i] * a.dilation).checked_sub(a.begin).filter(|&t| t < a.output)?;
            Some(flat * a.output + at)
        })
    };
    let positions = (0..count(&input)).map(|p| index::unravel(p, &input)).collect::<Vec<_>>();
    let window = (0..count(&kernel)).map(|k| index::unravel(k, &kernel));
    window.map(|k| positions.iter().map(|p| target(&k, p)).collect()).collect()
}

fn samples(s: &mut Samples) {
    for dtype in FLOATS_BF16.dtypes() {
        let (x, w, b) = (s.any(dtype, &[1, 2, 3, 3]), s.any(dtype, &[2, 3, 2, 2]), s.any(dtype, &[3]));
        s.case().input(x).input(w).input(b).add();
    }
    let a = Attrs::new;
    let cases = [
        (vec![1, 2, 4], vec![2, 3, 3], a()),
        (vec![2, 4, 3, 4], vec![4, 2, 3, 2], a().with("group", 2).with("strides", [2, 3]).with("pads", [1, 0, 0, 1])),
        (vec![1, 1, 3, 3], vec![1, 1, 3, 3], a().with("strides", [2, 2]).with("output_padding", [1, 0])),
        (vec![1, 1, 3, 3], vec![1, 2, 3, 3], a().with("strides", [3, 2]).with("output_shape", [10, 8])),
        (vec![1, 1, 3, 3], vec![1, 2, 3, 3], a().with("strides", [2, 2]).with("auto_pad", "SAME_UPPER")),
        (vec![1, 1, 3, 3], vec![1, 2, 3, 4], a().with("strides", [2, 2]).with("auto_pad", "SAME_LOWER")),
        (vec![1, 1, 3, 3], vec![1, 2, 2, 2], a().with("dilations", [2, 2]).with("auto_pad", "VALID")),
        (vec![1, 1, 2, 3, 2], vec![1, 1, 2, 2, 2], a().with("kernel_shape", [2, 2, 2])),
        (vec![0, 2, 4], vec![2, 2, 2], a()),
        (vec![2, 3, 5], vec![3, 2, 8], a().with("strides", [4]).with("pads", [2, 2])),
        (vec![1, 2, 3, 4], vec![2, 3, 4, 4], a().with("strides", [2, 2]).with("pads", [1, 1, 1, 1])),
        (vec![1, 2, 3, 4], vec![2, 3, 2, 2], a().with("strides", [2, 2])),
        (vec![1, 2, 3, 2], vec![2, 3, 5, 3], a().with("strides", [1, 3]).with("pads", [2, 0, 1, 0])),
    ];
    let added = a().with("strides", [2, 2]).with("pads", [1, 1, 1, 1]).with("output_padding", [1, 1]);
    let (x, w, b) = (s.any(F32, &[1, 2, 3, 2]), s.any(F32, &[2, 3, 3, 3]), s.any(F32, &[3]));
    let strided = (x, w, Some(b), added);
    let cases =
        cases.into_iter().map(|(x, w, attrs)| (s.any(F32, &x), s.any(F32, &w), None, attrs)).collect::<Vec<_>>();
    for (x, w, b, attrs) in cases.into_iter().chain([strided]) {
        let mut case = s.case().input(x).input(w);
        if let Some(b) = b {
            case = case.input(b);
        }
        for (name, value) in attrs.iter() {
            case = case.attr(name, value.clone());
        }
        case.add();
    }
}
