//! The register tile of the contraction: sums over a packed panel of either side, on the widest vectors of the machine.
//!
//! Every width runs the same plain loop, and no width fuses a product with its sum: element by element the same numbers are
//! added in the same order, so that the reference gives the same bits on every machine.

/// Rows of the register tile, and of a panel of the left operand.
pub const MR: usize = 8;
/// Columns of the register tile, and of a panel of the right operand.
pub const NR: usize = 8;

/// The sums of one tile.
pub type Tile = [[f64; NR]; MR];

/// How many numbers a vector of the machine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// What every machine has.
    Two,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Four,
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Eight,
}

impl Lanes {
    /// All that this machine has, widest first.
    pub fn all() -> Vec<Lanes> {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = [
                (is_x86_feature_detected!("avx512f"), Lanes::Eight),
                (is_x86_feature_detected!("avx2"), Lanes::Four),
                (true, Lanes::Two),
            ];
            wide.into_iter().filter(|(has, _)| *has).map(|(_, lanes)| lanes).collect()
        }
        #[cfg(not(target_arch = "x86_64"))]
        vec![Lanes::Two]
    }

    /// The widest.
    pub fn widest() -> Lanes {
        Lanes::all()[0]
    }

    /// How often a panel of the left operand holds each number: pairs of lanes have no broadcast from memory, and take
    /// a number that lies there twice.
    pub fn copies(self) -> usize {
        if self == Lanes::Two { 2 } else { 1 }
    }

    /// The products of a panel of [`MR`] rows, each number [`Lanes::copies`] times, and one of [`NR`] columns, both stored
    /// depth by depth, summed over the depth.
    pub fn sums(self, a: &[f64], b: &[f64]) -> Tile {
        match self {
            Lanes::Two => two(a, b),
            // SAFETY: `Lanes` of vectors are made by `Lanes::all` only, which asks the machine for them.
            #[cfg(target_arch = "x86_64")]
            Lanes::Four => unsafe { four(a, b) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Lanes::Eight => unsafe { eight(a, b) },
        }
    }
}

/// Rows `r..r + R` and columns `c..c + C` of a tile.
#[inline(always)]
fn part<const R: usize, const C: usize, const COPIES: usize>(
    a: &[f64],
    b: &[f64],
    (r, c): (usize, usize),
    to: &mut Tile,
) {
    let mut acc = [[0.0; C]; R];
    for (x, y) in a.chunks_exact(COPIES * MR).zip(b.chunks_exact(NR)) {
        let (x, y) = (&x[COPIES * r..][..COPIES * R], &y[c..][..C]);
        for i in 0..R {
            for j in 0..C {
                acc[i][j] += x[COPIES * i + j % COPIES] * y[j];
            }
        }
    }
    for (to, from) in to[r..].iter_mut().zip(&acc) {
        to[c..c + C].copy_from_slice(from);
    }
}

fn two(a: &[f64], b: &[f64]) -> Tile {
    let mut out = [[0.0; NR]; MR];
    for r in [0, 4] {
        for c in [0, 4] {
            part::<4, 4, 2>(a, b, (r, c), &mut out);
        }
    }
    out
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn four(a: &[f64], b: &[f64]) -> Tile {
    let mut out = [[0.0; NR]; MR];
    for r in [0, 4] {
        part::<4, 8, 1>(a, b, (r, 0), &mut out);
    }
    out
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn eight(a: &[f64], b: &[f64]) -> Tile {
    let mut out = [[0.0; NR]; MR];
    part::<8, 8, 1>(a, b, (0, 0), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_gives_the_same_bits() {
        let number = |i: usize| ((i * 7919 + 13) % 1000) as f64 / 7.0 - 71.0;
        for depth in [0, 1, 5, 256] {
            let b = (0..depth * NR).map(|i| number(i + 3)).collect::<Vec<_>>();
            let mut want = [[0.0; NR]; MR];
            for p in 0..depth {
                for (r, row) in want.iter_mut().enumerate() {
                    row.iter_mut().enumerate().for_each(|(c, sum)| *sum += number(p * MR + r) * b[p * NR + c]);
                }
            }
            for lanes in Lanes::all() {
                let a = (0..depth * MR).flat_map(|i| vec![number(i); lanes.copies()]).collect::<Vec<_>>();
                assert_eq!(lanes.sums(&a, &b), want, "{lanes:?}, depth {depth}");
            }
        }
    }
}
