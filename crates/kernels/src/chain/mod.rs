//! Convolutions, pools and element-wise programs that follow each other, run band by band: some rows of the last result are made before the
//! next ones are begun, so that the images between stay in the second-level cache instead of passing through memory.
//!
//! Each stage runs one of the kernels of its family on a problem of some rows ([`modelsmith_kop::band`]). Rows that two
//! bands of a stage read are kept from one to the next; only where a task begins are they computed twice. Every kernel
//! computes a row from what it reads alone, so that a result has the same bits as without bands.

mod schedule;
mod stage;

use crate::conv::interleave;
use crate::def::{Args, KernelError};
use crate::mem::{self, Dst, Scratch, Shared, Src, overlaps};
use modelsmith_kop::Layout;
use modelsmith_pool::Pool;
use schedule::{Part, Schedule};
pub use stage::Stage;
use std::sync::OnceLock;

const F32: usize = size_of::<f32>();

/// Most operands of a stage, the image among them.
const MAX_INPUTS: usize = 16;

/// Stages with the bands in which they run.
pub struct Chain {
    stages: Vec<Stage>,
    /// For each stage, its operands' [`Stage::operand_rows`].
    operand_rows: Vec<Vec<usize>>,
    /// For each stage, the band problems that occur.
    calls: Vec<Vec<Stage>>,
    schedule: Schedule,
    /// Bytes of each image between two stages; the first is that of a plain input brought into the order of bands.
    images: Vec<usize>,
    /// Bytes of scratch memory for the kernels.
    work: usize,
    /// Runs kernels where they are called.
    inline: Pool,
}

impl Chain {
    /// A chain for a pool of `threads`, or why there is none: stages must follow each other on channels-last images of
    /// the same sizes, and what lies between them must fit the cache in bands.
    ///
    /// # Errors
    /// The reason.
    pub fn new(stages: Vec<Stage>, threads: usize) -> Result<Chain, String> {
        Chain::within(stages, threads, schedule::BUDGET)
    }

    /// As [`Chain::new`], with so many bytes for what lies between stages.
    fn within(stages: Vec<Stage>, threads: usize, budget: usize) -> Result<Chain, String> {
        let refuse = |why: &str| Err(why.to_string());
        let stages = stage::placed(stages)?;
        let Some((first, last)) = stages.first().zip(stages.last()) else { return refuse("no stages") };
        for (a, b) in stages.iter().zip(&stages[1..]) {
            if a.output() != b.input() || a.output().2 != Layout::ChannelsLast || a.output().3 {
                return refuse("an image between two stages is not dense and channels-last");
            }
        }
        if stages.iter().any(|s| s.images() != first.images() || s.operands() >= MAX_INPUTS) {
            return refuse("stages of different batches, or with too many operands");
        }
        if stages.iter().any(|s| s.windows().is_none()) {
            return refuse("a transposed convolution has no windows over its input");
        }
        if last.output().2 != Layout::ChannelsLast {
            return refuse("the result is not channels-last");
        }
        let Some(operand_rows) = stages.iter().map(Stage::operand_rows).collect::<Option<Vec<_>>>() else {
            return refuse("an operand is read in two ways");
        };
        let (schedule, calls) = Schedule::new(&stages, threads, budget)?;
        let (_, row, layout, _) = first.input();
        let front = if layout == Layout::Plain { schedule.front_rows * row * F32 } else { 0 };
        let between = stages.iter().zip(&schedule.held_rows).map(|(s, rows)| rows * s.output().1 * F32);
        let images = std::iter::once(front).chain(between).collect();
        let work = calls.iter().flatten().map(Stage::workspace).max().unwrap_or(0);
        Ok(Chain { stages, operand_rows, calls, schedule, images, work, inline: Pool::new(1) })
    }

    /// Rows of the last result in a band.
    pub fn band_rows(&self) -> usize {
        self.schedule.band_rows
    }

    /// Bands of a run.
    pub fn bands(&self) -> usize {
        let of_image = self.schedule.tasks.iter().map(Vec::len).sum::<usize>();
        self.stages.first().map_or(1, Stage::images) * of_image
    }

    /// Names of the stages' kernels.
    pub fn kernels(&self) -> Vec<&'static str> {
        self.stages.iter().map(Stage::name).collect()
    }

    /// Bytes of scratch memory on a pool of `threads`.
    pub fn workspace(&self, threads: usize) -> usize {
        Scratch::bytes(0, self.each(), threads)
    }

    fn each(&self) -> usize {
        self.images.iter().map(|b| b.next_multiple_of(128)).sum::<usize>() + self.work
    }

    /// Runs all stages. Inputs: the first stage's image, then every stage's other operands in order. Output: the last result.
    ///
    /// # Errors
    /// As the stages' kernels; the result is partly written then.
    pub fn run(&self, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
        let Args { inputs, outputs, workspace } = args;
        let buffer = |what, problem: &str| KernelError::Buffer { what, problem: problem.into() };
        let wanted = 1 + self.operand_rows.iter().map(Vec::len).sum::<usize>();
        let (Some(first), Some(last), true) = (self.stages.first(), self.stages.last(), inputs.len() == wanted) else {
            return Err(buffer("operands", "not as many as the stages take"));
        };
        let images = first.images();
        let (oh, row, ..) = last.output();
        let y_bytes = (images * oh * row).saturating_sub(last.gap()) * F32;
        let y_at = mem::output(outputs, "y")?.elements::<f32>(y_bytes / F32, "y")?.cast::<u8>();
        if first.input().2 == Layout::Plain {
            inputs[0].elements::<f32>(images * first.input().0 * first.input().1, "x")?;
        }
        for input in inputs {
            let at = input.elements::<u8>(input.len_bytes(), "operand")?;
            if overlaps(at, input.len_bytes(), y_at.cast_const(), y_bytes) {
                return Err(buffer("an operand", "overlaps the output"));
            }
        }
        let scratch = Scratch::new(workspace, 0, self.each(), pool.threads())?;
        let y = Shared(y_at);
        let failed = OnceLock::new();
        let tasks = self.schedule.tasks.len();
        pool.run(images * tasks, |i, worker| {
            let own = scratch.worker::<u8>(worker);
            let at = Place { image: i / tasks, own, y: y.get() };
            for band in &self.schedule.tasks[i % tasks] {
                // SAFETY: y and the worker's scratch were sized for the schedule; tasks write different rows of y.
                if let Err(e) = unsafe { self.band(band, &at, inputs) } {
                    let _ = failed.set(e);
                    return;
                }
            }
        });
        failed.into_inner().map_or(Ok(()), Err)
    }

    /// Runs one band through all stages.
    ///
    /// # Safety
    /// `at.own` has [`Chain::each`] bytes and nobody else uses them; `at.y` holds the whole result, of which nobody else
    /// uses the band's rows; a plain first input holds all images.
    unsafe fn band(&self, parts: &[Part], at: &Place, inputs: &[Src<'_>]) -> Result<(), KernelError> {
        let mut image = at.own;
        let mut operands = &inputs[1..];
        let mut from = inputs[0];
        for (s, (part, stage)) in parts.iter().zip(&self.stages).enumerate() {
            let (mine, rest) = operands.split_at(self.operand_rows[s].len());
            operands = rest;
            let (oh, row, ..) = stage.output();
            let next = image.wrapping_add(self.images[s].next_multiple_of(128));
            let last = s + 1 == self.stages.len();
            // SAFETY: by this function's contract; the schedule keeps rows inside the images.
            unsafe {
                if s == 0 && !part.rows.is_empty() {
                    from = self.input(part, at, inputs[0], image)?;
                }
                let to = if last {
                    let first = (at.image * oh + part.rows.start) * row * F32;
                    Dst::from_raw(at.y.wrapping_add(first), (part.rows.len() * row).saturating_sub(stage.gap()) * F32)
                } else {
                    next.copy_from(next.wrapping_add(part.drop * row * F32), part.keep * row * F32);
                    Dst::from_raw(next.wrapping_add(part.keep * row * F32), part.rows.len() * row * F32)
                };
                if !part.rows.is_empty() {
                    let given = self.operands(s, part, at.image, from, mine)?;
                    let work = at.own.wrapping_add(self.each() - self.work);
                    let work = std::slice::from_raw_parts_mut(work, self.work);
                    self.calls[s][part.call].run(&given[..1 + mine.len()], to, work, &self.inline)?;
                }
                if !last {
                    from = Src::from_raw(next, (part.keep + part.rows.len()) * row * F32);
                }
            }
            image = next;
        }
        Ok(())
    }

    /// The rows of the first image that a band reads; those of a plain one are brought into the order of bands at `to`.
    ///
    /// # Safety
    /// As for [`Chain::band`].
    unsafe fn input<'a>(&self, part: &Part, at: &Place, x: Src<'a>, to: *mut u8) -> Result<Src<'a>, KernelError> {
        let stage = &self.stages[0];
        let (h, row, layout, _) = stage.input();
        let outside = || KernelError::Buffer { what: "x", problem: "is shorter than its rows".into() };
        if layout == Layout::ChannelsLast {
            let first = (at.image * h + part.reads.start) * row * F32;
            let len = (part.reads.len() * row * F32).min(x.len_bytes().saturating_sub(first));
            return x.part(first, len).ok_or_else(outside);
        }
        let Stage::Conv(_, p) = stage else { return Err(outside()) };
        let x = x.elements::<f32>((at.image + 1) * h * row, "x")?;
        let plane = |c: usize| x.wrapping_add(((at.image * p.c + c) * h + part.reads.start) * p.w);
        // SAFETY: each plane holds these rows, and the scratch image as many of all channels; they stay until the next band.
        unsafe {
            interleave(plane, p.c, to.cast(), part.reads.len() * p.w);
            Ok(Src::from_raw(to, part.reads.len() * row * F32))
        }
    }

    /// The inputs of a stage for a band: the image, and of each operand the rows that belong to it.
    fn operands<'a>(
        &self,
        s: usize,
        part: &Part,
        image: usize,
        from: Src<'a>,
        mine: &[Src<'a>],
    ) -> Result<[Src<'a>; MAX_INPUTS], KernelError> {
        let mut given = [from; MAX_INPUTS];
        let oh = self.stages[s].output().0;
        for ((slot, operand), row) in given[1..].iter_mut().zip(mine).zip(&self.operand_rows[s]) {
            let first = (image * oh + part.rows.start) * row * F32;
            let len = operand.len_bytes().saturating_sub(first);
            let outside = || KernelError::Buffer { what: "operand", problem: "is shorter than its rows".into() };
            *slot = operand.part(first, len).ok_or_else(outside)?;
        }
        Ok(given)
    }
}

/// Where a task works.
struct Place {
    image: usize,
    own: *mut u8,
    y: *mut u8,
}

#[cfg(test)]
mod tests;
