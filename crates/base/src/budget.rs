//! A budget of bytes in flight, shared by whatever works on one task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// A reservation would pass the limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("memory budget reached: {wanted} bytes wanted, {left} of {limit} left")]
pub struct BudgetExceeded {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes left.
    pub left: u64,
    /// The limit.
    pub limit: u64,
}

/// A limit on bytes held at once. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: u64,
    used: Arc<AtomicU64>,
}

impl Budget {
    /// At most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Budget { limit, used: Arc::default() }
    }

    /// No limit.
    pub fn unlimited() -> Self {
        Budget::new(u64::MAX)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Reserves `bytes` until the result is dropped.
    ///
    /// # Errors
    /// When the limit would be passed.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, BudgetExceeded> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&total| total <= self.limit)
            })
            .map(|_| Reservation { budget: self.clone(), bytes })
            .map_err(|used| BudgetExceeded { wanted: bytes, left: self.limit - used, limit: self.limit })
    }
}

/// Bytes held of a [`Budget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_on_drop() {
        let b = Budget::new(10);
        let held = b.reserve(7).unwrap();
        assert_eq!(b.reserve(4).unwrap_err().to_string(), "memory budget reached: 4 bytes wanted, 3 of 10 left");
        drop(held);
        assert!(b.reserve(10).is_ok());
    }
}
