//! The discrete Fourier transform of complex numbers, shared by DFT and STFT.

use std::f64::consts::TAU;

/// A complex number: real and imaginary part.
pub type Complex = [f64; 2];

fn times(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

/// The number with the other sign of its imaginary part.
pub fn conjugate(x: Complex) -> Complex {
    [x[0], -x[1]]
}

/// The transform of signals of one length.
pub struct Transform {
    unit: Vec<Complex>,
    inverse: bool,
}

impl Transform {
    /// `y[k] = sum x[n] e^(-2 pi j k n / N)` for `N = n`, with the other sign and divided by `N` when `inverse`.
    pub fn of(n: usize, inverse: bool) -> Transform {
        let turn = if inverse { TAU } else { -TAU };
        let unit = (0..n).map(|k| (turn * k as f64 / n as f64).sin_cos()).map(|(s, c)| [c, s]).collect();
        Transform { unit, inverse }
    }

    /// The transform of `x`, which has the length that was said.
    pub fn run(&self, x: &[Complex]) -> Vec<Complex> {
        let n = x.len();
        let mut y = vec![[0.0; 2]; n];
        halves((x, 1), &self.unit, 1, &mut y);
        if self.inverse {
            y.iter_mut().flatten().for_each(|v| *v /= n as f64);
        }
        y
    }
}

/// The transform of every `stride`-th element of `x`, as many as `y` has, whose unit roots are every `step`-th of `unit`: by
/// even and odd elements while the length halves, else by the definition.
fn halves((x, stride): (&[Complex], usize), unit: &[Complex], step: usize, y: &mut [Complex]) {
    let n = y.len();
    if n % 2 == 1 || n < 8 {
        for (k, y) in y.iter_mut().enumerate() {
            *y = x.iter().step_by(stride).enumerate().fold([0.0; 2], |s, (i, &v)| {
                let t = times(v, unit[k * i % n * step]);
                [s[0] + t[0], s[1] + t[1]]
            });
        }
        return;
    }
    let (even, odd) = y.split_at_mut(n / 2);
    halves((x, stride * 2), unit, step * 2, even);
    halves((&x[stride..], stride * 2), unit, step * 2, odd);
    for ((even, odd), &root) in even.iter_mut().zip(odd).zip(unit.iter().step_by(step)) {
        let (e, t) = (*even, times(*odd, root));
        *even = [e[0] + t[0], e[1] + t[1]];
        *odd = [e[0] - t[0], e[1] - t[1]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition_and_inverts() {
        for n in [1usize, 2, 5, 8, 12, 30, 64] {
            let x = (0..n).map(|i| [(i * 7 % 11) as f64 - 4.0, (i * 5 % 13) as f64 - 6.0]).collect::<Vec<_>>();
            let y = Transform::of(n, false).run(&x);
            for (k, got) in y.iter().enumerate() {
                let want = x.iter().enumerate().fold([0.0; 2], |s, (i, &v)| {
                    let (sin, cos) = (-TAU * (k * i % n) as f64 / n as f64).sin_cos();
                    let t = times(v, [cos, sin]);
                    [s[0] + t[0], s[1] + t[1]]
                });
                assert!((got[0] - want[0]).abs() + (got[1] - want[1]).abs() < 1e-10, "{n} {k}");
            }
            let back = Transform::of(n, true).run(&y);
            assert!(back.iter().flatten().zip(x.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-12), "{n}");
        }
    }
}
