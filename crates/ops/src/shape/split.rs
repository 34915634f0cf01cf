//! Split: a tensor cut along `axis` into parts of the sizes `split`, or into `num_outputs` equal parts, the last one smaller
//! when the dimension does not divide.
//!
//! <https://onnx.ai/onnx/operators/onnx__Split.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::opt("split", "tensor(int64)")],
    outputs: &[Param::many("outputs", "T", 1)],
    attrs: &[AttrDef::int("axis", 0), AttrDef::optional("num_outputs", AttrKind::Int)],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator Split.
pub static SPLIT: OpDef = OpDef {
    name: "Split",
    since: 18,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("input", "T"), Param::opt("split", "T")],
                outputs: &[Param::many("outputs...", "T", 1)],
                attrs: &[AttrDef::optional("axis", AttrKind::Int), AttrDef::optional("split", AttrKind::Ints)],
                types: &[types_of("T", FLOATS)],
            },
            up: Adapt::Rewrite(drop_input_form),
            down: Adapt::Compatible,
        },
        Past {
            since: 2,
            schema: Schema {
                inputs: &[Param::one("input", "T")],
                attrs: &[AttrDef::int("axis", 0), AttrDef::optional("split", AttrKind::Ints)],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema {
                inputs: &[Param::one("input", "T")],
                attrs: &[AttrDef::int("axis", 0), AttrDef::optional("split", AttrKind::Ints)],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(|cx| cx.ints_to_input("split", 1)),
            down: Adapt::Rewrite(|cx| cx.input_to_ints(1, "split")),
        },
        Past {
            since: 13,
            schema: Schema { attrs: &[AttrDef::int("axis", 0)], ..SCHEMA },
            up: Adapt::Rewrite(count_outputs),
            down: Adapt::Rewrite(uncount_outputs),
        },
    ],
    samples,
    ..OpDef::BASE
};

/// Opset 1 could also name the sizes in a second operand.
fn drop_input_form(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.input(1) {
        None => Ok(()),
        Some(v) => {
            let sizes = cx.constant_of(v).ok_or_else(|| OpError::unsupported("sizes computed at run time"))?;
            let sizes = sizes.to_f64s()?.into_iter().map(|x| x as i64).collect::<Vec<_>>();
            cx.set_input(1, None);
            cx.attrs().set("split", sizes);
            Ok(())
        }
    }
}

/// Before opset 18 the number of outputs of the node said into how many equal parts to cut.
fn count_outputs(cx: &mut AdaptCx) -> OpResult<()> {
    if cx.input(1).is_none() {
        let n = cx.model.nodes[cx.node].outputs.len() as i64;
        cx.attrs().set("num_outputs", n);
    }
    Ok(())
}

fn uncount_outputs(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(Attr::Int(n)) = cx.attrs().remove("num_outputs") else { return Ok(()) };
    let axis = match cx.attrs().get("axis") {
        Some(Attr::Int(a)) => *a,
        _ => 0,
    };
    let shape = cx.input(0).and_then(|v| cx.model.ty(v).shape().map(<[Dim]>::to_vec)).unwrap_or_default();
    let dim = shapes::axis(axis, shape.len()).ok().and_then(|a| shape[a].known());
    match dim {
        Some(d) if n > 0 && d % n == 0 => Ok(()),
        Some(d) if n > 0 => {
            let part = (d + n - 1) / n;
            let sizes = (0..n).map(|i| (d - i * part).clamp(0, part)).collect::<Vec<_>>();
            let sizes = cx.constant(Tensor::vector(&sizes));
            cx.set_input(1, Some(sizes));
            Ok(())
        }
        _ => Err(OpError::unsupported("unequal parts of a dimension that is not known")),
    }
}

/// Sizes of the parts.
fn parts(dim: &Dim, split: Option<Vec<Dim>>, num_outputs: Option<i64>, outputs: usize) -> OpResult<Vec<Dim>> {
    if let Some(split) = split {
        if let (Some(total), Some(d)) = (split.iter().cloned().fold(Dim::Known(0), |a, b| a + b).known(), dim.known())
            && total != d
        {
            return Err(OpError::invalid(format!("parts of together {total} of a dimension of {d}")));
        }
        if let Some(bad) = split.iter().find(|d| d.known().is_some_and(|n| n < 0)) {
            return Err(OpError::invalid(format!("a part of size {bad}")));
        }
        return Ok(split);
    }
    let n = num_outputs.unwrap_or(outputs as i64);
    if !(1..=1 << 16).contains(&n) {
        return Err(OpError::invalid(format!("{n} parts")));
    }
    let part = dim.ceil_div(&Dim::Known(n));
    let mut out = vec![part.clone(); n as usize];
    match (part.known(), dim.known()) {
        (Some(p), Some(d)) => {
            out = (0..n).map(|i| Dim::Known((d - i * p).clamp(0, p))).collect();
        }
        _ if dim.modulo(&Dim::Known(n)) == Dim::Known(0) => out.fill(dim.floor_div(&Dim::Known(n))),
        _ => out[n as usize - 1] = Dim::Unknown,
    }
    Ok(out)
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (dtype, outputs) = (cx.dtype(0), cx.output_count());
    let Some(shape) = cx.shape(0) else {
        (0..outputs).for_each(|i| cx.set_tensor(i, dtype, None));
        return Ok(());
    };
    let axis = shapes::axis(cx.attrs.int("axis")?, shape.len())?;
    let split = match (cx.value(1), cx.has(1)) {
        (Some(v), _) => Some(v.dims.clone()),
        (None, true) => Some(vec![Dim::Unknown; outputs]),
        (None, false) => None,
    };
    let sizes = parts(&shape[axis], split, cx.attrs.opt_int("num_outputs")?, outputs)?;
    if sizes.len() < outputs {
        return Err(OpError::invalid(format!("{outputs} outputs of {} parts", sizes.len())));
    }
    let value = cx.value(0).filter(|v| v.shape.len() == 1);
    let mut start = Some(0);
    for (i, size) in sizes.into_iter().enumerate().take(outputs) {
        let range = start.zip(size.size()).map(|(a, n)| a..a + n);
        if let Some(dims) = value.zip(range.clone()).and_then(|(v, r)| v.dims.get(r)) {
            cx.set_value(i, SymTensor::vector(dims.to_vec()));
        }
        start = range.map(|r| r.end);
        let mut out = shape.to_vec();
        out[axis] = size;
        cx.set_tensor(i, dtype, Some(out));
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let split = cx.opt_ints(inputs, 1)?.map(|v| v.into_iter().map(Dim::Known).collect());
    let sizes = parts(&x.shape()[axis].into(), split, cx.attrs.opt_int("num_outputs")?, cx.outputs)?;
    let strides = index::strides(x.shape());
    let signed = strides.iter().map(|&s| s as isize).collect::<Vec<_>>();
    let mut out = Vec::new();
    let mut start = 0;
    for size in sizes.iter().map(|d| d.size().unwrap_or(0)) {
        let mut shape = x.shape().to_vec();
        shape[axis] = size;
        let from = index::Offsets::new(&shape, &signed, (start * strides[axis]) as isize);
        out.push(x.gathered(&shape, from)?.into());
        start += size;
    }
    Ok(out)
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[5, 2]);
        s.case().input(x.clone()).input(Tensor::vector(&[1i64, 4])).outputs(2).add();
        s.case().input(x).attr("num_outputs", 2).outputs(2).add();
    }
    let cases: [(&[usize], &[i64], i64); 4] =
        [(&[6], &[2, 4], 0), (&[2, 6, 3], &[1, 2, 3], -2), (&[1, 0, 2, 2], &[0, 0], 1), (&[1, 1, 1, 2, 3], &[3], 4)];
    for (shape, split, axis) in cases {
        let x = s.any(F32, shape);
        s.case().input(x.clone()).input(Tensor::vector(split)).attr("axis", axis).outputs(split.len()).add();
        let n = split.len() as i64;
        s.case().input(x).attr("axis", axis).attr("num_outputs", n).outputs(split.len()).add();
    }
}
