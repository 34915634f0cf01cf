//! CategoryMapper: strings to the integers at the same place of two lists, or integers to strings; what is in neither takes the
//! default.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_CategoryMapper.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[
        AttrDef::optional("cats_int64s", AttrKind::Ints),
        AttrDef::optional("cats_strings", AttrKind::Strings),
        AttrDef::int("default_int64", -1),
        AttrDef::string("default_string", "_Unused"),
    ],
    types: &[types_of("T1", TypeSet::tensors(&[I64, String])), types_of("T2", TypeSet::tensors(&[I64, String]))],
};

/// The ONNX operator CategoryMapper.
pub static CATEGORY_MAPPER: OpDef = OpDef {
    name: "CategoryMapper",
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
    let dtype = cx.dtype(0).map(|d| if d == DType::String { I64 } else { DType::String });
    cx.set_tensor(0, dtype, cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let (numbers, words) = (cx.attrs.ints("cats_int64s")?, cx.attrs.strings("cats_strings")?);
    if numbers.len() != words.len() {
        return Err(OpError::invalid(format!("{} integers and {} strings", numbers.len(), words.len())));
    }
    if let Ok(given) = x.strings() {
        let default = cx.attrs.int("default_int64")?;
        let find = |w| words.iter().position(|c| c == w).map_or(default, |i| numbers[i]);
        return Ok(vec![Tensor::new(x.shape(), given.iter().map(find).collect())?.into()]);
    }
    let default = cx.attrs.string("default_string")?.to_owned();
    let find = |v| numbers.iter().position(|c| *c == v).map_or_else(|| default.clone(), |i| words[i].clone());
    Ok(vec![Tensor::from_strings(x.shape(), x.to_i64s()?.into_iter().map(find).collect())?.into()])
}

fn samples(s: &mut Samples) {
    let words = vec!["a".to_owned(), "ONNX".to_owned()];
    let (x, y) = (s.any(DType::String, &[2, 3]), s.ints(I64, &[4], 0, 3));
    let case = s.case().input(x).attr("cats_int64s", [3, 1]).attr("cats_strings", words.clone());
    case.attr("default_int64", 9).add();
    let case = s.case().input(y).attr("cats_int64s", [3, 1]).attr("cats_strings", words);
    case.attr("default_string", "none").add();
}
