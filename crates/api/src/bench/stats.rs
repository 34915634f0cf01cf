use serde::Serialize;

/// Samples beyond a percentile without which it is not told.
const BEYOND: f64 = 5.0;

/// Latencies in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Runs.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Median; `None` with too few samples, as for the others.
    pub p50: Option<f64>,
    /// 95 % are below.
    pub p95: Option<f64>,
    /// 99 % are below.
    pub p99: Option<f64>,
    /// Runs per second.
    pub throughput: f64,
    /// Every sample, in order.
    pub samples: Vec<f64>,
}

impl Latency {
    /// The median, also of few samples.
    pub fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    }
}

/// The value below which a share `q` of `sorted` lies, interpolated between neighbours.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    let at = q * (sorted.len() - 1) as f64;
    let (lo, hi) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    lo + (hi - lo) * at.fract()
}

/// Figures of `samples`, in milliseconds.
pub fn latency(samples: &[f64]) -> Latency {
    let n = samples.len().max(1) as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let var = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let enough = |q: f64| (n * (1.0 - q) >= BEYOND - 1e-9).then(|| quantile(&sorted, q));
    Latency {
        count: samples.len(),
        mean,
        std: var.sqrt(),
        min: sorted.first().copied().unwrap_or(0.0),
        max: sorted.last().copied().unwrap_or(0.0),
        p50: enough(0.5),
        p95: enough(0.95),
        p99: enough(0.99),
        throughput: if mean > 0.0 { 1e3 / mean } else { 0.0 },
        samples: samples.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_want_enough_samples() {
        let of = |n: usize| latency(&(0..n).map(|i| i as f64).collect::<Vec<_>>());
        assert_eq!((of(9).p50, of(10).p50), (None, Some(4.5)));
        assert!(of(99).p95.is_none() && of(100).p95.is_some() && of(499).p99.is_none() && of(500).p99.is_some());
        assert_eq!(of(101).median(), 50.0);
    }
}
