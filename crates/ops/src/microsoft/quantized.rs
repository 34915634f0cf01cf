//! What the quantized operators of `com.microsoft` share: operands with scales and zero points made real, and results
//! quantized again.

use crate::prelude::*;

/// The real values of operands `i`, `i + 1` (scale) and `i + 2` (zero point, may be absent).
///
/// # Errors
/// When one that is required is absent.
pub(crate) fn real(b: &mut Builder, node: NodeId, i: usize) -> OpResult<ValueId> {
    let parts = [Some(b.input(node, i)?), Some(b.input(node, i + 1)?), b.opt_input(node, i + 2)];
    Ok(b.node("", "DequantizeLinear", &parts, Attrs::new(), 1)?[0])
}

/// `x` quantized by operands `i` (scale) and `i + 1` (zero point, may be absent) to the type of operand `like`.
///
/// # Errors
/// When that type is not known.
pub(crate) fn again(b: &mut Builder, node: NodeId, x: ValueId, i: usize, like: usize) -> OpResult<Vec<ValueId>> {
    let like = b.input(node, like)?;
    let dtype = b.ty(like).dtype().ok_or_else(|| OpError::unsupported("an operand of unknown type"))?;
    let parts = [Some(x), Some(b.input(node, i)?), b.opt_input(node, i + 1)];
    b.node("", "QuantizeLinear", &parts, Attrs::new().with("output_dtype", dtype), 1)
}

/// `x` with the dimension of channels, the last here, moved behind that of batches, or back.
///
/// # Errors
/// When the rank is not known.
pub(crate) fn channels(b: &mut Builder, x: ValueId, first: bool) -> OpResult<ValueId> {
    let rank = b.ty(x).rank().filter(|&r| r > 2).ok_or_else(|| OpError::unsupported("an operand of unknown rank"))?;
    let last = rank as i64 - 1;
    let perm = match first {
        true => [0, last].into_iter().chain(1..last).collect::<Vec<_>>(),
        false => [0].into_iter().chain(2..=last).chain([1]).collect(),
    };
    b.op_with("Transpose", &[x], Attrs::new().with("perm", perm))
}

/// Inputs of an operator on one quantized tensor.
pub(crate) const UNARY: &[Param] = &[
    Param::one("X", "T"),
    Param::one("X_scale", "tensor(float)"),
    Param::opt("X_zero_point", "T"),
    Param::one("Y_scale", "tensor(float)"),
    Param::opt("Y_zero_point", "T"),
];

/// Samples of an operator on one quantized tensor of each of these shapes, with the attributes that `more` sets.
pub(crate) fn samples(s: &mut Samples, shapes: &[&[usize]], attrs: &[Attrs]) {
    for (dtype, shape) in BYTES.dtypes().flat_map(|d| shapes.iter().map(move |s| (d, s))) {
        for attrs in attrs {
            let (x, p, q) = (s.ints(dtype, shape, 0, 120), s.any(dtype, &[]), s.any(dtype, &[]));
            let scale = |v: f32| Tensor::scalar(v);
            let with = |mut case: modelsmith_ir::Case<'_>| {
                for (name, value) in attrs.iter() {
                    case = case.attr(name, value.clone());
                }
                case.add();
            };
            with(s.case().input(x.clone()).input(scale(0.05)).input(p).input(scale(0.06)).input(q));
            with(s.case().input(x).input(scale(0.05)).absent().input(scale(0.06)));
        }
    }
}
