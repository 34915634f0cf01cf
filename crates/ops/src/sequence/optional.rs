//! Optional: a value that may be absent, holding the operand, or nothing of the type `type`.
//!
//! <https://onnx.ai/onnx/operators/onnx__Optional.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::opt("input", "V")],
    outputs: &[Param::one("output", "O")],
    attrs: &[AttrDef::optional("type", AttrKind::Type)],
    types: &[
        types_of("V", ALL_IR13.or(ALL_IR13.only_sequences())),
        types_of("O", ALL_IR13.only_optionals().or(ALL_IR13.only_sequences().only_optionals())),
    ],
};

/// The ONNX operator Optional.
pub static OPTIONAL: OpDef = OpDef {
    name: "Optional",
    since: 28,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 15,
        schema: Schema {
            types: &[
                types_of("V", ALL.or(ALL.only_sequences())),
                types_of("O", ALL.only_sequences().only_optionals().or(ALL.only_optionals())),
            ],
            ..SCHEMA
        },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let item = match cx.has(0) {
        true => cx.ty(0),
        false => cx.attrs.opt_type("type")?.cloned().unwrap_or_default(),
    };
    cx.set(0, Type::Optional(Box::new(item)));
    Ok(())
}

fn eval(_: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let held = inputs.first().copied().flatten();
    Ok(vec![Value::Optional(held.map(|v| Box::new(v.clone())))])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2]);
        s.case().input(x.clone()).add();
        s.case().input(Value::Sequence(vec![x.into()])).add();
        s.case().attr("type", Attr::Type(Type::of(dtype))).add();
    }
}
