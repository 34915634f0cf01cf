//! Col2Im: columns of blocks summed back into an image: the reverse of gathering windows. <https://onnx.ai/onnx/operators/onnx__Col2Im.html>

use super::window::{Axis, WindowAttrs};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("input", "T"),
        Param::one("image_shape", "tensor(int64)"),
        Param::one("block_shape", "tensor(int64)"),
    ],
    outputs: &[Param::one("output", "T")],
    attrs: &[
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator Col2Im.
pub static COL2_IM: OpDef = OpDef {
    name: "Col2Im",
    since: 18,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (image, block) = (cx.value(1).map(|v| v.dims.clone()), cx.ints(2));
    let shape = match (cx.shape(0), image) {
        (Some([n, c, _]), Some(image)) => {
            let area = block.map_or(Dim::Unknown, |b| b.iter().fold(Dim::Known(1), |p, &d| p * Dim::Known(d)));
            Some([n.clone(), c.floor_div(&area)].into_iter().chain(image).collect())
        }
        (Some(shape), _) if shape.len() != 3 => {
            return Err(OpError::invalid(format!("an input of rank {}, 3 is wanted", shape.len())));
        }
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let sizes = |i: usize| {
        let list = cx.tensor(inputs, i)?.to_i64s()?;
        let list = list.iter().map(|&n| usize::try_from(n).ok().filter(|&n| n > 0)).collect::<Option<Vec<_>>>();
        list.ok_or_else(|| OpError::invalid("image_shape and block_shape hold numbers from 1 on"))
    };
    let (image, block) = (sizes(1)?, sizes(2)?);
    let axes = WindowAttrs::of(&cx.attrs)?.axes(&image, &block)?;
    let (taps, windows) = (block.iter().product::<usize>(), axes.iter().map(|a| a.output).product::<usize>());
    let &[n, rows, columns] = x.shape() else {
        return Err(OpError::invalid(format!("an input of shape {:?}, rank 3 is wanted", x.shape())));
    };
    if columns != windows || rows % taps != 0 {
        return Err(OpError::invalid(format!("{rows} rows and {columns} columns for {windows} blocks of {taps}")));
    }
    let targets = targets(&axes, &block);
    let shape = [&[n, rows / taps], &image[..]].concat();
    let plane = image.iter().product::<usize>();
    // For each element of the input, where in the output it is added, if anywhere.
    let place = |i: usize| {
        let (row, column) = (i / columns, i % columns);
        targets[row % taps * windows + column].map(|t| row / taps * plane + t)
    };
    let count = Tensor::zeros(x.dtype(), &shape)?.len();
    let summed = |data: &[f64]| {
        let mut out = vec![0.0; count];
        data.iter().enumerate().for_each(|(i, v)| place(i).into_iter().for_each(|t| out[t] += v));
        out
    };
    let dtype = x.dtype();
    let out = if dtype.is_complex() {
        let data = x.to_complex()?;
        let part = |k: usize| summed(&data.iter().map(|v| v[k]).collect::<Vec<_>>());
        let both = part(0).into_iter().zip(part(1)).map(|(r, i)| [r, i]).collect::<Vec<_>>();
        Tensor::from_complex(dtype, &shape, &both)?
    } else if dtype.is_int() {
        let mut out = vec![0i64; count];
        let add = |(i, v): (usize, i64)| place(i).into_iter().for_each(|t| out[t] = out[t].wrapping_add(v));
        x.to_i64s()?.into_iter().enumerate().for_each(add);
        Tensor::from_i64s(dtype, &shape, &out)?
    } else {
        Tensor::from_f64s(dtype, &shape, &summed(&x.to_f64s()?))?
    };
    Ok(vec![out.into()])
}

/// For each element of a block and each block, its position in the image; none in the padding.
fn targets(axes: &[Axis], block: &[usize]) -> Vec<Option<usize>> {
    let output = axes.iter().map(|a| a.output).collect::<Vec<_>>();
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let target = |k: &[usize], o: &[usize]| {
        axes.iter().enumerate().try_fold(0, |flat, (i, a)| {
            let at = (o[i] * a.stride + k[i] * a.dilation).checked_sub(a.begin).filter(|&t| t < a.input)?;
            Some(flat * a.input + at)
        })
    };
    let windows = (0..count(&output)).map(|o| index::unravel(o, &output)).collect::<Vec<_>>();
    let elements = (0..count(block)).map(|k| index::unravel(k, block));
    elements.flat_map(|k| windows.iter().map(|o| target(&k, o)).collect::<Vec<_>>()).collect()
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes().filter(|&d| d != DType::String) {
        let x = s.any(dtype, &[1, 8, 6]);
        s.case().input(x).input(Tensor::vector(&[3i64, 4])).input(Tensor::vector(&[2i64, 2])).add();
    }
    let x = s.any(F32, &[2, 6, 6]);
    let case = s.case().input(x).input(Tensor::vector(&[5i64, 4])).input(Tensor::vector(&[3i64, 2]));
    case.attr("strides", [2, 1]).attr("pads", [1, 0, 1, 0]).attr("dilations", [1, 2]).add();
    let x = s.any(F32, &[1, 8, 4]);
    let case = s.case().input(x).input(Tensor::vector(&[3i64, 3, 2]));
    case.input(Tensor::vector(&[2i64, 2, 2])).add();
}
