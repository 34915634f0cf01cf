//! ZipMap: for each row a map from the labels to its elements.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_ZipMap.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "tensor(float)")],
    outputs: &[Param::one("Z", "T")],
    attrs: &[
        AttrDef::optional("classlabels_int64s", AttrKind::Ints),
        AttrDef::optional("classlabels_strings", AttrKind::Strings),
    ],
    types: &[types_of("T", TypeSet::tensors(&[]).and_maps())],
};

/// The ONNX operator ZipMap.
pub static ZIP_MAP: OpDef = OpDef {
    name: "ZipMap",
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

use modelsmith_tensor::{Map, MapKeys};

fn keys(attrs: &AttrView) -> OpResult<MapKeys> {
    match (attrs.opt_ints("classlabels_int64s")?, attrs.opt_strings("classlabels_strings")?) {
        (Some(k), None) => Ok(MapKeys::Ints(I64, k)),
        (None, Some(k)) => Ok(MapKeys::Strings(k)),
        (Some(k), Some(s)) if s.is_empty() => Ok(MapKeys::Ints(I64, k)),
        (Some(k), Some(s)) if k.is_empty() => Ok(MapKeys::Strings(s)),
        _ => Err(OpError::invalid("one of classlabels_int64s and classlabels_strings is wanted")),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let key = match keys(&cx.attrs)? {
        MapKeys::Ints(dtype, _) => dtype,
        MapKeys::Strings(_) => DType::String,
    };
    cx.set(0, Type::Sequence(Box::new(Type::Map(key, Box::new(Type::fixed(F32, &[]))))));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, keys) = (cx.tensor(inputs, 0)?, keys(&cx.attrs)?);
    let width = match &keys {
        MapKeys::Ints(_, k) => k.len(),
        MapKeys::Strings(k) => k.len(),
    };
    if x.shape().last() != Some(&width) || x.rank() > 2 {
        return Err(OpError::invalid(format!("{width} labels for shape {:?}", x.shape())));
    }
    let all = x.as_slice::<f32>()?;
    let map = |row: &[f32]| {
        let values = row.iter().map(|&v| Tensor::scalar(v).into()).collect();
        Value::Map(Map { keys: keys.clone(), values })
    };
    Ok(vec![Value::Sequence(all.chunks(width.max(1)).map(map).collect())])
}

fn samples(s: &mut Samples) {
    let words = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let (x, y) = (s.any(F32, &[2, 3]), s.any(F32, &[3]));
    s.case().input(x).attr("classlabels_int64s", [3, 1, 2]).add();
    s.case().input(y).attr("classlabels_strings", words).add();
}
