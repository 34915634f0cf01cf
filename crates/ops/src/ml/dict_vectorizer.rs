//! DictVectorizer: the values of a map in the order of a vocabulary of keys; a missing key gives zero.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_DictVectorizer.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[
        AttrDef::optional("int64_vocabulary", AttrKind::Ints),
        AttrDef::optional("string_vocabulary", AttrKind::Strings),
    ],
    types: &[
        types_of("T1", TypeSet::tensors(&[]).and_maps()),
        types_of("T2", TypeSet::tensors(&[F32, F64, I64, String])),
    ],
};

/// The ONNX operator DictVectorizer.
pub static DICT_VECTORIZER: OpDef = OpDef {
    name: "DictVectorizer",
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

use modelsmith_tensor::MapKeys;

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = match cx.attrs.opt_ints("int64_vocabulary")?.filter(|c| !c.is_empty()) {
        Some(c) => c.len(),
        None => cx.attrs.opt_strings("string_vocabulary")?.map_or(0, |c| c.len()),
    };
    let dtype = match cx.ty(0) {
        Type::Map(_, item) => item.dtype(),
        _ => None,
    };
    cx.set_tensor(0, dtype, Some(vec![Dim::Known(1), n.into()]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let Some(Value::Map(map)) = inputs.first().copied().flatten() else {
        return Err(OpError::invalid("a map is wanted"));
    };
    let places = match &map.keys {
        MapKeys::Ints(_, keys) => {
            let wanted = cx.attrs.ints("int64_vocabulary")?;
            wanted.iter().map(|w| keys.iter().position(|k| k == w)).collect::<Vec<_>>()
        }
        MapKeys::Strings(keys) => {
            let wanted = cx.attrs.strings("string_vocabulary")?;
            wanted.iter().map(|w| keys.iter().position(|k| k == w)).collect()
        }
    };
    let values = map.values.iter().map(Value::tensor).collect::<Result<Vec<_>, _>>()?;
    let dtype = values.first().map_or(F32, |t| t.dtype());
    let zero = Tensor::zeros(dtype, &[1])?;
    let all = values.iter().copied().chain([&zero]).collect::<Vec<_>>();
    let from = places.iter().map(|p| p.unwrap_or(values.len()));
    Ok(vec![moves::pool(&all)?.gathered(&[1, places.len()], from)?.into()])
}

fn samples(s: &mut Samples) {
    use modelsmith_tensor::Map;
    let map = |keys: MapKeys, values: [Tensor; 2]| Value::Map(Map { keys, values: values.map(Value::from).to_vec() });
    let words = |w: [&str; 2]| w.map(str::to_owned).to_vec();
    for dtype in [I64, F32, F64] {
        let values = [s.any(dtype, &[]), s.any(dtype, &[])];
        let x = map(MapKeys::Strings(words(["a", "c"])), values);
        s.case().input(x).attr("string_vocabulary", vec!["c".to_owned(), "b".to_owned(), "a".to_owned()]).add();
    }
    for dtype in [DType::String, F32, F64] {
        let values = [s.any(dtype, &[]), s.any(dtype, &[])];
        let x = map(MapKeys::Ints(I64, vec![4, 2]), values);
        s.case().input(x).attr("int64_vocabulary", [1, 2, 4]).add();
    }
}
