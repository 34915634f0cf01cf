//! Scale and offset that fit groups of elements best, in the order of operations of ggml within each group. Groups are
//! independent, so `G` of them run side by side in vectors: a single one waits for its own sums.

use super::number::nearest;

/// The scales that [`affine`] tries: `(first + step * k + n) / (max - min)` for `k` in `0..=steps`.
#[derive(Clone, Copy)]
pub(super) struct Search {
    pub first: f32,
    pub step: f32,
    pub steps: i32,
    /// Counts distances, not their squares.
    pub absolute: bool,
}

/// `G` groups of `L` elements, element by element.
type Groups<T, const G: usize, const L: usize> = [[T; G]; L];

fn side_by_side<const G: usize, const L: usize>(x: &[f32]) -> Groups<f32, G, L> {
    std::array::from_fn(|l| std::array::from_fn(|g| x[g * L + l]))
}

/// Groups and what their elements count.
struct Weighted<const G: usize, const L: usize> {
    x: Groups<f32, G, L>,
    weights: Groups<f32, G, L>,
}

/// Smallest and largest elements, the sums of the weights and the weighted sums of the elements.
struct Moments<const G: usize> {
    min: [f32; G],
    max: [f32; G],
    weights: [f32; G],
    elements: [f32; G],
}

impl<const G: usize, const L: usize> Weighted<G, L> {
    fn moments(&self) -> Moments<G> {
        let (x, weights) = (self.x[0], self.weights[0]);
        let elements = std::array::from_fn(|g| weights[g] * x[g]);
        let mut m = Moments { min: x, max: x, weights, elements };
        for (v, w) in self.x.iter().zip(&self.weights).skip(1) {
            for g in 0..G {
                m.min[g] = if v[g] < m.min[g] { v[g] } else { m.min[g] };
                m.max[g] = if v[g] > m.max[g] { v[g] } else { m.max[g] };
                m.weights[g] += w[g];
                m.elements[g] += w[g] * v[g];
            }
        }
        m
    }

    /// The integers nearest to `inverse * (x - low)` in `0..=n`.
    fn steps(&self, n: i32, inverse: &[f32; G], low: &[f32; G], q: &mut Groups<i32, G, L>) {
        for (q, v) in q.iter_mut().zip(&self.x) {
            for g in 0..G {
                q[g] = nearest(inverse[g] * (v[g] - low[g])).clamp(0, n);
            }
        }
    }

    /// Weighted sums of `q`, its squares, and its products with the elements.
    fn sums(&self, q: &Groups<i32, G, L>) -> [[f32; G]; 3] {
        let (mut l1, mut l2, mut lx) = ([0f32; G], [0f32; G], [0f32; G]);
        for ((q, v), w) in q.iter().zip(&self.x).zip(&self.weights) {
            for g in 0..G {
                let l = q[g] as f32;
                let wl = w[g] * l;
                l1[g] += wl;
                l2[g] += wl * l;
                lx[g] += wl * v[g];
            }
        }
        [l1, l2, lx]
    }

    fn errors(&self, q: &Groups<i32, G, L>, scale: &[f32; G], min: &[f32; G], absolute: bool) -> [f32; G] {
        let mut sum = [0f32; G];
        for ((q, v), w) in q.iter().zip(&self.x).zip(&self.weights) {
            for g in 0..G {
                let off = scale[g] * q[g] as f32 + min[g] - v[g];
                sum[g] += w[g] * if absolute { off.abs() } else { off * off };
            }
        }
        sum
    }
}

/// `x ≈ scale * q - offset` with `q` in `0..=n` and an offset of at least 0, for each of `G` groups of `L` elements that
/// follow one another in `x`, `weights` and `q`. Gives scales and offsets, fills `q`.
pub(super) fn affine<const G: usize, const L: usize>(
    n: i32,
    x: &[f32],
    weights: &[f32],
    out: &mut [u8],
    search: Search,
) -> ([f32; G], [f32; G]) {
    let groups = Weighted::<G, L> { x: side_by_side(x), weights: side_by_side(weights) };
    let m = groups.moments();
    let low = m.min.map(|v| if v > 0.0 { 0.0 } else { v });
    let width: [f32; G] = std::array::from_fn(|g| m.max[g] - low[g]);
    let (mut q, mut tried) = ([[0i32; G]; L], [[0i32; G]; L]);
    let mut min = low;
    let inverse = width.map(|w| n as f32 / w);
    let mut scale = inverse.map(|i| 1.0 / i);
    groups.steps(n, &inverse, &low, &mut q);
    let mut best = groups.errors(&q, &scale, &min, search.absolute);
    for k in 0..=search.steps {
        let wanted = search.first + search.step * k as f32 + n as f32;
        let inverse: [f32; G] = std::array::from_fn(|g| wanted / (m.max[g] - min[g]));
        groups.steps(n, &inverse, &min, &mut tried);
        let [l1, l2, lx] = groups.sums(&tried);
        let (mut new_scale, mut new_min, mut solved) = ([0f32; G], [0f32; G], [false; G]);
        for g in 0..G {
            let d = m.weights[g] * l2[g] - l1[g] * l1[g];
            let offset = (l2[g] * m.elements[g] - l1[g] * lx[g]) / d;
            let alone = offset > 0.0;
            new_min[g] = if alone { 0.0 } else { offset };
            new_scale[g] = if alone { lx[g] / l2[g] } else { (m.weights[g] * lx[g] - m.elements[g] * l1[g]) / d };
            solved[g] = d > 0.0;
        }
        let now = groups.errors(&tried, &new_scale, &new_min, search.absolute);
        let better: [bool; G] = std::array::from_fn(|g| solved[g] && now[g] < best[g]);
        if better.contains(&true) {
            keep(&better, &tried, &mut q);
            for g in (0..G).filter(|&g| better[g]) {
                (best[g], scale[g], min[g]) = (now[g], new_scale[g], new_min[g]);
            }
        }
    }
    for (g, out) in out.chunks_exact_mut(L).enumerate() {
        // A group of equal elements is its offset.
        if m.max[g] <= low[g] {
            (scale[g], min[g]) = (0.0, low[g]);
            out.fill(0);
        } else {
            out.iter_mut().zip(&q).for_each(|(to, q)| *to = q[g] as u8);
        }
    }
    (scale, min.map(|v| -v))
}

/// Takes over the groups of `tried` that are better.
fn keep<const G: usize, const L: usize>(better: &[bool; G], tried: &Groups<i32, G, L>, q: &mut Groups<i32, G, L>) {
    let mask = better.map(|b| -i32::from(b));
    for (q, t) in q.iter_mut().zip(tried) {
        for g in 0..G {
            q[g] = t[g] & mask[g] | q[g] & !mask[g];
        }
    }
}
