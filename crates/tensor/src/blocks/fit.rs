//! Scales, offsets and integers that fit a group of elements best, in the order of operations of ggml: a sum in another
//! order rounds otherwise and gives other bytes.

use super::number::{extreme, nearest};

/// Groups below this are stored as zeros.
pub(super) const NOTHING: f32 = 1e-15;

/// `x ≈ scale * (q - n)` with `q` in `0..2n`: tries 19 scales around `-n / extreme` and keeps the one with the least error
/// weighted by `weights`, without them by the squares of the elements. Fills `q` and gives the scale.
pub(super) fn symmetric(n: i32, x: &[f32], q: &mut [i8], weights: Option<&[f32]>) -> f32 {
    let max = extreme(x);
    if max.abs() < NOTHING {
        q.fill(0);
        return 0.0;
    }
    let mut own = [0f32; 32];
    own.iter_mut().zip(x).for_each(|(w, v)| *w = v * v);
    let weights = weights.unwrap_or(&own[..x.len()]);
    let n_float = n as f32;
    let inverses: [f32; TRIES] = std::array::from_fn(|i| match i {
        0 => -n_float / max,
        // The steps -9 to 9 without 0.
        _ => -(n_float + 0.1 * (i as i32 - if i < 10 { 10 } else { 9 }) as f32) / max,
    });
    let (lx, l2) = sums(n, x, weights, &inverses);
    let mut scale = if l2[0] != 0.0 { lx[0] / l2[0] } else { 0.0 };
    let mut best = scale * lx[0];
    let mut chosen = inverses[0];
    for i in 1..19 {
        if l2[i] > 0.0 && lx[i] * lx[i] > best * l2[i] {
            chosen = inverses[i];
            scale = lx[i] / l2[i];
            best = scale * lx[i];
        }
    }
    q.iter_mut().zip(x).for_each(|(q, &v)| *q = (nearest(chosen * v).clamp(-n, n - 1) + n) as i8);
    scale
}

/// Scales tried together: 19, and one that fills the last vector.
const TRIES: usize = 20;

/// Weighted sums of `x * l` and `l * l` for each scale, `l` being the element in steps of it. Each sum is over the
/// elements in their order; the scales run side by side.
fn sums(n: i32, x: &[f32], weights: &[f32], inverses: &[f32; TRIES]) -> ([f32; TRIES], [f32; TRIES]) {
    let (mut lx, mut l2) = ([0f32; TRIES], [0f32; TRIES]);
    for (&v, &w) in x.iter().zip(weights) {
        let wv = w * v;
        for i in 0..TRIES {
            let l = nearest(inverses[i] * v).clamp(-n, n - 1) as f32;
            lx[i] += wv * l;
            l2[i] += w * l * l;
        }
    }
    (lx, l2)
}

/// `x ≈ scale * (q - n)` with `q` in `0..2n`, improved element by element in up to 5 rounds.
pub(super) fn descended(n: i32, x: &[f32], q: &mut [i8]) -> f32 {
    let max = extreme(x);
    if max.abs() < NOTHING {
        q.fill(0);
        return 0.0;
    }
    let inverse = -(n as f32) / max;
    let (mut lx, mut l2) = (0f32, 0f32);
    for (q, &v) in q.iter_mut().zip(x) {
        let l = nearest(inverse * v).clamp(-n, n - 1);
        *q = l as i8;
        let (w, l) = (v * v, l as f32);
        lx += w * v * l;
        l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (q, &v) in q.iter_mut().zip(x) {
            let (w, old) = (v * v, f32::from(*q));
            let mut slx = lx - w * v * old;
            if slx > 0.0 {
                let mut sl2 = l2 - w * old * old;
                let new = nearest(v * sl2 / slx).clamp(-n, n - 1);
                if new != i32::from(*q) {
                    let l = new as f32;
                    slx += w * v * l;
                    sl2 += w * l * l;
                    if sl2 > 0.0 && slx * slx * l2 > lx * lx * sl2 {
                        (*q, lx, l2, changed) = (new as i8, slx, sl2, true);
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    q.iter_mut().for_each(|q| *q += n as i8);
    if l2 > 0.0 { lx / l2 } else { 0.0 }
}

/// `x ≈ scale * q` with `q` in `0..=n`, for the scales of groups; `weights` is what each counts.
pub(super) fn positive(n: i32, x: &[f32], q: &mut [u8], weights: &[f32]) -> f32 {
    let max = x.iter().fold(0f32, |m, &v| if m > v { m } else { v });
    if max < NOTHING {
        q.fill(0);
        return 0.0;
    }
    let mut inverse = n as f32 / max;
    let scale = 1.0 / inverse;
    let mut best = 0f32;
    for ((q, &v), &w) in q.iter_mut().zip(x).zip(weights) {
        *q = nearest(inverse * v) as u8;
        let off = v - scale * f32::from(*q);
        best += w * off * off;
    }
    for step in (-4..=4).filter(|&s| s != 0) {
        let tried = (0.1 * step as f32 + n as f32) / max;
        let scale = 1.0 / tried;
        let mut error = 0f32;
        for (&v, &w) in x.iter().zip(weights) {
            let off = v - scale * nearest(tried * v).min(n) as f32;
            error += w * off * off;
        }
        if error < best {
            (best, inverse) = (error, tried);
        }
    }
    let (mut lx, mut l2) = (0f32, 0f32);
    for ((q, &v), &w) in q.iter_mut().zip(x).zip(weights) {
        let whole = nearest(inverse * v).min(n);
        *q = whole as u8;
        let l = whole as f32;
        lx += w * v * l;
        l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for ((q, &v), &w) in q.iter_mut().zip(x).zip(weights) {
            let old = f32::from(*q);
            let mut slx = lx - w * v * old;
            let mut sl2 = l2 - w * old * old;
            if slx > 0.0 && sl2 > 0.0 {
                let new = nearest(v * sl2 / slx).min(n);
                if new != i32::from(*q) {
                    let l = new as f32;
                    slx += w * v * l;
                    sl2 += w * l * l;
                    if slx * slx * l2 > lx * lx * sl2 {
                        (*q, lx, l2, changed) = (new as u8, slx, sl2, true);
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    if l2 > 0.0 { lx / l2 } else { 0.0 }
}

/// What each element of `x` counts: its importance times its size beside that of the row.
pub(super) fn weighed(x: &[f32], importance: &[f32], sigma2: f32, out: &mut [f32]) {
    for ((out, &v), &w) in out.iter_mut().zip(x).zip(importance) {
        *out = w * (sigma2 + v * v).sqrt();
    }
}
