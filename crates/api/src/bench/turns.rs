use super::stats::quantile;
use super::{Amount, Measure, Measured, Subject};
use crate::Result;
use crate::random::Random;
use serde::Serialize;
use std::time::Instant;

/// Rounds in which the two take turns.
const ROUNDS: usize = 10;
/// Resamples behind the interval.
const RESAMPLES: usize = 1000;

/// Two models measured in turns, so that a drift of the machine hits both alike.
#[derive(Clone, Debug, Serialize)]
pub struct Turns {
    /// The model.
    pub subject: Measured,
    /// What it is held against.
    pub baseline: Measured,
    /// Median latency of the baseline over that of the model: above 1 the model is faster.
    pub ratio: f64,
    /// The interval that holds the ratio with 95 % confidence (bootstrap).
    pub interval: (f64, f64),
}

/// Measures both in turns.
///
/// # Errors
/// When a run fails.
pub fn in_turns(subject: &mut Subject, baseline: &mut Subject, amount: Amount) -> Result<Turns> {
    for _ in 0..amount.warmup {
        subject.time()?;
        baseline.time()?;
    }
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let per_round = match amount.measure {
        Measure::Iterations(n) => n.div_ceil(ROUNDS),
        Measure::For(_) => 3,
    };
    for round in 0.. {
        for _ in 0..per_round {
            a.push(subject.time()?);
        }
        for _ in 0..per_round {
            b.push(baseline.time()?);
        }
        let done = match amount.measure {
            Measure::Iterations(_) => round + 1 >= ROUNDS,
            Measure::For(d) => begun.elapsed() >= d && round >= 1,
        };
        if done {
            break;
        }
    }
    let (ratio, interval) = ratio(&b, &a);
    Ok(Turns { subject: subject.measured(&a), baseline: baseline.measured(&b), ratio, interval })
}

fn median(x: &[f64]) -> f64 {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// Ratio of medians, and the 2.5 % and 97.5 % quantiles of the same over resamples.
fn ratio(upper: &[f64], lower: &[f64]) -> (f64, (f64, f64)) {
    let mut r = Random::new(0, &["bootstrap"]);
    let mut pick = |x: &[f64]| {
        let draw = (0..x.len()).map(|_| x[r.between(0, x.len() as i64 - 1) as usize]).collect::<Vec<_>>();
        median(&draw)
    };
    let mut all = (0..RESAMPLES).map(|_| pick(upper) / pick(lower).max(1e-9)).collect::<Vec<_>>();
    all.sort_by(f64::total_cmp);
    (median(upper) / median(lower).max(1e-9), (quantile(&all, 0.025), quantile(&all, 0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_ratio() {
        let mut r = Random::new(3, &["t"]);
        let a = (0..100).map(|_| 1.0 + 0.1 * r.unit()).collect::<Vec<_>>();
        let b = (0..100).map(|_| 2.0 + 0.1 * r.unit()).collect::<Vec<_>>();
        let (x, (lo, hi)) = ratio(&b, &a);
        assert!(lo <= x && x <= hi && lo > 1.8 && hi < 2.1, "{x} {lo} {hi}");
    }
}
