//! Activation functions that recurrent operators name in their attribute `activations`.

use crate::nn::{sigmoid::sigmoid, softplus::softplus};
use crate::prelude::*;

/// A function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Activation {
    Relu,
    Tanh,
    Sigmoid,
    Softsign,
    Softplus,
    Affine { alpha: f64, beta: f64 },
    LeakyRelu { alpha: f64 },
    ThresholdedRelu { alpha: f64 },
    ScaledTanh { alpha: f64, beta: f64 },
    HardSigmoid { alpha: f64, beta: f64 },
    Elu { alpha: f64 },
}

impl Activation {
    /// The value at `x`.
    pub fn at(self, x: f64) -> f64 {
        match self {
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => sigmoid(x),
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::Softplus => softplus(x),
            Activation::Affine { alpha, beta } => alpha * x + beta,
            Activation::LeakyRelu { alpha } => x * if x < 0.0 { alpha } else { 1.0 },
            Activation::ThresholdedRelu { alpha } => x * f64::from(u8::from(x >= alpha)),
            Activation::ScaledTanh { alpha, beta } => alpha * (beta * x).tanh(),
            Activation::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Activation::Elu { alpha } => match x < 0.0 {
                true => alpha * x.exp_m1(),
                false => x,
            },
        }
    }

    /// The functions called `names`, in any case; each takes the next of `alpha` and `beta` if it has such a parameter
    /// and the list has one left.
    ///
    /// # Errors
    /// When a name is unknown.
    pub fn read(names: &[impl AsRef<str>], alpha: &[f32], beta: &[f32]) -> OpResult<Vec<Activation>> {
        let (mut alpha, mut beta) = (alpha.iter(), beta.iter());
        let mut a = |default: f64| alpha.next().map_or(default, |&x| x.into());
        let mut b = |default: f64| beta.next().map_or(default, |&x| x.into());
        let one = |name| {
            let name = AsRef::<str>::as_ref(name);
            Ok(match name.to_ascii_lowercase().as_str() {
                "relu" => Activation::Relu,
                "tanh" => Activation::Tanh,
                "sigmoid" => Activation::Sigmoid,
                "softsign" => Activation::Softsign,
                "softplus" => Activation::Softplus,
                "affine" => Activation::Affine { alpha: a(1.0), beta: b(0.0) },
                "leakyrelu" => Activation::LeakyRelu { alpha: a(f64::from(0.01f32)) },
                "thresholdedrelu" => Activation::ThresholdedRelu { alpha: a(1.0) },
                "scaledtanh" => Activation::ScaledTanh { alpha: a(1.0), beta: b(1.0) },
                "hardsigmoid" => Activation::HardSigmoid { alpha: a(f64::from(0.2f32)), beta: b(0.5) },
                "elu" => Activation::Elu { alpha: a(1.0) },
                _ => return Err(OpError::invalid(format!("activation {name:?} is unknown"))),
            })
        };
        names.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_to_the_functions_that_take_them() {
        let names = ["Sigmoid", "HARDSIGMOID", "LeakyRelu", "Elu"];
        let read = Activation::read(&names, &[0.5, 0.25], &[0.125]).unwrap();
        assert_eq!(read[1], Activation::HardSigmoid { alpha: 0.5, beta: 0.125 });
        assert_eq!((read[2], read[3]), (Activation::LeakyRelu { alpha: 0.25 }, Activation::Elu { alpha: 1.0 }));
    }
}
