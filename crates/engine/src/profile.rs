//! Times of steps. What is timed follows without a gap, so that the times of a run add up to it.

use modelsmith_backend_cpu::KernelCall;
use std::cell::RefCell;
use std::time::Instant;

/// Time and work of one step in one run, or of what comes before and after the steps of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    /// The nodes that the step stands for.
    pub label: String,
    /// Kernels that ran, or the operator whose reference did.
    pub kernel: String,
    /// True where the reference ran.
    pub reference: bool,
    /// Wall time in nanoseconds, from the end of the step before; what ran in the bodies of the step has its own.
    pub ns: u64,
    /// Multiplications and additions, each counted as one.
    pub flops: f64,
    /// Of these, on tile registers.
    pub tile_flops: f64,
    /// Multiplications and additions of bf16 parts that those take.
    pub tile_products: f64,
    /// Bytes of operands and results.
    pub bytes: f64,
}

/// Times one thing after the other, leaving no gap but for its own work.
pub(crate) struct Clock<'a> {
    times: Option<&'a RefCell<Vec<StepTime>>>,
    start: Option<Instant>,
    /// Entries so far: those that come after are of what runs meanwhile.
    known: usize,
}

impl<'a> Clock<'a> {
    pub fn start(times: Option<&'a RefCell<Vec<StepTime>>>) -> Clock<'a> {
        Clock { times, start: times.map(|_| Instant::now()), known: times.map_or(0, |t| t.borrow().len()) }
    }

    /// Ends what is being timed and begins the next. What was entered meanwhile is taken off.
    pub fn stop(&mut self, of: impl FnOnce(u64) -> StepTime) {
        let (Some(times), Some(start)) = (self.times, self.start) else { return };
        let all = start.elapsed().as_nanos() as u64;
        let mut times = times.borrow_mut();
        let inner = times.iter().skip(self.known).map(|t| t.ns).sum::<u64>();
        times.push(of(all.saturating_sub(inner)));
        self.known = times.len();
        self.start = Some(Instant::now());
    }
}

impl StepTime {
    /// What is no step.
    pub(crate) fn around(label: String, ns: u64) -> StepTime {
        let kernel = String::from("control");
        StepTime { label, kernel, reference: false, ns, flops: 0.0, tile_flops: 0.0, tile_products: 0.0, bytes: 0.0 }
    }
}

/// Work of kernel calls: multiplications and additions, of these those on tiles, and how many of bf16 parts those take.
pub(crate) fn work<'r>(calls: impl Iterator<Item = &'r KernelCall>) -> [f64; 3] {
    calls.fold([0.0; 3], |[all, tiles, products], call| {
        let (flops, each) = (call.flops(), call.tile_products());
        let on = if each > 0 { flops } else { 0.0 };
        [all + flops, tiles + on, products + on * each as f64]
    })
}
