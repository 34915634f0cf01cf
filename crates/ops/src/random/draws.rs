//! Draws from distributions, repeatable for one seed: shared by the operators of chance. The specification leaves the
//! generator open, so results agree with other programs in distribution only.

use crate::prelude::*;
use std::f64::consts::TAU;

/// The generator that a node's `seed` starts; 0 when it has none.
///
/// # Errors
/// When the attribute is of another kind.
pub fn generator(attrs: &AttrView) -> OpResult<Samples> {
    Ok(Samples::new(u64::from(attrs.opt_float("seed")?.unwrap_or(0.0).to_bits())))
}

/// Element type that the attribute `dtype` names, or `otherwise`.
///
/// # Errors
/// When the number names no type.
pub fn dtype(attrs: &AttrView, otherwise: Option<DType>) -> OpResult<Option<DType>> {
    Ok(attrs.opt_dtype("dtype")?.or(otherwise))
}

/// Sizes in the attribute `shape`.
///
/// # Errors
/// When one is negative.
pub fn shape(attrs: &AttrView) -> OpResult<Vec<usize>> {
    let size = |n: i64| usize::try_from(n).map_err(|_| OpError::invalid(format!("shape holds {n}")));
    attrs.ints("shape")?.into_iter().map(size).collect()
}

/// Which distribution the attributes describe.
#[derive(Clone, Copy)]
pub enum Law {
    /// Even between `low` and `high`.
    Uniform,
    /// The bell curve of `mean` and `scale`.
    Normal,
}

/// A tensor of draws.
///
/// # Errors
/// When it is too large or the type cannot hold numbers.
pub fn tensor(attrs: &AttrView, law: Law, dtype: DType, shape: &[usize]) -> OpResult<Vec<Value>> {
    let n = Tensor::zeros(F64, shape)?.len();
    let mut g = generator(attrs)?;
    let values = match law {
        Law::Uniform => {
            let (low, high) = (f64::from(attrs.float("low")?), f64::from(attrs.float("high")?));
            (0..n).map(|_| g.uniform(low, high)).collect::<Vec<_>>()
        }
        Law::Normal => {
            let (mean, scale) = (f64::from(attrs.float("mean")?), f64::from(attrs.float("scale")?));
            (0..n).map(|_| mean + scale * bell(&mut g)).collect()
        }
    };
    Ok(vec![Tensor::from_f64s(dtype, shape, &values)?.into()])
}

/// One draw of the standard normal distribution (Box and Muller 1958).
fn bell(g: &mut Samples) -> f64 {
    let (radius, angle) = (1.0 - g.uniform(0.0, 1.0), g.uniform(0.0, TAU));
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

/// Type of an operator that takes shape, and by default element type, from input 0.
///
/// # Errors
/// When `dtype` names no type.
pub fn infer_like(cx: &mut InferCx) -> OpResult<()> {
    let dtype = dtype(&cx.attrs, cx.dtype(0))?;
    cx.set_tensor(0, dtype, cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

/// Type of an operator that takes shape and element type from attributes.
///
/// # Errors
/// When they are not valid.
pub fn infer_given(cx: &mut InferCx) -> OpResult<()> {
    let shape = shape(&cx.attrs)?.into_iter().map(Dim::from).collect();
    cx.set_tensor(0, dtype(&cx.attrs, None)?, Some(shape));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bell_has_mean_0_and_variance_1() {
        let mut g = Samples::new(3);
        let x = (0..20_000).map(|_| bell(&mut g)).collect::<Vec<_>>();
        let mean = x.iter().sum::<f64>() / 20_000.0;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
