//! A small generator of repeatable numbers (SplitMix64), keyed by text so that adding an input changes no other.

/// Repeatable numbers: the same key gives the same sequence on every machine.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A sequence for `seed` and any number of further keys.
    pub fn new(seed: u64, keys: &[&str]) -> Random {
        let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
        for key in keys {
            for b in key.bytes().chain([0xff]) {
                state = (state ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        let mut r = Random { state };
        r.next();
        r
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An integer from `lo..=hi`; `lo` when the range is empty.
    pub fn between(&mut self, lo: i64, hi: i64) -> i64 {
        let span = (i128::from(hi) - i128::from(lo)).max(0) as u128 + 1;
        (i128::from(lo) + (u128::from(self.next()) % span) as i128) as i64
    }

    /// A number from the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_ranges() {
        let mut r = Random::new(1, &["x"]);
        let draws = (0..20_000).map(|_| r.normal()).collect::<Vec<_>>();
        let mean = draws.iter().sum::<f64>() / 2e4;
        let var = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2e4;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "{mean} {var}");
        assert!((0..1000).map(|_| r.between(-2, 3)).all(|x| (-2..=3).contains(&x)));
        assert_ne!(Random::new(1, &["x"]).next(), Random::new(1, &["y"]).next());
    }
}
