//! LSTM: long short-term memory over a sequence, in one or both directions. <https://onnx.ai/onnx/operators/onnx__LSTM.html>

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
        Param::opt("initial_c", "T"),
        Param::opt("P", "T"),
    ],
    outputs: &[Param::opt("Y", "T"), Param::opt("Y_h", "T"), Param::opt("Y_c", "T")],
    attrs: &[
        AttrDef::optional("activation_alpha", AttrKind::Floats),
        AttrDef::optional("activation_beta", AttrKind::Floats),
        AttrDef::optional("activations", AttrKind::Strings),
        AttrDef::optional("clip", AttrKind::Float),
        AttrDef::string("direction", "forward"),
        AttrDef::optional("hidden_size", AttrKind::Int),
        AttrDef::int("input_forget", 0),
        AttrDef::int("layout", 0),
    ],
    types: &[types_of("T", FLOATS_BF16), types_of("T1", TypeSet::tensors(&[I32]))],
};

/// The ONNX operator LSTM.
pub static LSTM: OpDef = OpDef {
    name: "LSTM",
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
                attrs: &[
                    AttrDef::optional("activation_alpha", AttrKind::Floats),
                    AttrDef::optional("activation_beta", AttrKind::Floats),
                    AttrDef::optional("activations", AttrKind::Strings),
                    AttrDef::optional("clip", AttrKind::Float),
                    AttrDef::string("direction", "forward"),
                    AttrDef::optional("hidden_size", AttrKind::Int),
                    AttrDef::int("input_forget", 0),
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
                    AttrDef::int("input_forget", 0),
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

const FUNCTIONS: [&str; 3] = ["Sigmoid", "Tanh", "Tanh"];

fn infer(cx: &mut InferCx) -> OpResult<()> {
    RecurrentAttrs::of(&cx.attrs, &FUNCTIONS)?.infer(cx, 2)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let p = Problem::of(cx, inputs, RecurrentAttrs::of(&cx.attrs, &FUNCTIONS)?, 4)?;
    let (hidden, cell) = (p.initial(cx, inputs, 5)?, p.initial(cx, inputs, 6)?);
    let peepholes = match cx.opt_tensor(inputs, 7)? {
        Some(t) if t.shape() != [p.attrs.directions, 3 * p.hidden] => {
            return Err(OpError::invalid(format!("P has shape {:?}", t.shape())));
        }
        Some(t) => Some(t.to_f64s()?),
        None => None,
    };
    let coupled = cx.attrs.flag("input_forget")?;
    let states = hidden.into_iter().zip(cell).map(|(h, c)| vec![h, c]).collect();
    p.run(cx.tensor(inputs, 0)?.dtype(), states, |d, driven, states| {
        step(&p, d, driven, states, peepholes.as_deref(), coupled)
    })
}

/// One step; gates lie in the order input, output, forget, cell, peepholes in the order input, output, forget. The
/// bound `clip` holds for the gates, not for the cell that the hidden state is made of.
fn step(
    p: &Problem,
    d: usize,
    driven: &[f64],
    states: &[Vec<f64>],
    peepholes: Option<&[f64]>,
    coupled: bool,
) -> Vec<Vec<f64>> {
    let h = p.hidden;
    let mut sums = driven.to_vec();
    p.recur(d, &states[0], 0, 4, &mut sums);
    let &[f, g, out] = p.attrs.functions(d, 3) else { return states.to_vec() };
    let mut new = states.to_vec();
    for (row, gates) in sums.chunks_exact(4 * h).enumerate() {
        for k in 0..h {
            let old = states[1][row * h + k];
            let look = |i: usize, c: f64| peepholes.map_or(0.0, |w| w[(d * 3 + i) * h + k] * c);
            let bias = |i: usize| [0, 1].iter().filter_map(|&w| p.bias(d, w, i)).map(|b| b[k]).sum::<f64>();
            let gate = |i: usize, extra: f64| p.attrs.clipped(gates[i * h + k] + bias(i) + extra);
            let input = f.at(gate(0, look(0, old)));
            let forget = if coupled { 1.0 - input } else { f.at(gate(2, look(2, old))) };
            let cell = forget * old + input * g.at(gate(3, 0.0));
            new[1][row * h + k] = cell;
            new[0][row * h + k] = f.at(gate(1, look(1, cell))) * out.at(cell);
        }
    }
    new
}

fn samples(s: &mut Samples) {
    recurrence::samples(s, 4, 3, 2, FLOATS_BF16);
    let (x, w, r) = (s.any(F32, &[3, 2, 4]), s.any(F32, &[1, 12, 4]), s.any(F32, &[1, 12, 3]));
    for coupled in [0, 1] {
        let peepholes = s.any(F32, &[1, 9]);
        let case = s.case().input(x.clone()).input(w.clone()).input(r.clone());
        let case = case.absent().absent().absent().absent().input(peepholes).outputs(3);
        case.attr("input_forget", coupled).add();
    }
}
