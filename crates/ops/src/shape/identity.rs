//! Identity: its input, of whatever kind. <https://onnx.ai/onnx/operators/onnx__Identity.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "V")],
    outputs: &[Param::one("output", "V")],
    attrs: &[],
    types: &[types_of(
        "V",
        ALL_IR13.or(ALL.only_sequences()).or(ALL.only_sequences().only_optionals()).or(ALL.only_optionals()),
    )],
};

/// The ONNX operator Identity.
pub static IDENTITY: OpDef = OpDef {
    name: "Identity",
    since: 25,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("input", "T")],
                outputs: &[Param::one("output", "T")],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                inputs: &[Param::one("input", "T")],
                outputs: &[Param::one("output", "T")],
                types: &[types_of("T", ALL_IR4)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        }, // check: inputs, outputs differ from version 14
        Past {
            since: 14,
            schema: Schema { types: &[types_of("V", ALL_IR4.or(ALL.only_sequences()))], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 16,
            schema: Schema {
                types: &[types_of(
                    "V",
                    ALL_IR4.or(ALL.only_sequences()).or(ALL.only_sequences().only_optionals()).or(ALL.only_optionals()),
                )],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema {
                types: &[types_of(
                    "V",
                    ALL_IR9.or(ALL.only_sequences()).or(ALL.only_sequences().only_optionals()).or(ALL.only_optionals()),
                )],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema {
                types: &[types_of(
                    "V",
                    ALL_IR10
                        .or(ALL.only_sequences())
                        .or(ALL.only_sequences().only_optionals())
                        .or(ALL.only_optionals()),
                )],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema {
                types: &[types_of(
                    "V",
                    ALL_IR11
                        .or(ALL.only_sequences())
                        .or(ALL.only_sequences().only_optionals())
                        .or(ALL.only_optionals()),
                )],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema {
                types: &[types_of(
                    "V",
                    ALL_IR12
                        .or(ALL.only_sequences())
                        .or(ALL.only_sequences().only_optionals())
                        .or(ALL.only_optionals()),
                )],
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
    if let Some(fact) = cx.fact(0) {
        cx.set_fact(0, fact.clone());
    }
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    match inputs.first().copied().flatten() {
        Some(v) => Ok(vec![v.clone()]),
        None => Err(OpError::invalid("input 0 is required")),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(F32, shape);
        s.case().input(x).add();
    }
    let items = vec![s.any(F32, &[2]).into(), s.any(F32, &[3]).into()];
    s.case().input(Value::Sequence(items)).add();
}
