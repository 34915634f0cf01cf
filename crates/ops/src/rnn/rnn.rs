//! RNN: a plain recurrent layer over a sequence, in one or both directions. <https://onnx.ai/onnx/operators/onnx__RNN.html>

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
        AttrDef::strings("activations", &["Tanh", "Tanh"]),
        AttrDef::optional("clip", AttrKind::Float),
        AttrDef::string("direction", "forward"),
        AttrDef::optional("hidden_size", AttrKind::Int),
        AttrDef::int("layout", 0),
    ],
    types: &[types_of("T", FLOATS_BF16), types_of("T1", TypeSet::tensors(&[I32]))],
};

/// The ONNX operator RNN.
pub static RNN: OpDef = OpDef {
    name: "RNN",
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
                    AttrDef::strings("activations", &["Tanh", "Tanh"]),
                    AttrDef::optional("clip", AttrKind::Float),
                    AttrDef::string("direction", "forward"),
                    AttrDef::optional("hidden_size", AttrKind::Int),
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
                    AttrDef::strings("activations", &["Tanh", "Tanh"]),
                    AttrDef::optional("clip", AttrKind::Float),
                    AttrDef::string("direction", "forward"),
                    AttrDef::optional("hidden_size", AttrKind::Int),
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

const FUNCTIONS: [&str; 1] = ["Tanh"];

fn infer(cx: &mut InferCx) -> OpResult<()> {
    RecurrentAttrs::of(&cx.attrs, &FUNCTIONS)?.infer(cx, 1)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let p = Problem::of(cx, inputs, RecurrentAttrs::of(&cx.attrs, &FUNCTIONS)?, 1)?;
    let states = p.initial(cx, inputs, 5)?.into_iter().map(|h| vec![h]).collect();
    p.run(cx.tensor(inputs, 0)?.dtype(), states, |d, driven, states| {
        let mut sums = driven.to_vec();
        p.recur(d, &states[0], 0, 1, &mut sums);
        let f = p.attrs.functions(d, 1)[0];
        let bias = |k: usize| [0, 1].iter().filter_map(|&w| p.bias(d, w, 0)).map(|b| b[k]).sum::<f64>();
        vec![sums.iter().enumerate().map(|(i, x)| f.at(p.attrs.clipped(x + bias(i % p.hidden)))).collect()]
    })
}

fn samples(s: &mut Samples) {
    recurrence::samples(s, 1, 1, 1, FLOATS_BF16);
}
