//! CastMap: the values of a map with integer keys as one row, in the order of the keys (`DENSE`) or each at its key (`SPARSE`).
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_CastMap.html>

use crate::prelude::*;

use crate::shape::cast;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[AttrDef::string("cast_to", "TO_FLOAT"), AttrDef::string("map_form", "DENSE"), AttrDef::int("max_map", 1)],
    types: &[types_of("T1", TypeSet::tensors(&[]).and_maps()), types_of("T2", TypeSet::tensors(&[F32, I64, String]))],
};

/// The ONNX operator CastMap.
pub static CAST_MAP: OpDef = OpDef {
    name: "CastMap",
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

fn target(attrs: &AttrView) -> OpResult<DType> {
    match attrs.string("cast_to")? {
        "TO_FLOAT" => Ok(F32),
        "TO_STRING" => Ok(DType::String),
        "TO_INT64" => Ok(I64),
        other => Err(OpError::invalid(format!("cast_to {other:?}"))),
    }
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let columns = match cx.attrs.string("map_form")? {
        "SPARSE" => Dim::Known(cx.attrs.int("max_map")?),
        _ => Dim::Unknown,
    };
    let dtype = target(&cx.attrs)?;
    cx.set_tensor(0, Some(dtype), Some(vec![Dim::Known(1), columns]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let Some(Value::Map(map)) = inputs.first().copied().flatten() else {
        return Err(OpError::invalid("a map is wanted"));
    };
    let MapKeys::Ints(_, keys) = &map.keys else { return Err(OpError::invalid("a map with integer keys is wanted")) };
    let values = map.values.iter().map(Value::tensor).collect::<Result<Vec<_>, _>>()?;
    let mut order = (0..keys.len().min(values.len())).collect::<Vec<_>>();
    order.sort_by_key(|&i| keys[i]);
    let to = target(&cx.attrs)?;
    let filler =
        if to == DType::String { Tensor::from_strings(&[1], vec!["0.f".into()])? } else { Tensor::zeros(to, &[1])? };
    let modes = cast::Modes::PLAIN;
    let cast = values.iter().map(|t| cast::convert(t, to, &modes)).collect::<OpResult<Vec<_>>>()?;
    let all = moves::pool(&cast.iter().chain([&filler]).collect::<Vec<_>>())?;
    if cx.attrs.string("map_form")? == "DENSE" {
        return Ok(vec![all.gathered(&[1, order.len()], order.into_iter())?.into()]);
    }
    let n = moves::sizes(&[cx.attrs.int("max_map")?])?[0];
    let mut from = vec![values.len(); n];
    for i in order {
        let at = usize::try_from(keys[i]).ok().filter(|&k| k < n);
        from[at.ok_or_else(|| OpError::invalid(format!("key {} of a row of {n}", keys[i])))?] = i;
    }
    Ok(vec![all.gathered(&[1, n], from.into_iter())?.into()])
}

fn samples(s: &mut Samples) {
    use modelsmith_tensor::Map;
    let keys = MapKeys::Ints(I64, vec![3, 1]);
    for to in ["TO_FLOAT", "TO_STRING", "TO_INT64"] {
        let numbers = vec![Tensor::scalar(1.5f32).into(), Tensor::scalar(-2f32).into()];
        let texts =
            ["4", "-5"].map(|t| Tensor::from_strings(&[], vec![t.into()]).unwrap_or_else(|_| Tensor::scalar(0f32)));
        for values in [numbers, texts.map(Value::from).to_vec()] {
            let x = Value::Map(Map { keys: keys.clone(), values });
            s.case().input(x.clone()).attr("cast_to", to).add();
            s.case().input(x).attr("cast_to", to).attr("map_form", "SPARSE").attr("max_map", 5).add();
        }
    }
}
