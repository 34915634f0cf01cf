//! The state that the workers of a pool share, and how a job passes through it.
//!
//! A job has a number, its epoch. Each worker has a lane: the epoch with the next chunk of it, the epoch with the lane's end,
//! and the job, all in one cache line, so that a worker that waits for the first word to change has the rest with it. A
//! chunk is claimed by compare-and-swap on that word, so a worker that wakes late and still holds the previous epoch cannot
//! claim anything of the present job; and a successful claim proves that the lane's other fields, read before, belong to it,
//! because they change only after every chunk of the job is done.
//!
//! The end carries the epoch because the first word keeps that of a finished job until the next is dealt: held against the
//! end of the next job, a lane that is used up would look as if it had chunks left.

use crate::cut;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::Thread;

/// Spins of an idle worker before it parks: 20 to 100 microseconds, by the machine's pause instruction.
const SPINS_BEFORE_PARK: u32 = 2000;
/// Spins of a caller that waits for the last chunks before it gives way to other threads.
const SPINS_BEFORE_YIELD: u32 = 4000;

type Trampoline = unsafe fn(*const (), usize, usize);

/// What is dealt to a worker, in lines of memory of its own.
#[repr(align(128))]
struct Lane {
    /// Epoch in the upper half, next unclaimed chunk in the lower; written last.
    next: AtomicU64,
    /// Epoch in the upper half, the end of the lane's chunks in the lower.
    end: AtomicU64,
    /// The job: a [`Trampoline`] and its closure.
    call: AtomicPtr<()>,
    data: AtomicPtr<()>,
    parked: AtomicBool,
    thread: OnceLock<Thread>,
}

/// What only callers touch.
#[repr(align(128))]
#[derive(Default)]
struct Callers {
    busy: AtomicBool,
    epoch: AtomicU32,
    /// Chunks of all jobs that workers are known to have run.
    counted: AtomicUsize,
}

/// Chunks of all jobs that workers have run; the caller counts its own.
#[repr(align(128))]
#[derive(Default)]
struct Done(AtomicUsize);

pub(crate) struct Shared {
    callers: Callers,
    done: Done,
    stopping: AtomicBool,
    panicked: AtomicBool,
    payload: Mutex<Option<Box<dyn Any + Send>>>,
    lanes: Vec<Lane>,
}

/// # Safety
/// `data` points to an `F` that outlives the call.
unsafe fn trampoline<F: Fn(usize, usize) + Sync>(data: *const (), chunk: usize, worker: usize) {
    // SAFETY: by the contract above.
    unsafe { (*data.cast::<F>())(chunk, worker) }
}

impl Shared {
    pub(crate) fn new(threads: usize) -> Shared {
        let lane = || Lane {
            next: AtomicU64::new(0),
            end: AtomicU64::new(0),
            call: AtomicPtr::new(std::ptr::null_mut()),
            data: AtomicPtr::new(std::ptr::null_mut()),
            parked: AtomicBool::new(false),
            thread: OnceLock::new(),
        };
        Shared {
            callers: Callers::default(),
            done: Done::default(),
            stopping: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            payload: Mutex::new(None),
            lanes: (0..threads).map(|_| lane()).collect(),
        }
    }

    pub(crate) fn register(&self, worker: usize, thread: Thread) {
        let _ = self.lanes[worker].thread.set(thread);
    }

    /// Takes the pool for one job; false where it is taken.
    pub(crate) fn try_enter(&self) -> bool {
        !self.callers.busy.swap(true, Ordering::Acquire)
    }

    /// Runs a job after a successful [`Shared::try_enter`]. `threads` is at most the number of lanes.
    pub(crate) fn run<F: Fn(usize, usize) + Sync>(&self, chunks: usize, threads: usize, body: &F) {
        let call: Trampoline = trampoline::<F>;
        let data = std::ptr::from_ref(body).cast_mut().cast();
        let epoch = self.callers.epoch.load(Ordering::Relaxed).wrapping_add(1);
        self.callers.epoch.store(epoch, Ordering::Relaxed);
        // Those of others first: they come later to theirs.
        for (index, lane) in self.lanes.iter().enumerate().take(threads).rev() {
            let part = cut(chunks, threads, index);
            lane.call.store(call as *mut (), Ordering::Relaxed);
            lane.data.store(data, Ordering::Relaxed);
            lane.end.store(u64::from(epoch) << 32 | part.end as u64, Ordering::Relaxed);
            lane.next.store(u64::from(epoch) << 32 | part.start as u64, Ordering::SeqCst);
        }
        for lane in &self.lanes[1..threads] {
            if lane.parked.load(Ordering::SeqCst) {
                self.wake(lane);
            }
        }
        let mut own = 0;
        self.work(epoch, 0, threads, &mut |n| own += n);
        let before = self.callers.counted.load(Ordering::Relaxed);
        let all = before.wrapping_add(chunks - own);
        let mut spins = 0u32;
        while self.done.0.load(Ordering::Acquire) != all {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        self.callers.counted.store(all, Ordering::Relaxed);
        let panicked = self.panicked.swap(false, Ordering::Relaxed);
        let payload = if panicked { self.payload.lock().ok().and_then(|mut p| p.take()) } else { None };
        self.callers.busy.store(false, Ordering::Release);
        if panicked {
            resume_unwind(payload.unwrap_or_else(|| Box::new("a pool chunk panicked")));
        }
    }

    fn wake(&self, lane: &Lane) {
        if let Some(thread) = lane.thread.get() {
            thread.unpark();
        }
    }

    /// Claims and runs chunks of job `epoch` until none is left: first the worker's own lane, then the others. `ran` is told
    /// after each lane how many it were.
    fn work(&self, epoch: u32, worker: usize, threads: usize, ran: &mut dyn FnMut(usize)) {
        for step in 0..threads {
            let lane = &self.lanes[(worker + step) % threads];
            let mut seen = lane.next.load(Ordering::Acquire);
            let end = lane.end.load(Ordering::Relaxed);
            let (call, data) = (lane.call.load(Ordering::Relaxed), lane.data.load(Ordering::Relaxed));
            let mut count = 0;
            // Both words of the epoch, and the next chunk before the end.
            while seen >> 32 == u64::from(epoch) && end >> 32 == seen >> 32 && seen < end {
                match lane.next.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire) {
                    Err(now) => seen = now,
                    Ok(_) => {
                        self.run_chunk(call, data, (seen & 0xffff_ffff) as usize, worker);
                        count += 1;
                        seen = lane.next.load(Ordering::Acquire);
                    }
                }
            }
            if count > 0 {
                ran(count);
            }
        }
    }

    fn run_chunk(&self, call: *mut (), data: *mut (), chunk: usize, worker: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the claim proves that `call` and `data` belong to the present job, whose caller keeps the
            // closure alive until every claimed chunk is counted as done; `call` was made from a `Trampoline`.
            unsafe {
                let call: Trampoline = std::mem::transmute::<*mut (), Trampoline>(call);
                call(data, chunk, worker);
            }
        }));
        if let Err(payload) = result {
            if let Ok(mut slot) = self.payload.lock() {
                *slot = Some(payload);
            }
            self.panicked.store(true, Ordering::Relaxed);
        }
    }

    /// The life of worker `worker`.
    pub(crate) fn serve(&self, worker: usize) {
        let mut last = 0u32;
        loop {
            let epoch = self.await_epoch(last, worker);
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            last = epoch;
            self.work(epoch, worker, self.lanes.len(), &mut |n| {
                self.done.0.fetch_add(n, Ordering::Release);
            });
        }
    }

    fn await_epoch(&self, last: u32, worker: usize) -> u32 {
        let lane = &self.lanes[worker];
        let epoch = |order| (lane.next.load(order) >> 32) as u32;
        loop {
            for _ in 0..SPINS_BEFORE_PARK {
                let epoch = epoch(Ordering::Acquire);
                if epoch != last {
                    return epoch;
                }
                std::hint::spin_loop();
            }
            lane.parked.store(true, Ordering::SeqCst);
            while epoch(Ordering::SeqCst) == last {
                std::thread::park();
            }
            lane.parked.store(false, Ordering::Relaxed);
        }
    }

    /// Ends all workers; no job is under way.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let epoch = self.callers.epoch.load(Ordering::Relaxed).wrapping_add(1);
        for lane in &self.lanes[1..] {
            lane.next.store(u64::from(epoch) << 32, Ordering::SeqCst);
            self.wake(lane);
        }
    }
}
