//! LabelEncoder: each element looked up among the keys and replaced by the value at the same place, or by the default. Of a repeated
//! key the last counts; NaN finds NaN.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_LabelEncoder.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[
        AttrDef::float("default_float", -0.0),
        AttrDef::int("default_int64", -1),
        AttrDef::string("default_string", "_Unused"),
        AttrDef::optional("default_tensor", AttrKind::Tensor),
        AttrDef::optional("keys_floats", AttrKind::Floats),
        AttrDef::optional("keys_int64s", AttrKind::Ints),
        AttrDef::optional("keys_strings", AttrKind::Strings),
        AttrDef::optional("keys_tensor", AttrKind::Tensor),
        AttrDef::optional("values_floats", AttrKind::Floats),
        AttrDef::optional("values_int64s", AttrKind::Ints),
        AttrDef::optional("values_strings", AttrKind::Strings),
        AttrDef::optional("values_tensor", AttrKind::Tensor),
    ],
    types: &[
        types_of("T1", TypeSet::tensors(&[F32, F64, I16, I32, I64, String])),
        types_of("T2", TypeSet::tensors(&[F32, F64, I16, I32, I64, String])),
    ],
};

/// The ONNX operator LabelEncoder.
pub static LABEL_ENCODER: OpDef = OpDef {
    name: "LabelEncoder",
    domain: "ai.onnx.ml",
    since: 4,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[
                    AttrDef::optional("classes_strings", AttrKind::Strings),
                    AttrDef::int("default_int64", -1),
                    AttrDef::string("default_string", "_Unused"),
                ],
                types: &[
                    types_of("T1", TypeSet::tensors(&[I64, String])),
                    types_of("T2", TypeSet::tensors(&[I64, String])),
                ],
                ..SCHEMA
            },
            up: Adapt::Rewrite(from_classes),
            down: Adapt::Rewrite(to_classes),
        },
        Past {
            since: 2,
            schema: Schema {
                attrs: &[
                    AttrDef::float("default_float", -0.0),
                    AttrDef::int("default_int64", -1),
                    AttrDef::string("default_string", "_Unused"),
                    AttrDef::optional("keys_floats", AttrKind::Floats),
                    AttrDef::optional("keys_int64s", AttrKind::Ints),
                    AttrDef::optional("keys_strings", AttrKind::Strings),
                    AttrDef::optional("values_floats", AttrKind::Floats),
                    AttrDef::optional("values_int64s", AttrKind::Ints),
                    AttrDef::optional("values_strings", AttrKind::Strings),
                ],
                types: &[
                    types_of("T1", TypeSet::tensors(&[F32, I64, String])),
                    types_of("T2", TypeSet::tensors(&[F32, I64, String])),
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

use std::collections::HashMap;
use std::string::String;

/// Opset 1 mapped between strings and their places in one list, in the direction that the operand's type says.
fn from_classes(cx: &mut AdaptCx) -> OpResult<()> {
    let Some(Attr::Strings(classes)) = cx.attrs().remove("classes_strings") else {
        return Err(OpError::invalid("attribute classes_strings is required"));
    };
    let places = (0..classes.len() as i64).collect::<Vec<_>>();
    match cx.input(0).and_then(|v| cx.model.ty(v).dtype()) {
        Some(DType::String) => {
            cx.attrs().set("keys_strings", classes);
            cx.attrs().set("values_int64s", places);
        }
        Some(_) => {
            cx.attrs().set("keys_int64s", places);
            cx.attrs().set("values_strings", classes);
        }
        None => return Err(OpError::unsupported("an operand of unknown element type")),
    }
    Ok(())
}

fn to_classes(cx: &mut AdaptCx) -> OpResult<()> {
    let pairs = [("keys_strings", "values_int64s"), ("values_strings", "keys_int64s")];
    for (words, numbers) in pairs {
        let (a, b) = (cx.attrs().get(words).cloned(), cx.attrs().get(numbers).cloned());
        if let (Some(Attr::Strings(classes)), Some(Attr::Ints(places))) = (a, b)
            && places.iter().enumerate().all(|(i, &p)| p == i as i64)
            && places.len() == classes.len()
        {
            cx.attrs().remove(words);
            cx.attrs().remove(numbers);
            cx.attrs().set("classes_strings", classes);
            return Ok(());
        }
    }
    Err(OpError::unsupported("opset 1 maps between strings and their places only"))
}

/// The list under one of the names `{kind}_strings` and so on.
fn list(attrs: &AttrView, tensor: Option<Tensor>, kind: &str) -> OpResult<Option<Tensor>> {
    if let Some(t) = tensor {
        return Ok(Some(t));
    }
    if let Some(v) = attrs.opt_strings(&format!("{kind}_strings"))? {
        return Ok(Some(Tensor::from_strings(&[v.len()], v)?));
    }
    if let Some(v) = attrs.opt_ints(&format!("{kind}_int64s"))? {
        return Ok(Some(Tensor::vector(&v)));
    }
    Ok(attrs.opt_floats(&format!("{kind}_floats"))?.map(|v| Tensor::vector(&v)))
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Bits(u64),
}

fn keys(t: &Tensor) -> OpResult<Vec<Key>> {
    if let Ok(words) = t.strings() {
        return Ok(words.iter().cloned().map(Key::Text).collect());
    }
    if t.dtype().is_float() {
        let bits = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { (v + 0.0).to_bits() };
        return Ok(t.to_f64s()?.into_iter().map(|v| Key::Bits(bits(v))).collect());
    }
    Ok(t.to_i64s()?.into_iter().map(|v| Key::Bits(v as u64)).collect())
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let dtype = match cx.attrs.opt_tensor("values_tensor")? {
        Some(w) => Some(w.dtype()),
        None => list(&cx.attrs, None, "values")?.map(|t| t.dtype()),
    };
    cx.set_tensor(0, dtype, cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let missing = || OpError::invalid("keys and values are wanted");
    let from = list(&cx.attrs, cx.tensor_attr("keys_tensor")?, "keys")?.ok_or_else(missing)?;
    let to = list(&cx.attrs, cx.tensor_attr("values_tensor")?, "values")?.ok_or_else(missing)?;
    if from.len() != to.len() || from.dtype() != x.dtype() {
        let (n, m) = (from.len(), to.len());
        return Err(OpError::invalid(format!("{n} keys of type {} and {m} values for {}", from.dtype(), x.dtype())));
    }
    let default = match cx.tensor_attr("default_tensor")? {
        Some(t) => t.reshaped(&[1])?,
        None => match to.dtype() {
            DType::String => Tensor::from_strings(&[1], vec![cx.attrs.string("default_string")?.into()])?,
            d if d.is_int() => Tensor::from_i64s(d, &[1], &[cx.attrs.int("default_int64")?])?,
            d => Tensor::from_f64s(d, &[1], &[cx.attrs.float("default_float")?.into()])?,
        },
    };
    let place = keys(&from)?.into_iter().enumerate().map(|(i, k)| (k, i)).collect::<HashMap<_, _>>();
    let at = keys(x)?.into_iter().map(|k| place.get(&k).copied().unwrap_or(to.len())).collect::<Vec<_>>();
    Ok(vec![moves::pool(&[&to, &default])?.gathered(x.shape(), at.into_iter())?.into()])
}

fn samples(s: &mut Samples) {
    let words = |w: &[&str]| w.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
    let text = |w: &[&str]| Tensor::from_strings(&[w.len()], words(w)).unwrap_or_else(|_| Tensor::scalar(0i32));
    let x = text(&["a", "x", "b"]);
    let case = s.case().input(x.clone()).attr("keys_strings", words(&["a", "b"])).attr("values_int64s", [0, 1]);
    case.attr("default_int64", 7).add();
    let case = s.case().input(x.clone()).attr("keys_strings", words(&["a", "b", "a"]));
    case.attr("values_floats", vec![0.5f32, 1.5, 2.5]).attr("default_float", -2.0f32).add();
    let case = s.case().input(x).attr("keys_strings", words(&["b"])).attr("values_strings", words(&["z"]));
    case.attr("default_string", "none").add();
    let case = s.case().input(Tensor::vector(&[1i64, 9, 0])).attr("keys_int64s", [0, 1]);
    case.attr("values_strings", words(&["p", "q"])).add();
    let case = s.case().input(Tensor::vector(&[f32::NAN, 1.0, -0.0])).attr("keys_floats", vec![0.0f32, f32::NAN]);
    case.attr("values_int64s", [3, 4]).add();
    for dtype in [F32, F64, I16, I32, I64, DType::String] {
        let (x, v, d) = (s.any(dtype, &[2, 2]), s.any(dtype, &[1]), s.any(dtype, &[1]));
        let key = x.reshaped(&[4]).and_then(|t| t.gathered(&[1], [0].into_iter())).unwrap_or_else(|_| v.clone());
        s.case().input(x).attr("keys_tensor", key).attr("values_tensor", v).attr("default_tensor", d).add();
    }
}
