//! GRU: gated recurrent units over a sequence, in one or both directions. <https://onnx.ai/onnx/operators/onnx__GRU.html>

use super::recurrence::{self, Problem, RecurrentAttrs};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("W", "T"),
        Param::one("R", "T"),
        Param::opt("B", "T"),
        Param::opt("sequence_lens", "T1"),
        Param::opt("initial_h", "T"),
    ],
    outputs: &[Param::opt("Y", "T"), Param::opt("Y_h", "T")],
    attrs: &[
        AttrDef::optional("activation_alpha", AttrKind::Floats),
        AttrDef::optional("activation_beta", AttrKind::Floats),
        AttrDef::optional("activations", AttrKind::Strings),
        AttrDef::optional("clip", AttrKind::Float),
        AttrDef::string("direction", "forward"),
        AttrDef::optional("hidden_size", AttrKind::Int),
        AttrDef::int("layout", 0),
        AttrDef::int("linear_before_reset", 0),
    ],
    types: &[types_of("T", FLOATS_BF16), types_of("T1", TypeSet::tensors(&[I32]))],
};

/// The ONNX operator GRU.
pub static GRU: OpDef = OpDef {
    name: "GRU",
    since: 22,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                outputs: &[Param::opt("Y", "T"), Param::one("Y_h", "T")],
                attrs: &[
                    AttrDef::optional("activation_alpha", AttrKind::Floats),
                    AttrDef::optional("activation_beta", AttrKind::Floats),
                    AttrDef::optional("activations", AttrKind::Strings),
                    AttrDef::optional("clip", AttrKind::Float),
                    AttrDef::string("direction", "foward"),
                    AttrDef::optional("hidden_size", AttrKind::Int),
                    AttrDef::int("output_sequence", 0),
                ],
                types: &[types_of("T", FLOATS), types_of("T1", TypeSet::tensors(&[I32]))],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_1),
            down: Adapt::Rewrite(to_1),
        },
        Past {
            since: 3,
            schema: Schema {
                attrs: &[
                    AttrDef::optional("activation_alpha", AttrKind::Floats),
                    AttrDef::optional("activation_beta", AttrKind::Floats),
                    AttrDef::optional("activations", AttrKind::Strings),
                    AttrDef::optional("clip", AttrKind::Float),
                    AttrDef::string("direction", "forward"),
                    AttrDef::optional("hidden_size", AttrKind::Int),
                    AttrDef::int("linear_before_reset", 0),
                    AttrDef::int("output_sequence", 0),
                ],
                types: &[types_of("T", FLOATS), types_of("T1", TypeSet::tensors(&[I32]))],
                ..SCHEMA
            },
            up: Adapt::Rewrite(recurrence::drop_output_sequence),
            down: Adapt::Rewrite(recurrence::set_output_sequence),
        },
        Past {
            since: 7,
            schema: Schema {
                attrs: &[
                    AttrDef::optional("activation_alpha", AttrKind::Floats),
                    AttrDef::optional("activation_beta", AttrKind::Floats),
                    AttrDef::optional("activations", AttrKind::Strings),
                    AttrDef::optional("clip", AttrKind::Float),
                    AttrDef::string("direction", "forward"),
                    AttrDef::optional("hidden_size", AttrKind::Int),
                    AttrDef::int("linear_before_reset", 0),
                ],
                types: &[types_of("T", FLOATS), types_of("T1", TypeSet::tensors(&[I32]))],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 14,
            schema: Schema { types: &[types_of("T", FLOATS), types_of("T1", TypeSet::tensors(&[I32]))], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

const FUNCTIONS: [&str; 2] = ["Sigmoid", "Tanh"];

fn infer(cx: &mut InferCx) -> OpResult<()> {
    RecurrentAttrs::of(&cx.attrs, &FUNCTIONS)?.infer(cx, 1)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let p = Problem::of(cx, inputs, RecurrentAttrs::of(&cx.attrs, &FUNCTIONS)?, 3)?;
    let states = p.initial(cx, inputs, 5)?.into_iter().map(|h| vec![h]).collect();
    let linear_first = cx.attrs.flag("linear_before_reset")?;
    p.run(cx.tensor(inputs, 0)?.dtype(), states, |d, driven, states| {
        vec![step(&p, d, driven, &states[0], linear_first)]
    })
}

/// One step; gates lie in the order update, reset, hidden.
fn step(p: &Problem, d: usize, driven: &[f64], state: &[f64], linear_first: bool) -> Vec<f64> {
    let (h, b) = (p.hidden, p.batch);
    let &[f, g] = p.attrs.functions(d, 2) else { return state.to_vec() };
    let bias = |which: usize, gate: usize, k: usize| p.bias(d, which, gate).map_or(0.0, |b| b[k]);
    let mut recurrent = vec![0.0; b * 2 * h];
    p.recur(d, state, 0, 2, &mut recurrent);
    let gate = |i: usize, row: usize, k: usize| {
        let sum = driven[(row * 3 + i) * h + k] + recurrent[(row * 2 + i) * h + k];
        f.at(p.attrs.clipped(sum + bias(0, i, k) + bias(1, i, k)))
    };
    let each = |f: &dyn Fn(usize, usize) -> f64| (0..b * h).map(|i| f(i / h, i % h)).collect::<Vec<_>>();
    let reset = each(&|row, k| gate(1, row, k));
    let mut candidate = vec![0.0; b * h];
    if linear_first {
        p.recur(d, state, 2, 1, &mut candidate);
        candidate = each(&|row, k| reset[row * h + k] * (candidate[row * h + k] + bias(1, 2, k)));
    } else {
        p.recur(d, &each(&|row, k| reset[row * h + k] * state[row * h + k]), 2, 1, &mut candidate);
        candidate = each(&|row, k| candidate[row * h + k] + bias(1, 2, k));
    }
    each(&|row, k| {
        let i = row * h + k;
        let update = gate(0, row, k);
        let fresh = g.at(p.attrs.clipped(driven[(row * 3 + 2) * h + k] + bias(0, 2, k) + candidate[i]));
        (1.0 - update) * fresh + update * state[i]
    })
}

/// Opset 1 spelled its default direction wrongly.
fn from_1(cx: &mut AdaptCx) -> OpResult<()> {
    if matches!(cx.attrs().get("direction"), Some(Attr::String(s)) if s == "foward") {
        cx.attrs().remove("direction");
    }
    Ok(())
}

fn to_1(cx: &mut AdaptCx) -> OpResult<()> {
    if cx.attrs().get("direction").is_none() {
        cx.attrs().set("direction", "forward");
    }
    Ok(())
}

fn samples(s: &mut Samples) {
    recurrence::samples(s, 3, 2, 1, FLOATS_BF16);
    let (x, w, r, b) = (s.any(F32, &[3, 2, 4]), s.any(F32, &[1, 9, 4]), s.any(F32, &[1, 9, 3]), s.any(F32, &[1, 18]));
    for linear in [0, 1] {
        let case = s.case().input(x.clone()).input(w.clone()).input(r.clone()).input(b.clone());
        case.attr("linear_before_reset", linear).attr("hidden_size", 3).outputs(2).add();
        for (direction, d) in [("forward", 1), ("reverse", 1), ("bidirectional", 2)] {
            for lengths in [None, Some(Tensor::vector(&[4i32, 0, 3]))] {
                let (x, h0) = (s.any(F32, &[4, 3, 5]), s.any(F32, &[d, 3, 18]));
                let (w, r, b) = (s.any(F32, &[d, 54, 5]), s.any(F32, &[d, 54, 18]), s.any(F32, &[d, 108]));
                let case = s.case().input(x).input(w).input(r).input(b);
                let case = match lengths {
                    Some(n) => case.input(n),
                    None => case.absent(),
                };
                let case = case.input(h0).attr("direction", direction).attr("linear_before_reset", linear);
                case.attr("hidden_size", 18).outputs(2).add();
            }
        }
    }
}
