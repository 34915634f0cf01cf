//! OptionalGetElement: what an optional value holds; any other value passes.
//!
//! <https://onnx.ai/onnx/operators/onnx__OptionalGetElement.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "O")],
    outputs: &[Param::one("output", "V")],
    attrs: &[],
    types: &[
        types_of(
            "O",
            ALL_IR13
                .only_optionals()
                .or(ALL_IR13.only_sequences().only_optionals())
                .or(ALL_IR13)
                .or(ALL_IR13.only_sequences()),
        ),
        types_of("V", ALL_IR13.or(ALL_IR13.only_sequences())),
    ],
};

/// The ONNX operator OptionalGetElement.
pub static OPTIONAL_GET_ELEMENT: OpDef = OpDef {
    name: "OptionalGetElement",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 15,
            schema: Schema {
                types: &[
                    types_of("O", ALL.only_sequences().only_optionals().or(ALL.only_optionals())),
                    types_of("V", ALL.or(ALL.only_sequences())),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 18,
            schema: Schema {
                types: &[
                    types_of(
                        "O",
                        ALL.only_sequences().only_optionals().or(ALL.only_optionals()).or(ALL).or(ALL.only_sequences()),
                    ),
                    types_of("V", ALL.or(ALL.only_sequences())),
                ],
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
    match (cx.fact(0).cloned(), cx.ty(0)) {
        (_, Type::Optional(item)) => cx.set(0, *item),
        (Some(fact), _) => cx.set_fact(0, fact),
        (None, _) => {}
    }
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    match inputs.first().copied().flatten() {
        Some(Value::Optional(Some(v))) => Ok(vec![v.as_ref().clone()]),
        Some(Value::Optional(None)) => Err(OpError::invalid("the optional value is absent")),
        Some(v) => Ok(vec![v.clone()]),
        None => Err(OpError::invalid("input 0 is required")),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2]);
        s.case().input(Value::Optional(Some(Box::new(x.clone().into())))).add();
        let list = Value::Sequence(vec![x.clone().into()]);
        s.case().input(Value::Optional(Some(Box::new(list)))).add();
        s.case().input(x).add();
    }
}
