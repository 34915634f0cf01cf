//! Which rows of each stage are made in each band.

use super::{F32, Stage};
use modelsmith_kop::Layout;
use modelsmith_pool::cut;
use std::ops::Range;

/// Bytes that the images between stages may take up in bands: a share of the second-level cache, beside which the first
/// image, the last one and the weights pass.
pub(super) const BUDGET: usize = 640 << 10;

/// One part in so many of the work that tasks may do twice where their rows meet. Images of few rows are better made one
/// after the other, each by all threads.
const TWICE: f64 = 10.0;

/// Rows of one stage in a band.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Which of the stage's problems.
    pub call: usize,
    /// Input rows.
    pub reads: Range<usize>,
    /// Rows made.
    pub rows: Range<usize>,
    /// Rows of the band before that are kept, and those in front of them that are not.
    pub keep: usize,
    pub drop: usize,
}

/// The bands of an image by task, each with a part for every stage.
pub(super) struct Schedule {
    pub tasks: Vec<Vec<Vec<Part>>>,
    /// Rows of the last result in a band, at most.
    pub band_rows: usize,
    /// Most rows of each stage but the last that are held at once.
    pub held_rows: Vec<usize>,
    /// Most input rows of a band.
    pub front_rows: usize,
}

impl Schedule {
    /// Bands for `threads`, and the problems of each stage that occur in them.
    pub fn new(stages: &[Stage], threads: usize, budget: usize) -> Result<(Schedule, Vec<Vec<Stage>>), String> {
        let Some((oh, ..)) = stages.last().map(Stage::output) else { return Err("no stages".into()) };
        let most = (1..=oh).rev().find(|&rows| bytes(stages, rows).is_some_and(|b| b <= budget));
        let Some(most) = most else { return Err("one row of each image does not fit the cache".into()) };
        let images = stages.first().map_or(1, Stage::images).max(1);
        let tasks = threads.div_ceil(images).clamp(1, oh.max(1));
        let per_task = oh.div_ceil(tasks);
        let band_rows = per_task.div_ceil(per_task.div_ceil(most));
        let mut made = Schedule { tasks: vec![], band_rows, held_rows: vec![0; stages.len() - 1], front_rows: 0 };
        let mut calls = vec![vec![]; stages.len()];
        for task in 0..tasks {
            let rows = cut(oh, tasks, task);
            let bands = made.task(stages, rows, &mut calls).ok_or("a band reads no row of an image")?;
            made.tasks.push(bands);
        }
        if oh.div_ceil(most) < tasks
            && made.work(stages) > (1.0 + 1.0 / TWICE) * stages.iter().map(Stage::work).sum::<f64>()
        {
            return Err("tasks of few rows would do too much twice".into());
        }
        Ok((made, calls))
    }

    /// What the bands of an image compute, in the measure of [`Stage::work`].
    fn work(&self, stages: &[Stage]) -> f64 {
        let parts = self.tasks.iter().flatten().flat_map(|parts| parts.iter().zip(stages));
        parts.map(|(part, stage)| stage.work() * part.rows.len() as f64 / stage.output().0.max(1) as f64).sum()
    }

    /// The bands of rows `rows` of the last result.
    fn task(&mut self, stages: &[Stage], rows: Range<usize>, calls: &mut [Vec<Stage>]) -> Option<Vec<Vec<Part>>> {
        let mut held = vec![0..0; stages.len()];
        let count = rows.len().div_ceil(self.band_rows);
        let mut bands = Vec::with_capacity(count);
        for band in 0..count {
            let own = cut(rows.len(), count, band);
            let mut new = rows.start + own.start..rows.start + own.end;
            let mut parts = vec![Part::default(); stages.len()];
            for s in (0..stages.len()).rev() {
                if new.is_empty() {
                    // What the next stage needs is there already; those before it have nothing to do.
                    parts[..=s].iter_mut().zip(&held).for_each(|(p, h)| p.keep = h.len());
                    break;
                }
                let reads = stages[s].windows()?.reads(&new)?;
                parts[s].call = find(&mut calls[s], stages[s].band(&new)?);
                (parts[s].reads, parts[s].rows) = (reads.clone(), new);
                let Some(before) = s.checked_sub(1) else {
                    self.front_rows = self.front_rows.max(reads.len());
                    break;
                };
                let kept = held[before].end.clamp(reads.start, reads.end);
                parts[before].keep = kept - reads.start;
                parts[before].drop = if kept > reads.start { reads.start - held[before].start } else { 0 };
                new = kept..reads.end;
                self.held_rows[before] = self.held_rows[before].max(reads.len());
                held[before] = reads;
            }
            bands.push(parts);
        }
        Some(bands)
    }
}

/// The place of a problem among those of its stage.
fn find(calls: &mut Vec<Stage>, wanted: Stage) -> usize {
    if let Some(at) = calls.iter().position(|c| c.same_problem(&wanted)) {
        return at;
    }
    calls.push(wanted);
    calls.len() - 1
}

/// Bytes of the images between stages for bands of `rows` rows, a plain first one included.
fn bytes(stages: &[Stage], rows: usize) -> Option<usize> {
    let (mut rows, mut sum) = (rows, 0usize);
    for (s, stage) in stages.iter().enumerate().rev() {
        // Rows in the middle of an image read most.
        let (h, row, layout, _) = stage.input();
        rows = stage.windows()?.reach(rows)?.min(h);
        if s > 0 || layout == Layout::Plain {
            sum = sum.checked_add(rows.checked_mul(row)?.checked_mul(F32)?)?;
        }
    }
    Some(sum)
}
