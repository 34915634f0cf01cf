//! What the plots show, as data: part of the report, so that a picture never says more than the JSON.

use crate::deploy::Report;
use serde::Serialize;

/// Bars of the latency histogram at most.
const BINS: usize = 40;
/// Layers that are drawn one by one.
const LAYERS: usize = 24;

/// The data of all plots.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plots {
    /// Nodes after each pass that changed their number.
    pub nodes: Vec<Bar>,
    /// Runs by latency.
    pub latency: Option<Histogram>,
    /// The slowest layers, and all others together.
    pub layers: Vec<Bar>,
    /// Bytes alive during each step.
    pub memory: Option<Series>,
}

/// A named value.
#[derive(Clone, Debug, Serialize)]
pub struct Bar {
    /// Name.
    pub name: String,
    /// Value, in nodes or milliseconds.
    pub value: f64,
    /// True where the reference ran.
    pub reference: bool,
}

/// Counts between edges.
#[derive(Clone, Debug, Serialize)]
pub struct Histogram {
    /// Edges in milliseconds, one more than counts. The last bin also holds what lies beyond.
    pub edges: Vec<f64>,
    /// Runs in each bin.
    pub counts: Vec<usize>,
    /// Runs beyond the last edge, counted in the last bin.
    pub beyond: usize,
    /// Median in milliseconds.
    pub median: f64,
    /// 95 % are below, where there are enough samples.
    pub p95: Option<f64>,
}

/// Values along the steps of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// Values, in bytes.
    pub values: Vec<u64>,
    /// The planned peak.
    pub peak: u64,
    /// Largest value.
    pub largest: u64,
}

impl Plots {
    /// The plots of a report.
    pub fn of(report: &Report) -> Plots {
        let steps = report.optimized.iter().flat_map(|o| &o.passes.steps);
        let nodes = steps.map(|s| Bar { name: s.pass.clone(), value: s.nodes as f64, reference: false }).collect();
        let chosen = report.precisions.iter().find(|p| Some(&p.name) == report.chosen.as_ref());
        let bench = chosen.and_then(|p| p.bench.as_ref());
        Plots {
            nodes,
            latency: bench.map(|b| histogram(&b.latency.samples, b.latency.p95)),
            layers: chosen.and_then(|p| p.profile.as_ref()).map(layers).unwrap_or_default(),
            memory: bench.and_then(|b| b.memory.as_ref()).filter(|m| m.live.iter().any(|n| *n > 0)).map(|m| Series {
                values: m.live.clone(),
                peak: m.planned_peak,
                largest: m.live.iter().copied().max().unwrap_or(0),
            }),
        }
    }
}

/// Bins from the smallest sample to the largest that is no outlier: a few slow runs must not flatten the rest.
fn histogram(samples: &[f64], p95: Option<f64>) -> Histogram {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| sorted.get(((sorted.len().max(1) - 1) as f64 * q) as usize).copied().unwrap_or(0.0);
    let (lo, median) = (at(0.0), at(0.5));
    let fence = (at(0.75) + 6.0 * (at(0.75) - at(0.25))).max(at(0.9));
    let inside = sorted.iter().rev().find(|x| **x <= fence).copied().unwrap_or(lo);
    let hi = inside.max(lo * 1.001 + 1e-6);
    let bins = (samples.len() / 3).clamp(6, BINS);
    let width = (hi - lo) / bins as f64;
    let mut counts = vec![0; bins];
    for x in samples {
        counts[(((x - lo) / width) as usize).min(bins - 1)] += 1;
    }
    let beyond = samples.iter().filter(|x| **x > hi).count();
    Histogram { edges: (0..=bins).map(|i| lo + width * i as f64).collect(), counts, beyond, median, p95 }
}

fn layers(profile: &crate::bench::Profile) -> Vec<Bar> {
    let mut all = profile
        .layers
        .iter()
        .map(|l| Bar { name: l.label.clone(), value: l.ms, reference: l.reference })
        .collect::<Vec<_>>();
    all.sort_by(|a, b| b.value.total_cmp(&a.value));
    if all.len() > LAYERS + 1 {
        let rest = all.split_off(LAYERS);
        let value = rest.iter().map(|b| b.value).sum();
        all.push(Bar { name: format!("{} more steps", rest.len()), value, reference: false });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_counted() {
        let samples = (0..200).map(|i| 1.0 + f64::from(i % 7) * 0.1).chain([90.0]).collect::<Vec<_>>();
        let h = histogram(&samples, None);
        assert_eq!(h.counts.iter().sum::<usize>(), 201);
        assert_eq!((h.edges.len(), h.beyond), (h.counts.len() + 1, 1));
        assert!(h.edges.last().unwrap() < &2.0);
    }
}
