//! CenterCropPad: the dimensions `axes` cut or widened with zeros to `shape`, about their centres.
//!
//! <https://onnx.ai/onnx/operators/onnx__CenterCropPad.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_data", "T"), Param::one("shape", "Tind")],
    outputs: &[Param::one("output_data", "T")],
    attrs: &[AttrDef::optional("axes", AttrKind::Ints)],
    types: &[types_of("T", ALL_IR4), types_of("Tind", INDEX)],
};

/// The ONNX operator CenterCropPad.
pub static CENTER_CROP_PAD: OpDef = OpDef {
    name: "CenterCropPad",
    since: 18,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn axes_of(attrs: &AttrView, rank: usize) -> OpResult<Vec<usize>> {
    match attrs.opt_ints("axes")? {
        Some(axes) => shapes::axes(&axes, rank),
        None => Ok((0..rank).collect()),
    }
}

/// Elements before and after (negative: cut) that make a dimension of `d` one of `wanted`.
fn margins(d: i64, wanted: i64) -> (i64, i64) {
    let before = if wanted < d { -((d - wanted) / 2) } else { (wanted - d) / 2 };
    (before, wanted.saturating_sub(d).saturating_sub(before))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => {
            let axes = axes_of(&cx.attrs, x.len())?;
            let wanted = cx.value(1).map(|v| v.dims.clone()).unwrap_or_else(|| vec![Dim::Unknown; axes.len()]);
            if wanted.len() != axes.len() {
                return Err(OpError::invalid(format!("{} sizes for {} axes", wanted.len(), axes.len())));
            }
            let mut out = x.to_vec();
            axes.into_iter().zip(wanted).for_each(|(a, d)| out[a] = d);
            Some(out)
        }
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axes = axes_of(&cx.attrs, x.rank())?;
    let wanted = moves::sizes(&cx.tensor(inputs, 1)?.to_i64s()?)?;
    if wanted.len() != axes.len() {
        return Err(OpError::invalid(format!("{} sizes for {} axes", wanted.len(), axes.len())));
    }
    let mut shape = x.shape().to_vec();
    let mut shift = vec![0; x.rank()];
    for (&a, &w) in axes.iter().zip(&wanted) {
        shift[a] = margins(shape[a] as i64, w as i64).0;
        shape[a] = w;
    }
    moves::affordable(&shape)?;
    let (zero, own) = (x.len(), index::strides(x.shape()));
    let all = moves::pool(&[x, &Tensor::zeros(x.dtype(), &[1])?])?;
    let from = (0..shape.iter().product::<usize>()).map(|p| {
        let at = index::unravel(p, &shape);
        (0..shape.len()).try_fold(0, |sum, i| {
            let source = usize::try_from(at[i] as i64 - shift[i]).ok().filter(|&s| s < x.shape()[i])?;
            Some(sum + source * own[i])
        })
    });
    Ok(vec![all.gathered(&shape, from.map(|p| p.unwrap_or(zero)))?.into()])
}

/// Pads are half the difference, rounded towards zero, before and the rest after; a negative pad cuts.
fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let (x, wanted) = (b.input(node, 0)?, b.input(node, 1)?);
    let rank = b.ty(x).rank().ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?;
    let axes = axes_of(&b.attrs(node)?, rank)?.into_iter().map(|a| a as i64).collect::<Vec<_>>();
    let (axes, two) = (b.ints(&axes), b.ints(&[2]));
    let shape = b.op("Shape", &[x])?;
    let sizes = b.op("Gather", &[shape, axes])?;
    let wanted = b.op_with("Cast", &[wanted], Attrs::new().with("to", I64))?;
    let difference = b.op("Sub", &[wanted, sizes])?;
    let before = b.op("Div", &[difference, two])?;
    let after = b.op("Sub", &[difference, before])?;
    let pads = b.op_with("Concat", &[before, after], Attrs::new().with("axis", 0))?;
    b.node("", "Pad", &[Some(x), Some(pads), None, Some(axes)], Attrs::new(), 1)
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[4, 3]);
        s.case().input(x).input(Tensor::vector(&[1i32, 6])).add();
    }
    let cases: [(&[usize], &[i64], &[i64]); 4] = [
        (&[5], &[2], &[0]),
        (&[2, 3, 4], &[5, 3], &[-1, 0]),
        (&[1, 2, 1, 3], &[2, 2], &[1, 3]),
        (&[2, 0, 1, 1, 2], &[2], &[1]),
    ];
    for (shape, wanted, axes) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(wanted)).attr("axes", axes).add();
    }
}
