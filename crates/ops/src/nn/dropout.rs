//! Dropout: its input, or in training its input with elements dropped at random and the rest scaled up. <https://onnx.ai/onnx/operators/onnx__Dropout.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::opt("ratio", "T1"), Param::opt("training_mode", "T2")],
    outputs: &[Param::one("output", "T"), Param::opt("mask", "T2")],
    attrs: &[AttrDef::optional("seed", AttrKind::Int)],
    types: &[
        types_of("T", TypeSet::tensors(&[F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ])),
        types_of("T1", TypeSet::tensors(&[F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ])),
        types_of("T2", BOOL),
    ],
};

/// The ONNX operator Dropout.
pub static DROPOUT: OpDef = OpDef {
    name: "Dropout",
    since: 22,
    schema: SCHEMA,
    flags: Flags::RANDOM,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                outputs: &[Param::one("output", "T"), Param::opt("mask", "T")],
                attrs: &[
                    AttrDef::optional("consumed_inputs", AttrKind::Ints),
                    AttrDef::int("is_test", 0),
                    AttrDef::float("ratio", 0.5),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(legacy::drop_consumed_inputs),
            down: Adapt::Compatible,
        },
        Past {
            since: 6,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                outputs: &[Param::one("output", "T"), Param::opt("mask", "T")],
                attrs: &[AttrDef::int("is_test", 0), AttrDef::float("ratio", 0.5)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_6),
            down: Adapt::Rewrite(to_6),
        },
        Past {
            since: 7,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                outputs: &[Param::one("output", "T"), Param::opt("mask", "T")],
                attrs: &[AttrDef::float("ratio", 0.5)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_7),
            down: Adapt::Rewrite(to_7),
        },
        Past {
            since: 10,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                outputs: &[Param::one("output", "T"), Param::opt("mask", "T1")],
                attrs: &[AttrDef::float("ratio", 0.5)],
                types: &[types_of("T", FLOATS), types_of("T1", BOOL)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_10),
            down: Adapt::Rewrite(to_10),
        },
        Past {
            since: 12,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("T1", FLOATS), types_of("T2", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                types: &[types_of("T", FLOATS_BF16), types_of("T1", FLOATS), types_of("T2", BOOL)],
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
    cx.set_tensor(1, Some(DType::Bool), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let single = |i: usize| Ok::<_, OpError>(cx.opt_tensor(inputs, i)?.map(Tensor::to_f64s).transpose()?);
    let ratio = single(1)?.and_then(|v| v.first().copied()).unwrap_or(0.5);
    let training = single(2)?.and_then(|v| v.first().copied()).is_some_and(|v| v != 0.0);
    if !training || ratio == 0.0 {
        return Ok(vec![x.clone().into(), Tensor::from_bools(x.shape(), vec![true; x.len()])?.into()]);
    }
    if !(0.0..1.0).contains(&ratio) {
        return Err(OpError::invalid(format!("ratio is {ratio}, numbers from 0 to below 1 are allowed")));
    }
    let mut random = Samples::new(cx.attrs.opt_int("seed")?.unwrap_or(0) as u64);
    let keep = (0..x.len()).map(|_| random.uniform(0.0, 1.0) >= ratio).collect::<Vec<_>>();
    let out = x.to_f64s()?.iter().zip(&keep).map(|(v, &k)| if k { v / (1.0 - ratio) } else { 0.0 }).collect::<Vec<_>>();
    Ok(vec![Tensor::from_f64s(x.dtype(), x.shape(), &out)?.into(), Tensor::from_bools(x.shape(), keep)?.into()])
}

/// A file that leaves `is_test` at 0 is read for inference.
fn from_6(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().remove("is_test");
    Ok(())
}

fn to_6(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().set("is_test", 1);
    Ok(())
}

/// The mask had the type of the data.
fn from_7(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(dtype) = cx.input(0).and_then(|x| cx.model.ty(x).dtype()) else {
        return match cx.model.nodes[cx.node].output(1) {
            Some(_) => Err(OpError::unsupported("a mask of unknown type")),
            None => Ok(()),
        };
    };
    rewire::behind(cx, 1, |b, mask| b.op_with("Cast", &[mask], Attrs::new().with("to", dtype)))
}

fn to_7(cx: &mut AdaptCx) -> OpResult<()> {
    rewire::behind(cx, 1, |b, mask| b.op_with("Cast", &[mask], Attrs::new().with("to", DType::Bool)))
}

/// Before opset 12 nothing is said of the mask of a run that is no training; it is written as what it is, all true.
fn whole_mask(cx: &mut AdaptCx) -> OpResult<()> {
    let (node, Some(x)) = (cx.node, cx.input(0)) else { return Ok(()) };
    if cx.model.nodes[node].outputs.len() < 2 {
        return Ok(());
    }
    rewire::behind(cx, 1, |b, _| {
        let some = b.op_with("Cast", &[x], Attrs::new().with("to", DType::Bool))?;
        let others = b.op("Not", &[some])?;
        b.op("Or", &[some, others])
    })?;
    if let Some(Some(fresh)) = cx.model.nodes[node].outputs.drain(1..).next() {
        cx.model.values.remove(fresh);
    }
    Ok(())
}

fn from_10(cx: &mut AdaptCx) -> OpResult<()> {
    if let Some(Attr::Float(ratio)) = cx.attrs().remove("ratio") {
        let ratio = cx.constant(Tensor::scalar(ratio));
        cx.set_input(1, Some(ratio));
    }
    Ok(())
}

fn to_10(cx: &mut AdaptCx) -> OpResult<()> {
    let constant = |cx: &AdaptCx, i: usize| match cx.input(i) {
        None => Ok(None),
        Some(v) => match cx.constant_of(v).map(|t| t.to_f64s()).transpose()?.as_deref() {
            Some(&[value]) => Ok(Some(value)),
            _ => Err(OpError::unsupported("ratio or training_mode computed at run time before opset 12")),
        },
    };
    if constant(cx, 2)?.is_some_and(|v| v != 0.0) {
        return Err(OpError::unsupported("training before opset 12"));
    }
    if let Some(ratio) = constant(cx, 1)? {
        cx.attrs().set("ratio", ratio as f32);
    }
    whole_mask(cx)?;
    cx.attrs().remove("seed");
    cx.set_input(2, None);
    cx.set_input(1, None);
    Ok(())
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x).outputs(2).add();
    }
    for dtype in SCHEMA.types[1].set.dtypes() {
        let (x, ratio) = (s.any(F32, &[3, 4]), s.floats(dtype, &[], 0.25, 0.5));
        s.case().input(x).input(ratio).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        let training = Tensor::from_bools(&[], vec![false]).expect("one element");
        s.case().input(x).input(Tensor::scalar(0.3f32)).input(training).attr("seed", 5).outputs(2).add();
    }
    let x = s.any(F32, &[3, 4]);
    let training = Tensor::from_bools(&[], vec![true]).expect("one element");
    s.case().input(x).input(Tensor::scalar(0.3f32)).input(training).outputs(2).add();
}
