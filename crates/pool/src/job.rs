//! The state that the workers of a pool share, and how a job passes through it.
//!
//! A job has a number, its epoch. Each lane is an atomic word, the epoch above and the next chunk below, and a second one
//! with the epoch and the lane's end. A chunk is claimed by compare-and-swap on the first word, so a worker that wakes late
//! and still holds the previous epoch cannot claim anything of the present job; and a successful claim proves that the
//! job's other fields, read before, belong to it, because they change only after every chunk of the job is done.
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

#[repr(align(128))]
struct Lane {
    /// Epoch in the upper half, next unclaimed chunk in the lower.
    next: AtomicU64,
    /// Epoch in the upper half, the end of the lane's chunks in the lower.
    end: AtomicU64,
    parked: AtomicBool,
    thread: OnceLock<Thread>,
}

pub(crate) struct Shared {
    epoch: AtomicU32,
    stopping: AtomicBool,
    busy: AtomicBool,
    threads: AtomicUsize,
    call: AtomicPtr<()>,
    data: AtomicPtr<()>,
    done: AtomicUsize,
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
            parked: AtomicBool::new(false),
            thread: OnceLock::new(),
        };
        Shared {
            epoch: AtomicU32::new(0),
            stopping: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            threads: AtomicUsize::new(threads),
            call: AtomicPtr::new(std::ptr::null_mut()),
            data: AtomicPtr::new(std::ptr::null_mut()),
            done: AtomicUsize::new(0),
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
        !self.busy.swap(true, Ordering::Acquire)
    }

    /// Runs a job after a successful [`Shared::try_enter`]. `threads` is at most the number of lanes.
    pub(crate) fn run<F: Fn(usize, usize) + Sync>(&self, chunks: usize, threads: usize, body: &F) {
        let call: Trampoline = trampoline::<F>;
        self.call.store(call as *mut (), Ordering::Relaxed);
        self.data.store(std::ptr::from_ref(body).cast_mut().cast(), Ordering::Relaxed);
        self.threads.store(threads, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        let epoch = self.epoch.load(Ordering::Relaxed).wrapping_add(1);
        for (index, lane) in self.lanes.iter().enumerate().take(threads) {
            let part = cut(chunks, threads, index);
            lane.end.store(u64::from(epoch) << 32 | part.end as u64, Ordering::Relaxed);
            lane.next.store(u64::from(epoch) << 32 | part.start as u64, Ordering::Relaxed);
        }
        self.epoch.store(epoch, Ordering::SeqCst);
        for lane in &self.lanes[1..threads] {
            if lane.parked.load(Ordering::SeqCst) {
                self.wake(lane);
            }
        }
        self.work(epoch, 0);
        let mut spins = 0u32;
        while self.done.load(Ordering::Acquire) != chunks {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        let panicked = self.panicked.swap(false, Ordering::Relaxed);
        let payload = if panicked { self.payload.lock().ok().and_then(|mut p| p.take()) } else { None };
        self.busy.store(false, Ordering::Release);
        if panicked {
            resume_unwind(payload.unwrap_or_else(|| Box::new("a pool chunk panicked")));
        }
    }

    fn wake(&self, lane: &Lane) {
        if let Some(thread) = lane.thread.get() {
            thread.unpark();
        }
    }

    /// Claims and runs chunks of job `epoch` until none is left: first the worker's own lane, then the others.
    fn work(&self, epoch: u32, worker: usize) {
        let threads = self.threads.load(Ordering::Relaxed).min(self.lanes.len());
        let call = self.call.load(Ordering::Relaxed);
        let data = self.data.load(Ordering::Relaxed);
        if threads == 0 {
            return;
        }
        for step in 0..threads {
            let index = (worker + step) % threads;
            let end = self.lanes[index].end.load(Ordering::Relaxed);
            let lane = &self.lanes[index].next;
            let mut seen = lane.load(Ordering::Acquire);
            // Both words of the epoch, and the next chunk before the end.
            while seen >> 32 == u64::from(epoch) && end >> 32 == seen >> 32 && seen < end {
                match lane.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire) {
                    Err(now) => seen = now,
                    Ok(_) => {
                        self.run_chunk(call, data, (seen & 0xffff_ffff) as usize, worker);
                        seen = lane.load(Ordering::Acquire);
                    }
                }
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
        self.done.fetch_add(1, Ordering::Release);
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
            self.work(epoch, worker);
        }
    }

    fn await_epoch(&self, last: u32, worker: usize) -> u32 {
        let lane = &self.lanes[worker];
        loop {
            for _ in 0..SPINS_BEFORE_PARK {
                let epoch = self.epoch.load(Ordering::Acquire);
                if epoch != last {
                    return epoch;
                }
                std::hint::spin_loop();
            }
            lane.parked.store(true, Ordering::SeqCst);
            while self.epoch.load(Ordering::SeqCst) == last {
                std::thread::park();
            }
            lane.parked.store(false, Ordering::Relaxed);
        }
    }

    /// Ends all workers.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        for lane in &self.lanes[1..] {
            self.wake(lane);
        }
    }
}
