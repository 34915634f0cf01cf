//! Losses over classes: log-probabilities `[batch, classes, ...]` picked by targets `[batch, ...]`, weighted, reduced.

use crate::prelude::*;

/// Type of output 0.
///
/// # Errors
/// When `reduction` is unknown.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.attrs.string("reduction")? {
        "none" => cx.shape(1).map(<[Dim]>::to_vec),
        "mean" | "sum" => Some(vec![]),
        other => return Err(OpError::invalid(format!("reduction is {other:?}"))),
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// The loss of log-probabilities `log` of the shape of `x`, for the targets and weights of operands 1 and 2.
///
/// # Errors
/// When the shapes do not fit or a target names no class.
pub fn of(cx: &EvalCx, inputs: &[Option<&Value>], x: &Tensor, log: &[f64]) -> OpResult<Tensor> {
    let target = cx.tensor(inputs, 1)?;
    let [n, classes, rest @ ..] = x.shape() else {
        return Err(OpError::invalid(format!("scores of shape {:?}; batch and classes are wanted", x.shape())));
    };
    if target.shape() != [&[*n], rest].concat() {
        return Err(OpError::invalid(format!(
            "scores of shape {:?}, targets of shape {:?}",
            x.shape(),
            target.shape()
        )));
    }
    let weights = match cx.opt_tensor(inputs, 2)? {
        Some(w) if w.shape() != [*classes] => {
            return Err(OpError::invalid(format!("weights of shape {:?} for {classes} classes", w.shape())));
        }
        Some(w) => w.to_f64s()?,
        None => vec![1.0; *classes],
    };
    let ignored = cx.attrs.opt_int("ignore_index")?;
    let inner = rest.iter().product::<usize>();
    let (mut losses, mut total) = (Vec::new(), 0.0);
    for (i, class) in target.to_i64s()?.into_iter().enumerate() {
        if Some(class) == ignored {
            losses.push(0.0);
            continue;
        }
        let k = usize::try_from(class).ok().filter(|k| k < classes);
        let k = k.ok_or_else(|| OpError::invalid(format!("target {class}, there are {classes} classes")))?;
        losses.push(-weights[k] * log[(i / inner * classes + k) * inner + i % inner]);
        total += weights[k];
    }
    let sum = losses.iter().sum::<f64>();
    Ok(match cx.attrs.string("reduction")? {
        "none" => Tensor::from_f64s(x.dtype(), target.shape(), &losses)?,
        "sum" => Tensor::from_f64s(x.dtype(), &[], &[sum])?,
        _ => Tensor::from_f64s(x.dtype(), &[], &[sum / total])?,
    })
}

/// The same as nodes.
///
/// # Errors
/// When the element type of `log` is not known.
pub fn build(b: &mut Builder, node: NodeId, log: ValueId) -> OpResult<ValueId> {
    let attrs = b.attrs(node)?;
    let (target, weights) = (b.input(node, 1)?, b.opt_input(node, 2));
    let mean = attrs.string("reduction")? == "mean";
    let zero = b.scalar_like(log, 0.0)?;
    let (mut class, mut skipped) = (target, None);
    if let Some(ignored) = attrs.opt_int("ignore_index")? {
        let (ignored, first) = (b.scalar_like(target, ignored as f64)?, b.scalar_like(target, 0.0)?);
        let skip = b.op("Equal", &[target, ignored])?;
        class = b.op("Where", &[skip, first, target])?;
        skipped = Some(skip);
    }
    let axis = b.ints(&[1]);
    let column = b.op("Unsqueeze", &[class, axis])?;
    let picked = b.op_with("GatherElements", &[log, column], Attrs::new().with("axis", 1))?;
    let picked = b.op("Squeeze", &[picked, axis])?;
    let mut loss = b.op("Neg", &[picked])?;
    let mut factor = match weights {
        Some(w) => Some(b.op("Gather", &[w, class])?),
        None if mean => {
            let one = b.scalar_like(log, 1.0)?;
            let shape = b.op("Shape", &[target])?;
            Some(b.op("Expand", &[one, shape])?)
        }
        None => None,
    };
    if let Some(f) = factor {
        loss = b.op("Mul", &[loss, f])?;
    }
    if let Some(skip) = skipped {
        loss = b.op("Where", &[skip, zero, loss])?;
        if let Some(f) = factor {
            factor = Some(b.op("Where", &[skip, zero, f])?);
        }
    }
    let whole = || Attrs::new().with("keepdims", 0);
    Ok(match (attrs.string("reduction")?, factor) {
        ("none", _) => loss,
        ("mean", Some(f)) => {
            let (sum, total) = (b.op_with("ReduceSum", &[loss], whole())?, b.op_with("ReduceSum", &[f], whole())?);
            b.op("Div", &[sum, total])?
        }
        _ => b.op_with("ReduceSum", &[loss], whole())?,
    })
}

/// Samples: every type, reduction, with and without weights and an ignored class.
pub fn samples(s: &mut Samples, outputs: usize) {
    for dtype in FLOATS_BF16.dtypes() {
        for index in [I32, I64] {
            let (x, target) = (s.floats(dtype, &[3, 4], -3.0, -0.1), s.ints(index, &[3], 0, 3));
            s.case().input(x).input(target).outputs(outputs).add();
        }
    }
    for reduction in ["none", "sum", "mean"] {
        for (shape, places) in [(&[3, 4][..], &[3][..]), (&[2, 4, 3], &[2, 3]), (&[1, 4, 2, 1, 2], &[1, 2, 1, 2])] {
            let (x, target) = (s.floats(F32, shape, -3.0, -0.1), s.ints(I64, places, 0, 3));
            let weights = s.floats(F32, &[4], 0.5, 1.5);
            let case = s.case().input(x.clone()).input(target.clone()).attr("reduction", reduction);
            case.outputs(outputs).add();
            let case = s.case().input(x).input(target).input(weights).attr("reduction", reduction);
            case.attr("ignore_index", 2).outputs(outputs).add();
        }
    }
}
