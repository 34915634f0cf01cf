//! The engine's thread pool.
