//! OptionalHasElement: whether an optional value holds something; an absent operand does not, any other value does.
//!
//! <https://onnx.ai/onnx/operators/onnx__OptionalHasElement.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::opt("input", "O")],
    outputs: &[Param::one("output", "B")],
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
        types_of("B", BOOL),
    ],
};

/// The ONNX operator OptionalHasElement.
pub static OPTIONAL_HAS_ELEMENT: OpDef = OpDef {
    name: "OptionalHasElement",
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
                inputs: &[Param::one("input", "O")],
                types: &[
                    types_of("O", ALL.only_sequences().only_optionals().or(ALL.only_optionals())),
                    types_of("B", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(needs_operand),
        },
        Past {
            since: 18,
            schema: Schema {
                types: &[
                    types_of(
                        "O",
                        ALL.only_sequences().only_optionals().or(ALL.only_optionals()).or(ALL).or(ALL.only_sequences()),
                    ),
                    types_of("B", BOOL),
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

fn needs_operand(cx: &mut AdaptCx) -> OpResult<()> {
    match cx.input(0) {
        Some(_) => Ok(()),
        None => Err(OpError::unsupported("an absent operand before opset 18")),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(Bool), Some(vec![]));
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let holds = !matches!(inputs.first().copied().flatten(), None | Some(Value::Optional(None)));
    Ok(vec![Tensor::from_bools(&[], vec![holds])?.into()])
}

fn samples(s: &mut Samples) {
    s.case().add();
    s.case().input(Value::Optional(None)).add();
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2]);
        s.case().input(Value::Optional(Some(Box::new(x.clone().into())))).add();
        s.case().input(Value::Sequence(vec![x.clone().into()])).add();
        s.case().input(x).add();
    }
}
