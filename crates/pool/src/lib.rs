//! The engine's thread pool: fork and join of short jobs, with neither lock nor allocation on the way.
//!
//! A job is a number of chunks and a function of one chunk. Chunks are dealt to threads in contiguous lanes, so that
//! the same thread meets the same data in consecutive jobs; a thread that has finished its lane takes chunks from
//! the others. Who ran a chunk must not matter to the result: the function gets the worker's number only to choose
//! scratch memory.
//!
//! The calling thread is worker 0. Idle workers spin for some tens of microseconds and then park. A call made while
//! the pool is busy (from inside a chunk, or from another thread) runs all its chunks on the calling thread.

mod job;

use job::Shared;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A fixed set of threads that run jobs together.
pub struct Pool {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Chunks per thread that [`Pool::for_ranges`] aims at.
    pub const CHUNKS_PER_THREAD: usize = 4;

    /// A pool of `threads` workers, the caller among them; 0 counts as 1. Threads that the system refuses to start
    /// are done without.
    pub fn new(threads: usize) -> Pool {
        let wanted = threads.clamp(1, 1024);
        let shared = Arc::new(Shared::new(wanted));
        let mut handles = Vec::with_capacity(wanted - 1);
        for worker in 1..wanted {
            let shared_in = Arc::clone(&shared);
            let spawned =
                std::thread::Builder::new().name(format!("pool-{worker}")).spawn(move || shared_in.serve(worker));
            match spawned {
                Ok(handle) => {
                    shared.register(worker, handle.thread().clone());
                    handles.push(handle);
                }
                Err(_) => break,
            }
        }
        Pool { shared, handles }
    }

    /// A pool of as many threads as the process may use at once.
    pub fn with_available_parallelism() -> Pool {
        Pool::new(std::thread::available_parallelism().map_or(1, |n| n.get()))
    }

    /// Number of workers, the caller included. Worker numbers are below it.
    pub fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// Runs `body(chunk, worker)` once for every chunk below `chunks` and returns when all are done.
    ///
    /// # Panics
    /// Where a chunk panicked, after all others are done.
    pub fn run<F: Fn(usize, usize) + Sync>(&self, chunks: usize, body: F) {
        if chunks <= 1 || self.handles.is_empty() || !self.shared.try_enter() {
            for chunk in 0..chunks {
                body(chunk, 0);
            }
            return;
        }
        self.shared.run(chunks, self.threads(), &body);
    }

    /// Cuts `0..items` into ranges of at least `grain` items (about [`Pool::CHUNKS_PER_THREAD`] per thread where that
    /// allows) and runs `body(range, worker)` on each. The cut depends on `items`, `grain` and the number of threads.
    pub fn for_ranges<F: Fn(Range<usize>, usize) + Sync>(&self, items: usize, grain: usize, body: F) {
        if items == 0 {
            return;
        }
        let most = items.div_ceil(grain.max(1));
        let threads = self.threads();
        let chunks = match most.min(threads * Self::CHUNKS_PER_THREAD) {
            _ if threads == 1 => 1,
            // Of one chunk more the thread that has it makes all others wait.
            many if many > threads => many - many % threads,
            few => few,
        };
        self.run(chunks, |chunk, worker| body(cut(items, chunks, chunk), worker));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop();
        for handle in self.handles.drain(..) {
            // A worker catches what its chunks throw, so it cannot have panicked itself.
            let _ = handle.join();
        }
    }
}

/// The `index`-th of `parts` contiguous, nearly equal pieces of `0..items`.
pub fn cut(items: usize, parts: usize, index: usize) -> Range<usize> {
    let at = |i: usize| match items.checked_mul(i) {
        Some(product) => product / parts,
        None => (items as u128 * i as u128 / parts as u128) as usize,
    };
    at(index)..at(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_chunk_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads);
            for chunks in [0, 1, 2, 7, 64, 1000] {
                let hits: Vec<AtomicUsize> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
                for round in 1..=20 {
                    pool.run(chunks, |c, w| {
                        assert!(w < pool.threads());
                        hits[c].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == round));
                }
            }
        }
    }

    /// A worker that is late in a small job must not take the used-up lane of that job for one of the large job after it.
    #[test]
    fn jobs_of_other_sizes_follow_at_once() {
        let pool = Pool::new(8);
        let hits: Vec<AtomicUsize> = (0..200).map(|_| AtomicUsize::new(0)).collect();
        for round in 0..20_000 {
            let chunks = if round % 2 == 0 { 8 } else { 200 };
            pool.run(chunks, |c, _| {
                hits[c].fetch_add(1, Ordering::Relaxed);
            });
            let ran = |h: &AtomicUsize| h.swap(0, Ordering::Relaxed) == 1;
            assert!(hits[..chunks].iter().all(ran), "round {round}");
            assert!(hits[chunks..].iter().all(|h| h.load(Ordering::Relaxed) == 0), "round {round}");
        }
    }

    #[test]
    fn nested_and_concurrent_calls_finish() {
        let pool = Pool::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..50 {
                        pool.run(8, |_, _| {
                            pool.run(4, |_, _| {
                                total.fetch_add(1, Ordering::Relaxed);
                            })
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 4 * 50 * 8 * 4);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_survives() {
        let pool = Pool::new(2);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(16, |c, _| assert!(c != 11, "chunk eleven"));
        }));
        assert!(caught.is_err());
        let hits = AtomicUsize::new(0);
        pool.run(16, |_, _| {
            hits.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(hits.load(Ordering::Relaxed), 16);
    }

    #[test]
    fn ranges_cover_without_overlap() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        pool.for_ranges(1003, 10, |r, _| {
            sum.fetch_add(r.sum::<usize>(), Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 1002 * 1003 / 2);
        assert_eq!(cut(10, 3, 2), 6..10);
    }

    #[test]
    fn parked_workers_wake() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let hits = AtomicUsize::new(0);
            pool.run(8, |_, _| {
                hits.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_micros(200));
            });
            assert_eq!(hits.load(Ordering::Relaxed), 8);
        }
    }
}
