//! OneHotEncoder: for each element a row with 1 at the place of its category; an unknown one gives zeros, or fails without `zeros`.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_OneHotEncoder.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[
        AttrDef::optional("cats_int64s", AttrKind::Ints),
        AttrDef::optional("cats_strings", AttrKind::Strings),
        AttrDef::int("zeros", 1),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64, String]))],
};

/// The ONNX operator OneHotEncoder.
pub static ONE_HOT_ENCODER: OpDef = OpDef {
    name: "OneHotEncoder",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = match cx.attrs.opt_ints("cats_int64s")?.filter(|c| !c.is_empty()) {
        Some(c) => c.len(),
        None => cx.attrs.opt_strings("cats_strings")?.map_or(0, |c| c.len()),
    };
    cx.set_tensor(0, Some(F32), cx.shape(0).map(|x| [x, &[n.into()]].concat()));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (places, n) = match x.strings() {
        Ok(words) => {
            let cats = cx.attrs.strings("cats_strings")?;
            (words.iter().map(|w| cats.iter().position(|c| c == w)).collect::<Vec<_>>(), cats.len())
        }
        Err(_) => {
            let cats = cx.attrs.ints("cats_int64s")?;
            let place = |v: f64| cats.iter().position(|&c| c == v as i64);
            (x.to_f64s()?.into_iter().map(place).collect(), cats.len())
        }
    };
    if places.contains(&None) && !cx.attrs.flag("zeros")? {
        return Err(OpError::invalid("an element is of no category"));
    }
    let mut out = vec![0f32; places.len() * n];
    places.iter().enumerate().filter_map(|(i, p)| Some(i * n + (*p)?)).for_each(|at| out[at] = 1.0);
    Ok(vec![Tensor::new(&[x.shape(), &[n]].concat(), out)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64, I32, I64] {
        let x = s.ints(dtype, &[2, 2], 0, 3);
        s.case().input(x).attr("cats_int64s", [2, 0, 3]).add();
    }
    let x = s.any(DType::String, &[3]);
    s.case().input(x).attr("cats_strings", vec!["a".to_owned(), "ONNX".to_owned()]).add();
    s.case().input(Tensor::vector(&[1i64, 2])).attr("cats_int64s", [1, 2]).attr("zeros", 0).add();
}
