//! Multinomial: classes drawn by their unnormalised log-probabilities, `sample_size` for each row. <https://onnx.ai/onnx/operators/onnx__Multinomial.html>

use super::draws;
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T1")],
    outputs: &[Param::one("output", "T2")],
    attrs: &[AttrDef::int("dtype", 6), AttrDef::int("sample_size", 1), AttrDef::optional("seed", AttrKind::Float)],
    types: &[types_of("T1", FLOATS_BF16), types_of("T2", INDEX)],
};

/// The ONNX operator Multinomial.
pub static MULTINOMIAL: OpDef = OpDef {
    name: "Multinomial",
    since: 22,
    schema: SCHEMA,
    flags: Flags::RANDOM,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 7,
        schema: Schema { types: &[types_of("T1", FLOATS), types_of("T2", INDEX)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let size = Dim::Known(cx.attrs.int("sample_size")?);
    let shape = match cx.shape(0) {
        None => None,
        Some([rows, _]) => Some(vec![rows.clone(), size]),
        Some(other) => return Err(OpError::invalid(format!("two dimensions are wanted, not {}", other.len()))),
    };
    cx.set_tensor(0, draws::dtype(&cx.attrs, None)?, shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let &[rows, classes] = x.shape() else {
        return Err(OpError::invalid(format!("two dimensions are wanted, not {:?}", x.shape())));
    };
    let size = cx.attrs.int("sample_size")?;
    let size = usize::try_from(size).map_err(|_| OpError::invalid(format!("sample_size is {size}")))?;
    if classes == 0 && rows * size > 0 {
        return Err(OpError::invalid("no class to draw"));
    }
    let dtype = draws::dtype(&cx.attrs, None)?.unwrap_or(I32);
    let mut out = Vec::with_capacity(Tensor::zeros(I64, &[rows, size])?.len());
    let mut g = draws::generator(&cx.attrs)?;
    for row in x.to_f64s()?.chunks(classes.max(1)).take(rows) {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = row.iter().map(|v| (v - top).exp()).collect::<Vec<_>>();
        let total = weights.iter().sum::<f64>();
        for _ in 0..size {
            let mut left = g.uniform(0.0, total);
            let class = weights.iter().position(|w| {
                left -= w;
                left < 0.0
            });
            out.push(class.unwrap_or(classes - 1) as i64);
        }
    }
    Ok(vec![Tensor::from_i64s(dtype, &[rows, size], &out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in SCHEMA.types[0].set.dtypes() {
        let x = s.any(dtype, &[2, 5]);
        s.case().attr("sample_size", 4).attr("seed", 2.0f32).input(x).add();
    }
    for shape in [&[1, 1][..], &[3, 7], &[0, 4]] {
        let x = s.any(F32, shape);
        s.case().attr("dtype", I64).input(x).add();
    }
}
