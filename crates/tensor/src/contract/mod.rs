//! The contraction routine under every reference operator that multiplies and adds: blocked plain loops over
//! `f64` that the compiler vectorises. Operands are widened while they are packed. Tested against the triple loop.

#[allow(unsafe_code)]
mod tile;

pub use tile::NR;
use tile::{Lanes, MR, Tile};

/// Rows below which `b` is read as it lies.
const FEW: usize = 4;
/// Depth of a block, so that a packed panel of either side stays in the first-level cache.
const KC: usize = 256;
/// Rows of `a` packed at once.
const MC: usize = 32;
/// Columns of `b` packed at once, so that a block stays in the second-level cache.
const NC: usize = 256;

/// What is multiplied: a number that `f64` holds exactly.
pub trait Factor: Copy + Into<f64> {}
impl<T: Copy + Into<f64>> Factor for T {}

/// `c[m,n] += a[m,k] * b[k,n]`, all dense row-major.
///
/// # Panics
/// When a slice is shorter than its shape.
pub fn matmul<A: Factor, B: Factor>(m: usize, k: usize, n: usize, a: &[A], b: &[B], c: &mut [f64]) {
    strided(m, k, n, (a, k, 1), (b, n, 1), c);
}

/// As [`matmul`], with `a[i,p] = a.0[i * a.1 + p * a.2]` and `b[p,j] = b.0[p * b.1 + j * b.2]`, so that transposed
/// operands need no copy.
///
/// # Panics
/// When an index leaves its slice.
pub fn strided<A: Factor, B: Factor>(
    m: usize,
    k: usize,
    n: usize,
    a: (&[A], usize, usize),
    b: (&[B], usize, usize),
    c: &mut [f64],
) {
    if m < FEW && b.2 == 1 {
        // Packing all of `b` would cost more than one pass over it.
        return rows(m, k, n, a, (b.0, b.1), c);
    }
    blocks(m, k, n, a, c, true, |p, j, panel| {
        let width = NR.min(n - j);
        if width == NR && (b.1 == 1 || b.2 == 1) {
            return interleave(panel.len() / NR, (&b.0[p * b.1 + j * b.2..], b.2, b.1), panel);
        }
        for (i, group) in panel.chunks_exact_mut(NR).enumerate() {
            let at = (p + i) * b.1 + j * b.2;
            for (x, to) in group.iter_mut().enumerate() {
                *to = if x < width { b.0[at + x * b.2].into() } else { 0.0 };
            }
        }
    });
}

/// `c = a * b` with a right operand that `fill` gives: `fill(p, j, panel)` writes `b[p + i, j + x]` to
/// `panel[i * NR + x]` for every `i` that the panel holds and `x < NR`; columns past `n` are free.
///
/// # Panics
/// When an index leaves its slice.
pub fn panelled<A: Factor>(
    m: usize,
    k: usize,
    n: usize,
    a: (&[A], usize, usize),
    c: &mut [f64],
    fill: impl FnMut(usize, usize, &mut [f64]),
) {
    blocks(m, k, n, a, c, false, fill);
}

/// The product block by block; without `keep`, what `c` holds before is forgotten.
fn blocks<A: Factor>(
    m: usize,
    k: usize,
    n: usize,
    a: (&[A], usize, usize),
    c: &mut [f64],
    keep: bool,
    mut fill: impl FnMut(usize, usize, &mut [f64]),
) {
    assert!(c.len() >= m * n, "c holds {} of {} elements", c.len(), m * n);
    if m == 0 || n == 0 || k == 0 {
        if !keep {
            c[..m * n].fill(0.0);
        }
        return;
    }
    let depth = KC.min(k);
    let mut packed_b = vec![0.0; depth * NC.min(n).next_multiple_of(NR)];
    let lanes = Lanes::widest();
    let copies = lanes.copies();
    let mut packed_a = vec![0.0; copies * depth * MC.min(m).next_multiple_of(MR)];
    for j0 in (0..n).step_by(NC) {
        let nc = NC.min(n - j0);
        for p0 in (0..k).step_by(KC) {
            let kc = KC.min(k - p0);
            for (panel, j) in packed_b.chunks_exact_mut(kc * NR).zip((j0..j0 + nc).step_by(NR)) {
                fill(p0, j, panel);
            }
            for i0 in (0..m).step_by(MC) {
                let mc = MC.min(m - i0);
                pack((mc, kc), copies, &mut packed_a, (&a.0[i0 * a.1 + p0 * a.2..], a.1, a.2));
                for j in (0..nc).step_by(NR) {
                    let panel_b = &packed_b[j * kc..][..kc * NR];
                    for i in (0..mc).step_by(MR) {
                        let tile = lanes.sums(&packed_a[copies * i * kc..][..copies * kc * MR], panel_b);
                        let room = ((mc - i).min(MR), (nc - j).min(NR));
                        put(&tile, &mut c[(i0 + i) * n + j0 + j..], n, room, keep || p0 > 0);
                    }
                }
            }
        }
    }
}

/// A few rows of `a` times a `b` whose rows are dense.
fn rows<A: Factor, B: Factor>(m: usize, k: usize, n: usize, a: (&[A], usize, usize), b: (&[B], usize), c: &mut [f64]) {
    for j0 in (0..n).step_by(NC) {
        let nc = NC.min(n - j0);
        for p0 in (0..k).step_by(4) {
            let lines: [&[B]; 4] = std::array::from_fn(|p| &b.0[(p0 + p).min(k - 1) * b.1 + j0..][..nc]);
            for i in 0..m {
                let x: [f64; 4] = std::array::from_fn(|p| match p0 + p < k {
                    true => a.0[i * a.1 + (p0 + p) * a.2].into(),
                    false => 0.0,
                });
                let to = &mut c[i * n + j0..][..nc];
                if k - p0 >= 4 {
                    four(x, lines, to);
                } else {
                    for (x, line) in x.iter().zip(lines).take(k - p0) {
                        to.iter_mut().zip(line).for_each(|(to, &y)| *to += x * y.into());
                    }
                }
            }
        }
    }
}

/// `to += x[0] * lines[0] + ... + x[3] * lines[3]`, added in this order.
fn four<B: Factor>(x: [f64; 4], lines: [&[B]; 4], to: &mut [f64]) {
    let [p, q, r, s] = lines;
    for ((((to, &p), &q), &r), &s) in to.iter_mut().zip(p).zip(q).zip(r).zip(s) {
        *to = *to + x[0] * p.into() + x[1] * q.into() + x[2] * r.into() + x[3] * s.into();
    }
}

/// Panels of [`MR`] rows of `a`, as [`strided`] reads it, each stored depth by depth and each number as often as the tile
/// wants; rows past the end are zero.
fn pack<A: Factor>((rows, depth): (usize, usize), copies: usize, out: &mut [f64], a: (&[A], usize, usize)) {
    for r0 in (0..rows).step_by(MR) {
        let panel = &mut out[copies * r0 * depth..][..copies * depth * MR];
        if copies == 1 && r0 + MR <= rows && (a.1 == 1 || a.2 == 1) {
            interleave(depth, (&a.0[r0 * a.1..], a.1, a.2), panel);
            continue;
        }
        for (p, group) in panel.chunks_exact_mut(copies * MR).enumerate() {
            for (r, same) in group.chunks_exact_mut(copies).enumerate() {
                same.fill(if r0 + r < rows { a.0[(r0 + r) * a.1 + p * a.2].into() } else { 0.0 });
            }
        }
    }
}

/// Writes number `i` of line `l`, `x.0[l * x.1 + i * x.2]` where one of the strides is 1, to `out[i * MR + l]`.
fn interleave<T: Factor>(len: usize, x: (&[T], usize, usize), out: &mut [f64]) {
    const { assert!(MR == NR, "panels of both sides are as wide") };
    let groups = out.as_chunks_mut::<MR>().0;
    if x.1 == 1 {
        for (i, group) in groups.iter_mut().enumerate().take(len) {
            group.iter_mut().zip(&x.0[i * x.2..][..MR]).for_each(|(to, &x)| *to = x.into());
        }
        return;
    }
    let lines: [&[T]; MR] = std::array::from_fn(|l| &x.0[l * x.1..][..len]);
    for (i, group) in groups.iter_mut().enumerate().take(len) {
        for l in 0..MR {
            group[l] = lines[l][i].into();
        }
    }
}

/// Stores as many rows and columns of a tile as there is `room` for, or adds them.
fn put(tile: &Tile, c: &mut [f64], n: usize, room: (usize, usize), add: bool) {
    for (r, row) in tile.iter().enumerate().take(room.0) {
        let to = &mut c[r * n..][..room.1];
        match <&mut [f64; NR]>::try_from(&mut *to) {
            Ok(to) if add => to.iter_mut().zip(row).for_each(|(to, x)| *to += x),
            Ok(to) => *to = *row,
            Err(_) => to.iter_mut().zip(row).for_each(|(to, x)| *to = if add { *to + x } else { *x }),
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
    fn a_right_operand_may_be_given_panel_by_panel() {
        for (m, k, n) in [(6, 300, 5), (2, 3, 9), (3, 0, 2)] {
            let (a, b) = (values(m * k, 5), values(k * n, 6));
            let (mut want, mut got) = (vec![0.0; m * n], vec![7.0; m * n]);
            matmul(m, k, n, &a, &b, &mut want);
            panelled(m, k, n, (&a, k, 1), &mut got, |p, j, panel| {
                for (i, group) in panel.chunks_exact_mut(NR).enumerate() {
                    group.iter_mut().enumerate().for_each(|(x, to)| *to = b[(p + i) * n + (j + x).min(n - 1)]);
                }
            });
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

    #[test]
    fn every_pair_of_strides_gives_the_same() {
        let (m, k, n) = (19, 270, 21);
        let (a, b) = (values(m * k, 5), values(k * n, 6));
        let turned = |x: &[f64], rows: usize| {
            let columns = x.len() / rows;
            (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect::<Vec<_>>()
        };
        let spread = |x: &[f64]| x.iter().flat_map(|&x| [x, f64::NAN]).collect::<Vec<_>>();
        let mut want = vec![0.0; m * n];
        matmul(m, k, n, &a, &b, &mut want);
        let lefts = [(a.clone(), k, 1), (turned(&a, m), 1, m), (spread(&a), 2 * k, 2)];
        let rights = [(b.clone(), n, 1), (turned(&b, k), 1, k), (spread(&b), 2 * n, 2)];
        for (a, row, column) in &lefts {
            for (b, down, right) in &rights {
                let mut got = vec![0.0; m * n];
                strided(m, k, n, (a, *row, *column), (b, *down, *right), &mut got);
                assert_eq!(got, want, "{row} {column} {down} {right}");
            }
        }
    }
}
