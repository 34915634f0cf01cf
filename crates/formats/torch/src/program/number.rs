//! Numbers and element types as TorchScript writes them.

use modelsmith_base::DType;
use modelsmith_tensor::Tensor;

/// The number by which PyTorch knows an element type; `None` for those that it hardly computes with.
pub(super) fn code(dtype: DType) -> Option<i64> {
    Some(match dtype {
        DType::U8 => 0,
        DType::I8 => 1,
        DType::I16 => 2,
        DType::I32 => 3,
        DType::I64 => 4,
        DType::F16 => 5,
        DType::F32 => 6,
        DType::F64 => 7,
        DType::Bool => 11,
        DType::BF16 => 15,
        _ => return None,
    })
}

/// A number that is read as the same again.
pub(super) fn float(x: f64) -> String {
    match x {
        x if x.is_nan() => "nan".to_owned(),
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        x => format!("{x:?}"),
    }
}

/// A number of 32 bits, in as few digits as tell it from others: PyTorch computes with it in 32 bits again. Those
/// digits may lie beyond the largest number, which PyTorch refuses.
pub(super) fn narrow(x: f32) -> String {
    match x.abs() < 1e38 {
        true => format!("{x:?}"),
        false => float(f64::from(x)),
    }
}

/// The elements of a tensor, one by one; `None` for types of which there are no literals.
pub(super) fn elements(t: &Tensor) -> Option<Vec<String>> {
    match t.dtype() {
        DType::Bool => Some(t.to_i64s().ok()?.into_iter().map(|x| truth(x != 0).to_owned()).collect()),
        DType::F32 => Some(t.to_f64s().ok()?.into_iter().map(|x| narrow(shorter(x))).collect()),
        DType::F16 | DType::BF16 | DType::F64 => Some(t.to_f64s().ok()?.into_iter().map(float).collect()),
        d if d.is_int() && code(d).is_some() => Some(t.to_i64s().ok()?.iter().map(i64::to_string).collect()),
        _ => None,
    }
}

/// A number that came from 32 bits.
#[allow(clippy::as_conversions, reason = "there is no other way to round, and nothing is lost")]
fn shorter(x: f64) -> f32 {
    x as f32
}

/// `[a, b]`.
pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// `[1, 2]`.
pub(super) fn ints(items: &[i64]) -> String {
    list(&items.iter().map(i64::to_string).collect::<Vec<_>>())
}

/// `True` or `False`.
pub(super) fn truth(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}
