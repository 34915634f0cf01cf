//! Plain memory written by chunks and read by the caller, and the other way round, over many jobs: a program for
//! ThreadSanitizer, which sees every access of this crate:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
//!     cargo run -p modelsmith-pool --example races --target x86_64-unknown-linux-gnu
//! ```
//!
//! Threads are started and joined outside of what is measured: the standard library is not built with the sanitizer, which
//! therefore does not know what it orders, so that only what the pool itself orders counts.

use modelsmith_pool::Pool;

/// Plain memory that chunks write at different places.
#[derive(Clone, Copy)]
struct Plain(*mut u64);
// SAFETY: each chunk keeps to its own element, and the caller to the time between jobs.
unsafe impl Sync for Plain {}

impl Plain {
    fn at(&self, i: usize) -> *mut u64 {
        self.0.wrapping_add(i)
    }
}

fn main() {
    let rounds: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    for threads in [2, 3, 4] {
        let pool = Pool::new(threads);
        let mut data = vec![0u64; 64];
        let shared = Plain(data.as_mut_ptr());
        for round in 1..=rounds {
            let chunks = 2 + (round % 37) as usize;
            // The caller writes what the chunks read,
            // SAFETY: no job runs.
            unsafe { *shared.at(63) = round };
            pool.run(chunks, |chunk, _| {
                // SAFETY: chunks differ, and none is 63.
                unsafe { *shared.at(chunk) = *shared.at(63) + chunk as u64 };
            });
            // and reads what they wrote.
            for chunk in 0..chunks {
                // SAFETY: no job runs.
                let got = unsafe { *shared.at(chunk) };
                assert_eq!(got, round + chunk as u64);
            }
            if round % 1000 == 0 {
                // Long enough for workers to park.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        println!("{threads} threads, {rounds} jobs: as expected");
        // The pool's threads end with the process.
        std::mem::forget(pool);
    }
}
