//! BatchNormalization: normalisation by mean and variance per channel: given ones, or in training those of the batch. <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>

use super::normalization::{channel_wise, channels, known_rank, per_channel};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("scale", "T1"),
        Param::one("B", "T1"),
        Param::one("input_mean", "T2"),
        Param::one("input_var", "T2"),
    ],
    outputs: &[Param::one("Y", "T"), Param::opt("running_mean", "T2"), Param::opt("running_var", "T2")],
    attrs: &[AttrDef::float("epsilon", 1e-05), AttrDef::float("momentum", 0.9), AttrDef::int("training_mode", 0)],
    types: &[types_of("T", FLOATS_BF16), types_of("T1", FLOATS_BF16), types_of("T2", FLOATS_BF16)],
};

/// The ONNX operator BatchNormalization.
pub static BATCH_NORMALIZATION: OpDef = OpDef {
    name: "BatchNormalization",
    since: 15,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: Some(decompose),
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[
                    Param::one("X", "T"),
                    Param::one("scale", "T"),
                    Param::one("B", "T"),
                    Param::one("mean", "T"),
                    Param::one("var", "T"),
                ],
                outputs: &[
                    Param::one("Y", "T"),
                    Param::opt("mean", "T"),
                    Param::opt("var", "T"),
                    Param::opt("saved_mean", "T"),
                    Param::opt("saved_var", "T"),
                ],
                attrs: &[
                    AttrDef::required("consumed_inputs", AttrKind::Ints),
                    AttrDef::float("epsilon", 1e-05),
                    AttrDef::int("is_test", 0),
                    AttrDef::float("momentum", 0.9),
                    AttrDef::int("spatial", 1),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Rewrite(|cx| {
                cx.attrs().set("consumed_inputs", [0, 0, 0, 1, 1]);
                Ok(())
            }),
        },
        Past {
            since: 6,
            schema: Schema {
                inputs: &[
                    Param::one("X", "T"),
                    Param::one("scale", "T"),
                    Param::one("B", "T"),
                    Param::one("mean", "T"),
                    Param::one("var", "T"),
                ],
                outputs: &[
                    Param::one("Y", "T"),
                    Param::opt("mean", "T"),
                    Param::opt("var", "T"),
                    Param::opt("saved_mean", "T"),
                    Param::opt("saved_var", "T"),
                ],
                attrs: &[
                    AttrDef::float("epsilon", 1e-05),
                    AttrDef::int("is_test", 0),
                    AttrDef::float("momentum", 0.9),
                    AttrDef::int("spatial", 1),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_6),
            down: Adapt::Rewrite(to_6),
        },
        Past {
            since: 7,
            schema: Schema {
                inputs: &[
                    Param::one("X", "T"),
                    Param::one("scale", "T"),
                    Param::one("B", "T"),
                    Param::one("mean", "T"),
                    Param::one("var", "T"),
                ],
                outputs: &[
                    Param::one("Y", "T"),
                    Param::opt("mean", "T"),
                    Param::opt("var", "T"),
                    Param::opt("saved_mean", "T"),
                    Param::opt("saved_var", "T"),
                ],
                attrs: &[AttrDef::float("epsilon", 1e-05), AttrDef::float("momentum", 0.9), AttrDef::int("spatial", 1)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_7),
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema {
                inputs: &[
                    Param::one("X", "T"),
                    Param::one("scale", "T"),
                    Param::one("B", "T"),
                    Param::one("mean", "T"),
                    Param::one("var", "T"),
                ],
                outputs: &[
                    Param::one("Y", "T"),
                    Param::opt("mean", "T"),
                    Param::opt("var", "T"),
                    Param::opt("saved_mean", "T"),
                    Param::opt("saved_var", "T"),
                ],
                attrs: &[AttrDef::float("epsilon", 1e-05), AttrDef::float("momentum", 0.9)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_9),
            down: Adapt::Rewrite(to_9),
        },
        Past {
            since: 14,
            schema: Schema {
                inputs: &[
                    Param::one("X", "T"),
                    Param::one("scale", "T"),
                    Param::one("B", "T"),
                    Param::one("input_mean", "U"),
                    Param::one("input_var", "U"),
                ],
                outputs: &[Param::one("Y", "T"), Param::opt("running_mean", "U"), Param::opt("running_var", "U")],
                types: &[types_of("T", FLOATS_BF16), types_of("U", FLOATS_BF16)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set(0, cx.ty(0));
    if cx.attrs.flag("training_mode")? {
        cx.set(1, cx.ty(3));
        cx.set(2, cx.ty(4));
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (n, c, plane) = match x.shape() {
        [n] => (*n, 1, 1),
        _ => channels(x)?,
    };
    let read = |i: usize, name: &str| per_channel(cx.tensor(inputs, i)?, c, name);
    let (scale, bias) = (read(1, "scale")?, read(2, "B")?);
    let (mut mean, mut variance) = (read(3, "input_mean")?, read(4, "input_var")?);
    let epsilon = f64::from(cx.attrs.float("epsilon")?);
    let mut data = x.to_f64s()?;
    let mut out = Vec::new();
    if cx.attrs.flag("training_mode")? {
        let momentum = f64::from(cx.attrs.float("momentum")?);
        let mixed = |old: &[f64], new: &[f64]| {
            old.iter().zip(new).map(|(o, n)| o * momentum + n * (1.0 - momentum)).collect::<Vec<_>>()
        };
        let (batch_mean, batch_variance) = statistics(&data, n, c, plane);
        for (i, old, new) in [(3, &mean, &batch_mean), (4, &variance, &batch_variance)] {
            let like = cx.tensor(inputs, i)?;
            out.push(Tensor::from_f64s(like.dtype(), like.shape(), &mixed(old, new))?.into());
        }
        (mean, variance) = (batch_mean, batch_variance);
    }
    for (i, v) in data.iter_mut().enumerate() {
        let k = i / plane % c;
        *v = (*v - mean[k]) / (variance[k] + epsilon).sqrt() * scale[k] + bias[k];
    }
    out.insert(0, Tensor::from_f64s(x.dtype(), x.shape(), &data)?.into());
    Ok(out)
}

/// Mean and variance of each channel over batch and space.
fn statistics(data: &[f64], n: usize, c: usize, plane: usize) -> (Vec<f64>, Vec<f64>) {
    let count = (n * plane) as f64;
    let each = |f: &dyn Fn(usize, f64) -> f64| {
        let mut sums = vec![0.0; c];
        data.iter().enumerate().for_each(|(i, &v)| sums[i / plane % c] += f(i / plane % c, v));
        sums.into_iter().map(|s| s / count).collect::<Vec<_>>()
    };
    let mean = each(&|_, v| v);
    let variance = each(&|k, v| (v - mean[k]) * (v - mean[k]));
    (mean, variance)
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    let attrs = b.attrs(node)?;
    let [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map(|i| b.input(node, i));
    let (x, scale, bias, mean, variance) = (x?, scale?, bias?, mean?, variance?);
    let rank = known_rank(b, x)?;
    let dtype = b.ty(x).dtype();
    if attrs.flag("training_mode")? || [scale, mean].iter().any(|&v| b.ty(v).dtype() != dtype) {
        return Err(OpError::unsupported("training, or statistics of another type, in simpler operators"));
    }
    let epsilon = b.scalar_like(x, attrs.float("epsilon")?.into())?;
    let safe = b.op("Add", &[variance, epsilon])?;
    let root = b.op("Sqrt", &[safe])?;
    let factor = b.op("Div", &[scale, root])?;
    let (mean, factor) = (channel_wise(b, mean, rank)?, channel_wise(b, factor, rank)?);
    let bias = channel_wise(b, bias, rank)?;
    let centred = b.op("Sub", &[x, mean])?;
    let product = b.op("Mul", &[centred, factor])?;
    Ok(vec![b.op("Add", &[product, bias])?])
}

fn extra_outputs(cx: &AdaptCx) -> usize {
    cx.model.nodes[cx.node].outputs.iter().skip(1).flatten().count()
}

/// A file that leaves `is_test` at 0 but asks for the result alone is read for inference.
fn from_6(cx: &mut AdaptCx) -> OpResult<()> {
    legacy::drop_consumed_inputs(cx)?;
    cx.attrs().remove("is_test");
    Ok(())
}

fn to_6(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().set("is_test", 1);
    Ok(())
}

/// `spatial = 0` kept statistics per element; with no spatial dimensions that is the same.
fn from_7(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.attrs().remove("spatial") {
        Some(Attr::Int(0)) if cx.rank(0) != Some(2) => {
            Err(OpError::unsupported("spatial = 0, which keeps statistics per element"))
        }
        _ => Ok(()),
    }
}

/// More than one output meant training.
fn from_9(cx: &mut AdaptCx) -> OpResult<()> {
    if extra_outputs(cx) > 0 {
        if cx.model.nodes[cx.node].outputs.iter().skip(3).flatten().count() > 0 {
            return Err(OpError::unsupported("outputs saved_mean and saved_var"));
        }
        cx.attrs().set("training_mode", 1);
    }
    cx.model.nodes[cx.node].outputs.truncate(3);
    Ok(())
}

fn to_9(cx: &mut AdaptCx) -> OpResult<()> {
    let training = matches!(cx.attrs().remove("training_mode"), Some(Attr::Int(x)) if x != 0);
    match training || extra_outputs(cx) > 0 {
        true => Err(OpError::unsupported("training before opset 14")),
        false => Ok(()),
    }
}

fn samples(s: &mut Samples) {
    let parts = |s: &mut Samples, c: usize, dtype| {
        let rest = [s.any(dtype, &[c]), s.any(dtype, &[c]), s.any(dtype, &[c])];
        (rest, s.floats(dtype, &[c], 0.5, 2.0))
    };
    for dtype in FLOATS_BF16.dtypes() {
        let (x, ([scale, bias, mean], var)) = (s.any(dtype, &[2, 3, 2, 2]), parts(s, 3, dtype));
        s.case().input(x).input(scale).input(bias).input(mean).input(var).add();
    }
    for shape in [&[2, 3][..], &[2, 3, 4], &[1, 3, 2, 1, 2], &[0, 3, 2]] {
        let (x, ([scale, bias, mean], var)) = (s.any(F32, shape), parts(s, 3, F32));
        let case = s.case().input(x).input(scale).input(bias).input(mean).input(var);
        case.attr("epsilon", 0.1).add();
    }
    let (x, ([scale, bias, mean], var)) = (s.any(F32, &[2, 3, 4]), parts(s, 3, F32));
    let case = s.case().input(x).input(scale).input(bias).input(mean).input(var).outputs(3);
    case.attr("training_mode", 1).attr("momentum", 0.7).add();
}
