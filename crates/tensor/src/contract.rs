//! The contraction routine under every reference operator that multiplies and adds: blocked plain loops over
//! `f64` that the compiler vectorises. Tested against the triple loop.

/// Rows of the register tile.
const MR: usize = 4;
/// Columns of the register tile.
const NR: usize = 4;
/// Depth of a block, so that a packed panel of either side stays in the first-level cache.
const KC: usize = 256;
/// Rows of `a` packed at once.
const MC: usize = 64;

/// `c[m,n] += a[m,k] * b[k,n]`, all dense row-major.
///
/// # Panics
/// When a slice is shorter than its shape.
pub fn matmul(m: usize, k: usize, n: usize, a: &[f64], b: &[f64], c: &mut [f64]) {
    strided(m, k, n, (a, k, 1), (b, n, 1), c);
}

/// As [`matmul`], with `a[i,p] = a.0[i * a.1 + p * a.2]` and `b[p,j] = b.0[p * b.1 + j * b.2]`, so that transposed
/// operands need no copy.
///
/// # Panics
/// When an index leaves its slice.
pub fn strided(m: usize, k: usize, n: usize, a: (&[f64], usize, usize), b: (&[f64], usize, usize), c: &mut [f64]) {
    assert!(c.len() >= m * n, "c holds {} of {} elements", c.len(), m * n);
    if m == 0 || n == 0 {
        return;
    }
    if m < MR && b.2 == 1 {
        // Packing all of `b` would cost more than one pass over it.
        return rows(m, k, n, a, (b.0, b.1), c);
    }
    let mut packed_b = vec![0.0; KC * n.div_ceil(NR) * NR];
    let mut packed_a = vec![0.0; KC * MC];
    for p0 in (0..k).step_by(KC) {
        let kc = KC.min(k - p0);
        pack(n, kc, NR, &mut packed_b, |j, p| b.0[(p0 + p) * b.1 + j * b.2]);
        for i0 in (0..m).step_by(MC) {
            let mc = MC.min(m - i0);
            pack(mc, kc, MR, &mut packed_a, |i, p| a.0[(i0 + i) * a.1 + (p0 + p) * a.2]);
            for j in (0..n).step_by(NR) {
                let panel_b = &packed_b[j * kc..][..kc * NR];
                for i in (0..mc).step_by(MR) {
                    let tile = tile(&packed_a[i * kc..][..kc * MR], panel_b);
                    add(&tile, c, n, i0 + i, j, (mc - i).min(MR), (n - j).min(NR));
                }
            }
        }
    }
}

/// A few rows of `a` times a `b` whose rows are dense.
fn rows(m: usize, k: usize, n: usize, a: (&[f64], usize, usize), b: (&[f64], usize), c: &mut [f64]) {
    for p in 0..k {
        let line = &b.0[p * b.1..][..n];
        for i in 0..m {
            let x = a.0[i * a.1 + p * a.2];
            for (to, y) in c[i * n..][..n].iter_mut().zip(line) {
                *to += x * y;
            }
        }
    }
}

/// Panels of `width` rows, each stored depth by depth; rows past the end are zero.
fn pack(rows: usize, depth: usize, width: usize, out: &mut [f64], at: impl Fn(usize, usize) -> f64) {
    for r0 in (0..rows).step_by(width) {
        let panel = &mut out[r0 * depth..][..depth * width];
        for (p, group) in panel.chunks_exact_mut(width).enumerate() {
            for (r, slot) in group.iter_mut().enumerate() {
                *slot = if r0 + r < rows { at(r0 + r, p) } else { 0.0 };
            }
        }
    }
}

fn tile(a: &[f64], b: &[f64]) -> [[f64; NR]; MR] {
    let mut acc = [[0.0; NR]; MR];
    for (x, y) in a.chunks_exact(MR).zip(b.chunks_exact(NR)) {
        for i in 0..MR {
            for j in 0..NR {
                acc[i][j] += x[i] * y[j];
            }
        }
    }
    acc
}

fn add(tile: &[[f64; NR]; MR], c: &mut [f64], n: usize, i: usize, j: usize, rows: usize, cols: usize) {
    for (r, row) in tile.iter().enumerate().take(rows) {
        for (to, x) in c[(i + r) * n + j..][..cols].iter_mut().zip(row) {
            *to += x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, seed: u64) -> Vec<f64> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((s >> 40) as f64) / 1e6 - 8.0
            })
            .collect()
    }

    #[test]
    fn equals_the_triple_loop() {
        for (m, k, n) in [(1, 1, 1), (5, 7, 3), (4, 300, 9), (70, 513, 33), (3, 0, 2), (0, 4, 4)] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let mut want = vec![1.0; m * n];
            for i in 0..m {
                for j in 0..n {
                    want[i * n + j] += (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum::<f64>();
                }
            }
            let mut got = vec![1.0; m * n];
            matmul(m, k, n, &a, &b, &mut got);
            let close = |x: &f64, y: &f64| (x - y).abs() <= 1e-9 * (1.0 + y.abs());
            assert!(got.iter().zip(&want).all(|(x, y)| close(x, y)), "{m} {k} {n}");
        }
    }

    #[test]
    fn strides_transpose() {
        let (a, b) = (values(6, 3), values(6, 4));
        let mut plain = vec![0.0; 4];
        matmul(2, 3, 2, &a, &b, &mut plain);
        let at = (0..6).map(|i| a[i % 2 * 3 + i / 2]).collect::<Vec<_>>();
        let mut got = vec![0.0; 4];
        strided(2, 3, 2, (&at, 1, 2), (&b, 2, 1), &mut got);
        assert_eq!(got, plain);
    }
}
