//! Element types of results: PyTorch's rules of promotion.

use super::context::Context;
use super::error::Outcome;
use super::value::{Kind, Val};
use modelsmith_base::DType;
use modelsmith_ir::ValueId;

/// Tensors with dimensions count before tensors without, those before numbers.
#[derive(Default)]
struct Found {
    tensors: Option<DType>,
    scalars: Option<DType>,
    numbers: Option<DType>,
}

/// 0 for flags, 1 for integers, 2 for floats, 3 for complex numbers.
fn category(d: DType) -> u8 {
    match d {
        DType::Bool => 0,
        d if d.is_complex() => 3,
        d if d.is_float() => 2,
        _ => 1,
    }
}

/// The type to which both go.
pub(crate) fn promote(a: DType, b: DType) -> DType {
    use DType::{BF16, Complex64, Complex128, F16, F32, F64, I8, I16, I32, I64, U8};
    if a == b {
        return a;
    }
    let (low, high) = if category(a) <= category(b) { (a, b) } else { (b, a) };
    if category(low) != category(high) {
        return match (low, high) {
            (F64, Complex64) => Complex128,
            _ => high,
        };
    }
    let order = [U8, I8, I16, I32, I64, F16, BF16, F32, F64, Complex64, Complex128];
    let place = |d: DType| order.iter().position(|&o| o == d).unwrap_or(0);
    match (low, high) {
        (U8, I8) | (I8, U8) => I16,
        (F16, BF16) | (BF16, F16) => F32,
        _ if place(low) > place(high) => low,
        _ => high,
    }
}

fn join(have: Option<DType>, more: DType) -> Option<DType> {
    Some(have.map_or(more, |h| promote(h, more)))
}

/// The higher kind decides, unless the lower one is of a higher category.
fn combine(higher: Option<DType>, lower: Option<DType>) -> Option<DType> {
    match (higher, lower) {
        (Some(h), Some(l)) if category(l) > category(h) => Some(promote(h, l)),
        (Some(h), _) => Some(h),
        (None, l) => l,
    }
}

impl Context {
    /// The element type in which `values`, numbers and tensors, meet.
    pub(crate) fn common(&mut self, values: &[&Val]) -> Outcome<DType> {
        let mut found = Found::default();
        for v in values {
            match v {
                Val::Tensor(t) => {
                    let v = self.read(*t)?;
                    let dtype = self.dtype(v)?;
                    match self.ty(v).rank() {
                        Some(0) => found.scalars = join(found.scalars, dtype),
                        _ => found.tensors = join(found.tensors, dtype),
                    }
                }
                other => {
                    let dtype = match other.number() {
                        Some(Kind::Bool) => DType::Bool,
                        Some(Kind::Int) => DType::I64,
                        _ => DType::F32,
                    };
                    found.numbers = join(found.numbers, dtype);
                }
            }
        }
        Ok(combine(combine(found.tensors, found.scalars), found.numbers).unwrap_or(DType::F32))
    }

    /// `v` as a float: integers and flags become the default type.
    pub(crate) fn floating(&mut self, v: ValueId) -> Outcome<ValueId> {
        let dtype = self.dtype(v)?;
        match dtype.is_float() || dtype.is_complex() {
            true => Ok(v),
            false => self.cast(v, DType::F32),
        }
    }
}
