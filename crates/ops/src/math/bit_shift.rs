//! BitShift: bits moved left or right, with broadcasting. Signed integers keep their sign to the right; a count below 0 or beyond the width leaves only that sign. <https://onnx.ai/onnx/operators/onnx__BitShift.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("Y", "T")],
    outputs: &[Param::one("Z", "T")],
    attrs: &[AttrDef::required("direction", AttrKind::String)],
    types: &[types_of("T", TypeSet::tensors(&[I8, I16, I32, I64, U8, U16, U32, U64]))],
};

/// The ONNX operator BitShift.
pub static BIT_SHIFT: OpDef = OpDef {
    name: "BitShift",
    since: 28,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 11,
        schema: Schema { types: &[types_of("T", TypeSet::tensors(&[U8, U16, U32, U64]))], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    left(&cx.attrs)?;
    elementwise::broadcast(cx, &[0, 1], None)
}

fn left(attrs: &AttrView) -> OpResult<bool> {
    match attrs.string("direction")? {
        "LEFT" => Ok(true),
        "RIGHT" => Ok(false),
        other => Err(OpError::invalid(format!("direction is LEFT or RIGHT, not {other:?}"))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let left = left(&cx.attrs)?;
    let dtype = elementwise::operand(inputs, 0)?.dtype();
    let (bits, unsigned) = (dtype.bits() as i64, !dtype.is_signed_int());
    elementwise::integers(inputs, |x, count| {
        let inside = (0..bits).contains(&count);
        match (left, inside) {
            (true, true) => x << count,
            (false, true) if unsigned => (x as u64 >> count) as i64,
            (false, true) => x >> count,
            (false, false) if !unsigned && x < 0 => -1,
            _ => 0,
        }
    })
}

fn samples(s: &mut Samples) {
    for direction in ["LEFT", "RIGHT"] {
        for dtype in SCHEMA.types[0].set.dtypes() {
            let (x, y) = (s.any(dtype, &[3, 4]), s.ints(dtype, &[4], 0, 3));
            s.case().attr("direction", direction).input(x).input(y).add();
        }
        let shapes: [(&[usize], &[usize]); 4] =
            [(&[], &[]), (&[5], &[]), (&[1, 2, 1, 3], &[2, 2, 2, 1]), (&[2, 0, 3], &[1, 3])];
        for (p, q) in shapes {
            let (x, y) = (s.any(U8, p), s.ints(U8, q, 0, 9));
            s.case().attr("direction", direction).input(x).input(y).add();
        }
        let (x, y) = (s.ints(I32, &[8], -9, 9), s.ints(I32, &[8], -1, 40));
        s.case().attr("direction", direction).input(x).input(y).add();
    }
}
