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

/// `y[k] = sum x[n] e^(-2 pi j k n / N)`, with the other sign and divided by `N` when `inverse`.
pub fn transform(x: &[Complex], inverse: bool) -> Vec<Complex> {
    let n = x.len();
    let turn = if inverse { TAU } else { -TAU };
    let unit = (0..n).map(|k| (turn * k as f64 / n as f64).sin_cos()).map(|(s, c)| [c, s]).collect::<Vec<_>>();
    let mut y = halves(x, &unit, 1);
    if inverse {
        y.iter_mut().flatten().for_each(|v| *v /= n as f64);
    }
    y
}

/// The transform of `x`, whose unit roots are every `step`-th of `unit`: by even and odd elements while the length
/// halves, else by the definition.
fn halves(x: &[Complex], unit: &[Complex], step: usize) -> Vec<Complex> {
    let n = x.len();
    if n % 2 == 1 || n < 8 {
        let sum = |k: usize| {
            x.iter().enumerate().fold([0.0; 2], |s, (i, &v)| {
                let t = times(v, unit[k * i % n * step]);
                [s[0] + t[0], s[1] + t[1]]
            })
        };
        return (0..n).map(sum).collect();
    }
    let part = |first: usize| x.iter().copied().skip(first).step_by(2).collect::<Vec<_>>();
    let (even, odd) = (halves(&part(0), unit, step * 2), halves(&part(1), unit, step * 2));
    let mut y = vec![[0.0; 2]; n];
    for k in 0..n / 2 {
        let t = times(odd[k], unit[k * step]);
        y[k] = [even[k][0] + t[0], even[k][1] + t[1]];
        y[k + n / 2] = [even[k][0] - t[0], even[k][1] - t[1]];
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition_and_inverts() {
        for n in [1usize, 2, 5, 8, 12, 30, 64] {
            let x = (0..n).map(|i| [(i * 7 % 11) as f64 - 4.0, (i * 5 % 13) as f64 - 6.0]).collect::<Vec<_>>();
            let y = transform(&x, false);
            for (k, got) in y.iter().enumerate() {
                let want = x.iter().enumerate().fold([0.0; 2], |s, (i, &v)| {
                    let (sin, cos) = (-TAU * (k * i % n) as f64 / n as f64).sin_cos();
                    let t = times(v, [cos, sin]);
                    [s[0] + t[0], s[1] + t[1]]
                });
                assert!((got[0] - want[0]).abs() + (got[1] - want[1]).abs() < 1e-10, "{n} {k}");
            }
            let back = transform(&y, true);
            assert!(back.iter().flatten().zip(x.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-12), "{n}");
        }
    }
}
